"""Where the demo's notes are kept: one small JSON file, written whole, apart by tenant and user."""

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Note", "Notebook", "Notebooks"]


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    id: int
    title: str
    content: str


class Notebooks:
    """All users' notes in one file. A demo's store: one process, a few hundred notes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def of(self, tenant: str, user: str) -> "Notebook":
        """Return one user's notes."""
        return Notebook(self, tenant, user)

    def read(self, tenant: str, user: str) -> list[Note]:
        """Return a user's notes, oldest first."""
        with self._lock:
            return [Note(**note) for note in self._shelf(self._load(), tenant, user)["notes"]]

    def add(self, tenant: str, user: str, title: str, content: str) -> Note:
        """Keep a new note; an id is never given twice."""
        with self._lock:
            everything = self._load()
            shelf = self._shelf(everything, tenant, user)
            note = Note(shelf["next"], title, content)
            shelf["next"] += 1
            shelf["notes"].append(asdict(note))
            self._store(everything)
            return note

    def remove(self, tenant: str, user: str, note_id: int) -> bool:
        """Delete a note; False when there is none with this id."""
        with self._lock:
            everything = self._load()
            shelf = self._shelf(everything, tenant, user)
            left = [note for note in shelf["notes"] if note["id"] != note_id]
            if len(left) == len(shelf["notes"]):
                return False
            shelf["notes"] = left
            self._store(everything)
            return True

    def _load(self) -> dict[str, Any]:
        return json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}

    @staticmethod
    def _shelf(everything: dict[str, Any], tenant: str, user: str) -> dict[str, Any]:
        return everything.setdefault(tenant, {}).setdefault(user, {"next": 1, "notes": []})

    def _store(self, everything: dict[str, Any]) -> None:
        # Written beside and moved over: a kill leaves the old file or the new one, never half of one.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(everything, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


@dataclass(frozen=True, slots=True)
class Notebook:
    """One user's notes: what the notes agent's tools are given."""

    notebooks: Notebooks
    tenant: str
    user: str

    def read(self) -> list[Note]:
        """Return the notes, oldest first."""
        return self.notebooks.read(self.tenant, self.user)

    def add(self, title: str, content: str) -> Note:
        """Keep a new note."""
        return self.notebooks.add(self.tenant, self.user, title, content)

    def remove(self, note_id: int) -> bool:
        """Delete a note; False when there is none with this id."""
        return self.notebooks.remove(self.tenant, self.user, note_id)
