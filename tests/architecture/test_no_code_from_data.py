"""Nothing that comes in becomes code, an import or a command: the places that could are few, and named here (TRU-15)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import landline

SOURCE = Path(landline.__file__).parent

CALLS = {
    "eval", "exec", "compile", "__import__", "import_module", "pickle.loads", "pickle.load", "marshal.loads", "shelve.open",
    "yaml.load", "yaml.unsafe_load", "os.system", "os.popen", "os.execv", "os.execve", "subprocess.run", "subprocess.Popen",
    "subprocess.call", "subprocess.check_output", "create_subprocess_exec", "create_subprocess_shell", "runpy.run_path",
    "spec_from_file_location", "literal_eval", "jsonpickle.decode", "dill.loads", "cloudpickle.loads", "stdio_client",
    "StdioTransport",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
"""Methods may have these names and do something else."""

MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "yaml",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "runpy",
    "code",
    "codeop",
}

ALLOWED = {
    "__init__.py": {"import_module"},  # the root's own names, from a table
    "app/importing.py": {"import_module", "spec_from_file_location"},  # the targets that the owner serves
    "testing/": {"import_module", "subprocess.Popen", "runpy.run_path", "import runpy"},  # the kit of tests
    "adapters/ag2/codec.py": {"import_module"},  # modules of a fixed list, and classes of theirs only
    "adapters/langgraph/places.py": {"import_module"},  # names of a table
    "cli/": {"subprocess.Popen", "subprocess.run", "create_subprocess_exec", "import_module"},  # what its user typed
    "upstream/mcp/": {"stdio_client", "create_subprocess_exec", "StdioTransport"},  # commands of the agents' own code
}  # fmt: skip


def name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def found() -> Iterator[tuple[str, int, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = name_of(node.func)
                for forbidden in CALLS:
                    method = forbidden not in BUILTINS and name.endswith(f".{forbidden}")
                    if name == forbidden or method:
                        yield place, node.lineno, forbidden
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = (
                    [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                )
                for name in names:
                    if name.partition(".")[0] in MODULES:
                        yield place, node.lineno, f"import {name}"


@pytest.mark.contract("TRU-15")
def test_only_named_places_run_or_import_what_a_text_says() -> None:
    wrong = [
        f"{place}:{line} {what}"
        for place, line, what in found()
        if not any(
            place.startswith(start) and what in allowed
            for start, allowed in ALLOWED.items()
            if start != "__init__.py"
        )
        and not (place == "__init__.py" and what in ALLOWED["__init__.py"])
    ]
    assert wrong == []


@pytest.mark.contract("TRU-15")
def test_the_looking_finds_what_it_looks_for() -> None:
    """The loader of targets is one of those places; were it not seen, nothing would be."""
    assert {place for place, _, what in found() if what == "import_module"} >= {
        "app/importing.py",
        "adapters/ag2/codec.py",
    }
