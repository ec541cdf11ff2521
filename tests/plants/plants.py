"""A planted fault: a small edit of the source that breaks a promise, and the tests that must go red on it.

Each is one file, `patches/<name>.toml`. An edit is told by its old text and not by its line, so that it survives the
moves of the code around it; a text that is gone, or is there twice, makes the plant stale, and that is an error.
"""

from pathlib import Path

import msgspec

__all__ = ["PATCHES", "ROOT", "Edit", "Plant", "StalePlant", "apply", "edited", "plants"]

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).with_name("patches")


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In `file`, the one place that reads `old` becomes `new`."""

    file: str
    old: str
    new: str


class Plant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault: `says` in a sentence, the ids of the promises it `breaks`, and the `tests` that show it."""

    breaks: tuple[str, ...]
    says: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]
    name: str = ""


class StalePlant(Exception):
    """The source has changed under a plant: say the edit anew."""


def plants() -> list[Plant]:
    """Return every plant, by name.

    Raises:
        msgspec.ValidationError: A file is not as it should be.
    """
    found: list[Plant] = []
    for path in sorted(PATCHES.glob("*.toml")):
        try:
            plant = msgspec.toml.decode(path.read_bytes(), type=Plant)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{path.name}: {error}") from error
        found.append(msgspec.structs.replace(plant, name=path.stem))
    return found


def edited(plant: Plant, root: Path) -> dict[str, str]:
    """Return the text of each file that `plant` changes, by its path below `root`, as it is with the fault.

    Raises:
        StalePlant: An old text is not there exactly once.
    """
    texts: dict[str, str] = {}
    for edit in plant.edits:
        path = root / edit.file
        text = texts.get(edit.file) or (path.read_text(encoding="utf-8") if path.is_file() else "")
        places = text.count(edit.old)
        if places != 1:
            raise StalePlant(f"{plant.name}: plant is stale, {edit.file} has its old text {places} times")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


def apply(plant: Plant, root: Path) -> None:
    """Write the fault into the tree at `root`. Raises StalePlant, with nothing written."""
    for file, text in edited(plant, root).items():
        (root / file).write_text(text, encoding="utf-8")
