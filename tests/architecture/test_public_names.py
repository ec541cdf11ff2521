"""The public names are pinned: a name that appears or goes is a line in the diff, and a decision."""

from __future__ import annotations

from tests.architecture.public_names import SNAPSHOT, public_names

WRITER = "python -m tests.architecture.public_names"


def test_public_names_change_only_on_purpose() -> None:
    """What is exported once must be kept (VERSIONING.md), so nothing is exported by accident."""
    assert SNAPSHOT.exists(), f"{SNAPSHOT.name} is missing: write it with `{WRITER}`"
    pinned = set(SNAPSHOT.read_text(encoding="utf-8").split())
    current = set(public_names())
    assert current == pinned, (
        f"new: {sorted(current - pinned)}, gone: {sorted(pinned - current)}; if this is meant, run `{WRITER}`"
    )


def test_each_public_name_is_listed_once() -> None:
    """A doubled entry in `__all__` is a merge that went wrong."""
    names = public_names()
    assert len(names) == len(set(names))
