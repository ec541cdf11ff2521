"""Importing what a target names, as Python itself would, and finding the user's own line in what goes wrong."""

import sys
import sysconfig
import traceback
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_FOREIGN = (
    *{Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")},
    Path(__file__).resolve().parents[1],
)
"""Folders of code that is not the user's: the standard library, installed packages, Landline."""


@dataclass(frozen=True, slots=True)
class Source:
    """A target taken apart: a file (`path`) or a `module`, and the attribute, "" for all of it."""

    shown: str
    path: Path | None
    module: str
    attribute: str

    @classmethod
    def of(cls, target: str) -> "Source":
        """Take `path.py[:attr]` or `module[:attr]` apart; anything with a slash or ending in .py is a path."""
        head, _, attribute = target.rpartition(":") if ":" in target else (target, "", "")
        if head.endswith(".py") or "/" in head:
            return cls(head, Path(head).resolve(), "", attribute)
        return cls(head, None, head, attribute)

    @property
    def stem(self) -> str:
        """The name an entry gets when nothing in the file could be read."""
        stem = self.path.stem if self.path else self.module.rpartition(".")[2]
        return (
            "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem)[:64] or "target"
        )


def import_target(source: Source) -> ModuleType:
    """Import the module; the working directory, and a file's own folder, come first on the path as with `python`.

    A file that is called like an installed package (`agents.py`, say) does not hide it: its folder comes last.

    Raises:
        BaseException: Whatever the module raises, or FileNotFoundError.
    """
    if source.path is None:
        _on_path(Path.cwd())
        return import_module(source.module)
    if not source.path.is_file():
        raise FileNotFoundError(2, "No such file", source.shown)
    folder, name = source.path.parent, source.path.stem
    while (
        folder / "__init__.py"
    ).is_file():  # a file in a package keeps its dotted name: relative imports work
        folder, name = folder.parent, f"{folder.name}.{name}"
    hides = _installed(name.partition(".")[0])
    for place in (Path.cwd(), folder):
        _on_path(place, last=hides)
    if "." in name:
        return import_module(name.removesuffix(".__init__"))
    return _import_file(source.path, f"{name}_" if hides else name)


def _import_file(path: Path, name: str) -> ModuleType:
    """Import a file under its stem, or under a longer name when the stem is another module's."""
    while (known := sys.modules.get(name)) is not None:
        if getattr(known, "__file__", None) == str(path):
            return known
        name = f"{name}_"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file", path=str(path))
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:  # as import does: a module that failed is not there
        sys.modules.pop(name, None)
        raise
    return module


def _on_path(folder: Path, *, last: bool = False) -> None:
    if last and str(folder) in sys.path:  # a neighbour was imported before
        sys.path.remove(str(folder))
    if str(folder) not in sys.path:
        sys.path.insert(len(sys.path) if last else 0, str(folder))


def _installed(name: str) -> bool:
    """Tell whether an installed package or a module of the standard library has that name."""
    places = [entry for entry in sys.path if Path(entry).resolve() in _FOREIGN]
    return PathFinder.find_spec(name, places) is not None


def blame(error: BaseException, source: Source) -> str:
    """Return `file:line` of the user's own code that led to `error`: the deepest frame that is not a library's."""
    if isinstance(error, SyntaxError) and error.filename and _own(error.filename):
        return f"{_short(error.filename)}:{error.lineno or 1}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _own(f.filename)]
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else source.shown


def _own(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    return not any(path.is_relative_to(folder) for folder in _FOREIGN)


def _short(filename: str) -> str:
    path = Path(filename).resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
