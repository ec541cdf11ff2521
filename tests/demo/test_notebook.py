"""The demo's note file: whole after every change, and safe for parallel tools."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from landline.demo.notebook import Notebooks


def test_notes_outlive_the_process_and_the_file_is_plain_json(tmp_path: Path) -> None:
    """A user may look at what the demo keeps."""
    path = tmp_path / "data" / "demo-notes.json"
    Notebooks(path).of("t", "u").add("A", "ä")
    assert [note.content for note in Notebooks(path).of("t", "u").read()] == ["ä"]
    assert json.loads(path.read_text())["t"]["u"]["next"] == 2
    assert [file.name for file in path.parent.iterdir()] == ["demo-notes.json"]


def test_parallel_tools_lose_no_note(tmp_path: Path) -> None:
    """Sync tools run in threads."""
    book = Notebooks(tmp_path / "n.json").of("t", "u")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(book.add, map(str, range(40)), ["x"] * 40))
    assert sorted(note.id for note in made) == [note.id for note in book.read()] == list(range(1, 41))
    assert book.remove(3)
    assert not book.remove(3)
