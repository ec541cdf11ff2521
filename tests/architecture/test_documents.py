"""The documents keep their own limits, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, project_files
from tests.architecture.test_imports import MAY_IMPORT

ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")
LONGEST_ADR = 70
LONGEST_ARCHITECTURE = 150


def documents() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


def test_links_between_documents_lead_somewhere() -> None:
    """A dead link in a guide costs each reader the same search."""
    dead = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in documents()
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists()
    ]
    assert not dead, "\n".join(dead)


def test_architecture_fits_on_a_few_screens() -> None:
    """It is read whole or not at all."""
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_ARCHITECTURE


def test_architecture_names_every_room() -> None:
    """The table that tests enforce and the one that people read are the same."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("## Who may import whom")[1].split("##")[0]
    first_cells = " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| "))
    assert not [room for room in MAY_IMPORT if room and not re.search(rf"\b{room}\b", first_cells)]


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.stem)
def test_decisions_are_short_and_listed(adr: Path) -> None:
    """A decision that does not fit in 70 lines is two decisions."""
    assert len(adr.read_text(encoding="utf-8").splitlines()) <= LONGEST_ADR
    assert adr.name in (adr.parent / "README.md").read_text(encoding="utf-8")
