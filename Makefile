# Every target sets up what it needs: a virtual environment in .venv with the hashed lock and this project in it.
# Needs: Python 3.11 or newer, make, and a package index. uv is used when it is there, pip otherwise.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= .landline
KILLS ?= 200
WORKERS ?= 2
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
TREES := $(wildcard src tests examples bench tools)

export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start a thousand servers: compiling every module for each of them doubles the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is older than its inputs after a pull that changed them: set-up runs again, otherwise it costs nothing.
$(READY): requirements.lock pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	  for candidate in python3.11 python3 python3.12 python3.13; do \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python="$$candidate" && break; \
	  done; \
	  if [ -z "$${python:-}" ]; then echo "Landline needs Python 3.11 or newer, and none is on PATH." >&2; exit 1; fi; \
	  echo "set-up: .venv with $$("$$python" --version)"; \
	  if command -v uv >/dev/null; then uv venv --quiet --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv; \
	  else "$$python" -m venv .venv; fi; \
	fi
	@echo "set-up: the locked packages (once; about a minute)"
	@if command -v uv >/dev/null; then \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock; \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock; \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
	@touch $(READY)

.PHONY: demo
demo: $(READY) ## serve the demo agents (HOST, PORT, DATA)
	@exec $(BIN)/landline demo --host $(HOST) --port $(PORT) --data $(DATA) $(ARGS)

.PHONY: test
test: $(READY) ## run the Python tests (no server, browser or node; ARGS for pytest)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not browser and not slow" $(ARGS)

.PHONY: check
check: lint types arch ## lint, formatting, types, architecture and house rules

.PHONY: lint
lint: $(READY) ## ruff: rules and formatting
	$(BIN)/ruff check $(TREES)
	$(BIN)/ruff format --check $(TREES)

.PHONY: types
types: $(READY) ## pyright in strict mode
	$(BIN)/pyright

.PHONY: arch
arch: $(READY) ## import contracts, house rules, public names, requirement ledger
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -n 0 tests/architecture

.PHONY: faults
faults: $(READY) ## kill -9 under load and check what is left (KILLS)
	$(BIN)/python -m tests.faults.run --kills $(KILLS) $(ARGS)

.PHONY: plants
plants: $(READY) ## plant faults one by one; the suite must go red on each
	$(BIN)/python -m tests.plants.run $(ARGS)

.PHONY: bench
bench: $(READY) ## measure against bare FastAPI on one core (ARGS; docs/performance.md)
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-short
bench-short: $(READY) ## a minute of it, against the ratios in bench/baseline.json
	$(BIN)/python -m bench --short $(ARGS)

# The same project with the lowest supported version of each agent framework (tests/lowest.txt).
LOWEST := .venv/lowest
LOWEST_READY := $(LOWEST)/.ready
LOWEST_TESTS = $(foreach of,ag2 brought framework langgraph openai_agents pydantic_ai remote_a2a,$(wildcard tests/adapters/test_$(of)*.py))

$(LOWEST_READY): $(READY) requirements-lowest.lock pyproject.toml
	@echo "set-up: the lowest supported frameworks in $(LOWEST) (once; about a minute)"
	@rm -rf $(LOWEST)
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --python $(BIN)/python $(LOWEST); \
	  uv pip install --quiet --python $(LOWEST)/bin/python --require-hashes -r requirements-lowest.lock; \
	  uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m venv $(LOWEST); \
	  $(LOWEST)/bin/python -m pip install --quiet --require-hashes -r requirements-lowest.lock; \
	  $(LOWEST)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
	@touch $(LOWEST_READY)

.PHONY: lowest
lowest: $(LOWEST_READY) ## the adapters' tests with the lowest supported version of each framework
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m "not browser and not slow" $(LOWEST_TESTS) $(ARGS)

# Playwright is not among the project's locked packages: its wheel is 50 MB, and only these tests need it.
BROWSER := .venv/browser
BROWSER_READY := $(BROWSER)/.ready

$(BROWSER_READY): $(READY) tests/browser/requirements.lock
	@echo "set-up: Playwright in $(BROWSER) (once; 50 MB)"
	@rm -rf $(BROWSER)
	@if command -v uv >/dev/null; then \
	  uv pip install --quiet --python $(BIN)/python --target $(BROWSER) --require-hashes -r tests/browser/requirements.lock; \
	else \
	  $(BIN)/python -m pip install --quiet --target $(BROWSER) --require-hashes -r tests/browser/requirements.lock; \
	fi
	@touch $(BROWSER_READY)

.PHONY: browser
browser: $(BROWSER_READY) ## drive /simple and /docs in a real browser (needs a Chromium on PATH)
	PYTHONPATH=$(BROWSER) $(BIN)/python -m pytest -n 0 -m browser tests/browser $(ARGS)

.PHONY: clients
clients: $(READY) ## drive every wire with its own clients (needs node, npm and a Chromium; ARGS names wires)
	$(BIN)/python -m tests.clients.run $(ARGS)

.PHONY: slow
slow: $(READY) ## the long end-to-end tests: 2,000 cancels, 10,000 hostile requests, stalled readers, schemathesis
	$(BIN)/python -m pytest -n 0 -m slow --timeout 900 tests/e2e $(ARGS)

.PHONY: docs
docs: $(READY) ## check that the documents' links and counts hold
	$(BIN)/python -m pytest -q -n 0 tests/architecture/test_documents.py

.PHONY: lock
lock: ## resolve the locks anew (ARGS="--upgrade" for newer versions)
	@uv=$$(command -v uv || command -v $(BIN)/uv) || { echo "make lock needs uv" >&2; exit 1; }; \
	compile=("$$uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	  --group dev --extra pydantic-ai --no-emit-index-url --no-emit-find-links --no-header --no-annotate); \
	"$${compile[@]}" -o requirements.lock $(ARGS); \
	cp requirements.lock requirements-lowest.lock; \
	"$${compile[@]}" --constraint tests/lowest.txt -o requirements-lowest.lock
	@! grep -nE '://|^-' requirements.lock requirements-lowest.lock || { echo "a lock names an index" >&2; exit 1; }

.PHONY: clean
clean: ## remove .venv, caches and build output (not your data)
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
