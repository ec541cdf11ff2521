"""docs/keys.md: its command lines are run as they stand, in their order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from landline.cli.exits import Exit
from landline.model.callers import KNOWN_SCOPES
from tests.cli.conftest import Project

TEXT = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
LINES = [line.strip() for line in TEXT.splitlines() if line.startswith("    landline ")]


@pytest.mark.contract("TRU-1", "TRU-5")
def test_the_lines_of_the_guide_work(landline: Project) -> None:
    settings = TEXT.split("    [roles]\n")[1].split("\n\n")[0]
    landline.write("landline.toml", "[roles]\n" + settings.strip() + "\n")
    assert len(LINES) > 12
    for line in LINES:
        words = shlex.split(line)[1:]
        if "KEY" in words:
            newest = json.loads(landline("keys", "list", "--json").stdout)[-1]["id"]
            words[words.index("KEY")] = newest
        done = landline(*words, stdin="a password\n")
        assert done.returncode == Exit.OK, (line, done.stderr)


def test_the_guide_names_every_scope() -> None:
    table = TEXT.split("## Scopes")[1].split("##")[0]
    named = set(re.findall(r"`([a-z:]+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    unnamed, unknown = sorted(KNOWN_SCOPES - named), sorted(named - KNOWN_SCOPES)
    assert not unnamed, (
        f"docs/keys.md says nothing of {unnamed}: add a row to its table under `## Scopes`, `| `the:scope` | what it "
        "lets its holder do |`, say there who has it without being given it, and run `python -m tests.doors.served`"
    )
    assert not unknown, f"docs/keys.md names scopes that there are not: {unknown}; take their rows away"
