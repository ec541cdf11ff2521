"""docs/security.md names the test of each line; a test that is not there holds nothing."""

import re

import pytest

from tests.architecture.source import ROOT

NAMED = re.compile(r"`(tests/[a-z_/0-9]+\.py)::(test_[a-z_0-9]+)`")


@pytest.mark.contract("TRU-5")
def test_every_line_of_the_security_map_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(NAMED.findall(text))
    rows = [row for row in text.partition("## Which list")[2].splitlines() if row.startswith("| ")]
    assert len(named) > 25
    missing = [f"{file}::{test}" for file, test in sorted(named) if not _holds(file, test)]
    assert not missing, missing
    bare = [row for row in rows if "held by" not in row and not NAMED.search(row)]
    assert not bare, bare


def _holds(file: str, test: str) -> bool:
    path = ROOT / file
    texts = [path.read_text(encoding="utf-8")] if path.exists() else []
    if file.startswith(
        "tests/conformance"
    ):  # what every store must keep stands with the suite that is published
        texts += [
            one.read_text(encoding="utf-8") for one in (ROOT / "src/landline/testing/stores").glob("*.py")
        ]
    return any(f"def {test}(" in one for one in texts)
