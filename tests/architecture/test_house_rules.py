"""House rules that no linter knows. Each test is one rule, with the reason in its first line."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import (
    PACKAGE,
    ROOT,
    module_name,
    parse,
    project_files,
    python_files,
    room_of,
    where,
)

FILES = python_files(PACKAGE)
EVERY_FILE = [path for path in project_files() if path.suffix == ".py"]
LONGEST_FILE = 400

CLOCKED_ROOMS = {"engine", "adapters", "faces"}
# The second starts a task that its own generator awaits and stops, as the framework does for every streamed request.
CLOCKED_EXCEPT = {"engine/loop.py", "adapters/pydantic_ai/alone.py"}
WALL_CLOCK = {
    "time.time",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
    "datetime.datetime.now",
}
LOOSE_TASKS = {"asyncio.sleep", "asyncio.create_task", "asyncio.ensure_future"}

CONFIGURED_ROOMS = {"app", "cli", "testing", "demo", "evals"}

REFUSED_WORDS = {"manager", "managers", "helper", "helpers", "util", "utils", "service", "services"}
REFUSED_PREFIX = re.compile(r"^_?(Base|Abstract)[A-Z]")

# Each pattern has a bracket in its middle, so that it does not match its own line.
REGISTRY_HOST = re.compile(r"py[p]i\.org|python[h]osted\.org|npm[j]s\.(org|com)")
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:[w]ork|[r]oot|[U]sers|[h]ome/[a-z]\w*)/\w")

DIRECTIVE = re.compile(
    r"#\s*(?:type:\s*ignore(?:\[[^\]]*\])?|pyright:\s*ignore(?:\[[^\]]*\])?|noqa(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?)"
)
A_REASON = re.compile(r"[A-Za-z]{2,}\W+[A-Za-z]{2,}")


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def imported_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every imported module or name, dotted, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every call of a dotted name, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            yield node.lineno, name


def words_of(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def refuse(offences: list[str], rule: str) -> None:
    if offences:
        pytest.fail(rule + "\n  " + "\n  ".join(offences), pytrace=False)


def test_no_source_file_is_longer_than_400_lines() -> None:
    """A file that needs scrolling for a minute holds more than one idea."""
    lengths = [(path, len(path.read_text(encoding="utf-8").splitlines())) for path in FILES]
    refuse(
        [f"{where(path)} has {count} lines" for path, count in lengths if count > LONGEST_FILE],
        f"split files over {LONGEST_FILE} lines",
    )


def test_every_module_states_its_boundary_in_a_docstring() -> None:
    """A reader learns from the first line what belongs here and what does not."""
    refuse(
        [where(path, 1) for path in FILES if not ast.get_docstring(parse(path))],
        "a module begins with a docstring",
    )


def test_time_and_tasks_come_from_one_place() -> None:
    """A virtual clock and a drain work only if nothing reads the wall clock or starts a task behind their back."""
    offences: list[str] = []
    for path in FILES:
        inside = path.relative_to(PACKAGE).as_posix()
        if room_of(module_name(path)) not in CLOCKED_ROOMS or inside in CLOCKED_EXCEPT:
            continue
        for line, name in calls(parse(path)):
            loose = name in WALL_CLOCK | LOOSE_TASKS or name.endswith("loop.create_task")
            if loose:
                offences.append(f"{where(path, line)} calls {name}")
        for line, name in imported_names(parse(path)):
            if name in WALL_CLOCK | LOOSE_TASKS:
                offences.append(f"{where(path, line)} imports {name}")
    refuse(offences, "take time from the clock and tasks from engine.loop")


def test_nothing_below_app_reads_the_environment() -> None:
    """A value has one source that `landline config` can show; a hidden read has none."""
    offences: list[str] = []
    for path in FILES:
        if room_of(module_name(path)) in CONFIGURED_ROOMS:
            continue
        tree = parse(path)
        reads = [(line, name) for line, name in imported_names(tree) if name in {"os.environ", "os.getenv"}]
        reads += [
            (node.lineno, dotted(node))
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.environb", "os.getenv"}
        ]
        offences += [f"{where(path, line)} reads {name}" for line, name in reads]
    refuse(offences, "only app and cli read the environment; pass the value in")


def test_middleware_is_pure_asgi() -> None:
    """Starlette's BaseHTTPMiddleware wraps streams: it breaks disconnects, context variables and back-pressure."""
    offences = [
        where(path, node.lineno)
        for path in FILES
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.Name) and node.id == "BaseHTTPMiddleware")
        or (isinstance(node, ast.Attribute) and node.attr == "BaseHTTPMiddleware")
        or (isinstance(node, ast.ImportFrom) and any(a.name == "BaseHTTPMiddleware" for a in node.names))
    ]
    refuse(offences, "write an ASGI callable instead of BaseHTTPMiddleware")


