"""Where the sources are, and how the architecture tests read them: as text and syntax, never by import."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = SRC / "landline"


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def python_files(folder: Path) -> list[Path]:
    """All Python files below a folder, none if the folder is not there yet."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path) -> str:
    """The dotted name of a file below src, a package's `__init__` under the package's name."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a dotted name: "engine" for `landline.engine.log`, "" for `landline` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def where(path: Path, line: int = 0) -> str:
    """`file:line`, as an editor opens it."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{line}" if line else name


def project_files() -> list[Path]:
    """Every file that is tracked or about to be, so a rule bites before the commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [path for path in (ROOT / name for name in names) if path.is_file()]
    skipped = {".git", ".venv", "node_modules", "__pycache__", "dist", "build"}  # an sdist has no git
    return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]
