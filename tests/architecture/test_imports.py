"""Who may import whom: the table of ARCHITECTURE.md, import by import, and the chains of import-linter."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOT, module_name, parse, python_files, room_of, where

INNER = {"model", "ports"}
ALL_BUT_THE_TOP = {
    "model", "ports", "engine", "web", "faces", "adapters", "backends", "gates", "upstream", "telemetry", "client",
}  # fmt: skip

MAY_IMPORT: dict[str, set[str]] = {
    "": {"app", *INNER},  # the root is lazy: it names Landline, it does not load it
    "model": set(),
    "ports": {"model"},
    "engine": INNER,
    "web": INNER,
    "adapters": INNER,
    "backends": INNER,
    "gates": INNER,
    "upstream": INNER,
    "telemetry": INNER,
    "faces": {*INNER, "web"},
    "client": {"model"},
    "app": ALL_BUT_THE_TOP,
    "demo": {"", "app", *INNER},  # written as a user's agents are: `import landline`
    "evals": {"", "app", "client", *INNER},
    "testing": {"", "app", "demo", "evals", *ALL_BUT_THE_TOP},
    "cli": {"", "app", "client", "demo", "evals", "model"},
}

DATA = {"msgspec", "pydantic", "pydantic_core", "typing_extensions"}
MAY_LOAD: dict[str, set[str]] = {
    "model": {*DATA, "uuid_utils"},
    "ports": DATA,
    "engine": {*DATA, "structlog"},
    "web": {*DATA, "fastapi", "starlette", "structlog", "python_multipart", "websockets"},
    "client": {*DATA, "httpx", "websockets"},
}
"""Externals of the rooms whose table row is closed; the other rooms' refused ones are in pyproject.toml."""


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module a file imports, at the top, in a function or for types only: all of them bind."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "landline":
            for alias in node.names:
                is_room = alias.name in MAY_IMPORT or (PACKAGE / alias.name).is_dir()
                yield node.lineno, f"landline.{alias.name}" if is_room else "landline"
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def rooms_on_disk() -> set[str]:
    return {room_of(module_name(path)) for path in python_files(PACKAGE)}


def test_every_room_is_declared() -> None:
    """A new room is a decision: it gets a row in the table, in ARCHITECTURE.md and in pyproject.toml."""
    undeclared = rooms_on_disk() - set(MAY_IMPORT)
    assert not undeclared, f"declare these rooms or move their files: {sorted(undeclared)}"


def test_rooms_import_only_what_the_table_allows() -> None:
    """One forbidden import is enough to tie two rooms together for good."""
    offences: list[str] = []
    for path in python_files(PACKAGE):
        room = room_of(module_name(path))
        for line, module in imports(path):
            if module.split(".")[0] != "landline":
                continue
            if (other := room_of(module)) != room and other not in MAY_IMPORT.get(room, set()):
                offences.append(f"{where(path, line)} imports {module}")
    assert not offences, "\n".join(offences)


def test_closed_rooms_load_only_their_own_libraries() -> None:
    """The core outlives its frameworks only if it never sees one."""
    offences: list[str] = []
    for path in python_files(PACKAGE):
        allowed = MAY_LOAD.get(room_of(module_name(path)))
        if allowed is None:
            continue
        for line, module in imports(path):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in allowed and top != "landline":
                offences.append(f"{where(path, line)} imports {module}")
    assert not offences, "\n".join(offences)


def test_the_core_opens_no_database() -> None:
    """sqlite3 is in the standard library, so the rule above would let it through."""
    offences = [
        where(path, line)
        for path in python_files(PACKAGE)
        if room_of(module_name(path)) not in {"backends", "cli", "testing"}
        for line, module in imports(path)
        if module.split(".")[0] == "sqlite3"
    ]
    assert not offences, "\n".join(offences)


@pytest.mark.parametrize("room", ["adapters", "backends", "faces", "gates"])
def test_units_are_strangers(room: str) -> None:
    """What one unit takes from another, a third party's unit could not."""
    offences: list[str] = []
    for path in python_files(PACKAGE / room):
        unit = module_name(path).split(".")[2:3]
        for line, module in imports(path):
            other = module.split(".")[2:3] if room_of(module) == room else []
            shared = room == "backends" and other == ["sql"]
            if unit and other and other != unit and not shared:
                offences.append(f"{where(path, line)} imports {module}")
    assert not offences, "\n".join(offences)


def test_import_contracts_hold() -> None:
    """A forbidden import through three allowed ones is still forbidden: import-linter follows the chains."""
    if not (PACKAGE / "__init__.py").exists():
        return  # nothing can be imported yet, so no chain exists
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    result = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