def test_names_say_what_a_thing_is() -> None:
    """A manager, helper, util or service can hold anything, so in the end it does."""
    offences: list[str] = []
    for path in FILES:
        if words_of(path.stem) & REFUSED_WORDS or words_of(path.parent.name) & REFUSED_WORDS:
            offences.append(f"{where(path)} (module)")
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            if words_of(node.name) & REFUSED_WORDS or REFUSED_PREFIX.match(node.name):
                offences.append(f"{where(path, node.lineno)} (class {node.name})")
    refuse(offences, "name it after what it is")


def test_nothing_in_src_turns_data_into_code() -> None:
    """A tampered row or request must stay data (TRU-15)."""
    modules = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    functions = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
    offences: list[str] = []
    for path in FILES:
        tree = parse(path)
        offences += [
            f"{where(path, n)} imports {m}" for n, m in imported_names(tree) if m.split(".")[0] in modules
        ]
        offences += [f"{where(path, n)} calls {f}" for n, f in calls(tree) if f in functions]
    refuse(offences, "no pickle, eval or yaml.load")


def test_every_exception_to_a_rule_has_a_reason() -> None:
    """An ignore or a broad except without a reason cannot be removed by the next reader."""
    offences: list[str] = []
    for path in EVERY_FILE:
        comments = comments_of(path)
        lines = {line for line, comment in comments.items() if DIRECTIVE.search(comment.string)}
        lines |= {
            node.lineno
            for node in ast.walk(parse(path))
            if isinstance(node, ast.ExceptHandler) and broad(node)
        }
        offences += [where(path, line) for line in sorted(lines) if not reasoned(comments, line)]
    refuse(offences, "say why, on the line or alone on the line above")


def broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in {"Exception", "BaseException"} for kind in caught)


def comments_of(path: Path) -> dict[int, tokenize.TokenInfo]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}


def reasoned(comments: dict[int, tokenize.TokenInfo], line: int) -> bool:
    """Tell whether a reason is on the line, or alone on the one above: a comment behind code is about that code."""
    here, above = comments.get(line), comments.get(line - 1)
    texts = [here.string] if here else []
    texts += [above.string] if above and above.line.lstrip().startswith("#") else []
    return any(A_REASON.search(DIRECTIVE.sub("", text)) for text in texts)


def test_project_files_name_no_registry_and_no_machine() -> None:
    """A clone works behind any package index and in any folder, and tells nothing about where it was made."""
    offences: list[str] = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a font
        for number, line in enumerate(text.splitlines(), 1):
            if REGISTRY_HOST.search(line) or MACHINE_PATH.search(line):
                offences.append(f"{where(path, number)} {line.strip()[:80]}")
    refuse(offences, "no registry host and no absolute machine path")


def test_the_lock_holds_hashes_and_no_index() -> None:
    """The lock must install from whatever index a machine has, and only the files that were tested."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    offences = [line for line in text.splitlines() if "://" in line or line.startswith("-")]
    offences += [
        entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry and entry[0] != "#"
    ]
    refuse(offences, "requirements.lock: run `make lock`")
