"""`landline audit`: list, export and prune, and what the command line itself leaves there (TRU-18)."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from typing import Any

import pytest

from landline.cli.exits import Exit
from tests.architecture.source import ROOT
from tests.cli.conftest import Project

pytestmark = pytest.mark.contract("TRU-18", "CLI-1")


def listed(landline: Project, *options: str) -> list[dict[str, Any]]:
    done = landline("audit", "list", "--json", *options)
    assert done.returncode == Exit.OK, done.stderr
    return list(json.loads(done.stdout))


def test_keys_made_and_revoked_are_listed_without_the_key(landline: Project) -> None:
    key = json.loads(landline("keys", "create", "--user", "ana", "--tenant", "acme", "--json").stdout)
    landline("keys", "create", "--user", "=cmd|'x'!A1", "--tenant", "other")
    landline("keys", "revoke", key["id"])
    newest = listed(landline)
    assert [(e["action"], e["tenant"], e["details"]["user"]) for e in newest] == [
        ("key.revoke", "acme", "ana"),
        ("key.create", "other", "=cmd|'x'!A1"),
        ("key.create", "acme", "ana"),
    ]
    assert {(e["outcome"], e["remote"]) for e in newest} == {("ok", "cli")}
    assert all(e["user"].startswith("os:") for e in newest)
    assert key["key"][11:] not in json.dumps(newest)
    assert [e["action"] for e in listed(landline, "--tenant", "acme", "--limit", "1")] == ["key.revoke"]
    assert [e["tenant"] for e in listed(landline, "--action", "key.create")] == ["other", "acme"]
    assert len(listed(landline, "--target", key["id"])) == 2
    assert listed(landline, "--to", "2020-01-01") == []
    assert len(listed(landline, "--from", "2020-01-01T00:00:00Z")) == 3
    text = landline("audit", "list").stdout
    assert text.splitlines()[0].split() == ["AT", "TENANT", "USER", "ACTION", "TARGET", "OUTCOME", "FROM"]


def test_an_export_is_whole_in_order_and_no_formula(landline: Project) -> None:
    for tenant in ("+sum(1)", "@x", "-1", 'plain,"quoted"', "=1"):
        assert landline("keys", "create", "--user", "ana", f"--tenant={tenant}").returncode == Exit.OK
    done = landline("audit", "export")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["tenant"] for e in lines] == ["+sum(1)", "@x", "-1", 'plain,"quoted"', "=1"]
    assert "5 entries" in done.stderr
    assert landline("audit", "export", "--format", "csv", "--output", "log.csv").returncode == Exit.OK
    rows = list(csv.DictReader(io.StringIO((landline.folder / "log.csv").read_text())))
    assert [row["tenant"] for row in rows] == ["'+sum(1)", "'@x", "'-1", 'plain,"quoted"', "'=1"]
    assert json.loads(rows[0]["details"])["user"] == "ana"
    assert [row["id"] for row in rows] == [e["id"] for e in lines]
    again = landline("audit", "export", "--output", "log.csv")
    assert (again.returncode, "output_unwritable" in again.stderr) == (Exit.CONFIG, True)
    assert len((landline.folder / "log.csv").read_text().splitlines()) == 6


def test_a_pruning_is_noted_and_a_moment_must_be_one(landline: Project) -> None:
    landline("keys", "create", "--user", "ana")
    assert "0 entries" in landline("audit", "prune", "--before", "2020-01-01").stderr
    done = landline("audit", "prune", "--before", "2100-01-01")
    assert (done.returncode, "1 entries" in done.stderr) == (Exit.OK, True)
    left = listed(landline)
    assert [(e["action"], e["details"]["count"]) for e in left] == [("audit.prune", 1), ("audit.prune", 0)]
    for command in (("prune", "--before"), ("list", "--from"), ("export", "--to")):
        bad = landline("audit", *command, "yesterday")
        assert (bad.returncode, "bad_moment" in bad.stderr) == (Exit.USAGE, True)


def test_off_notes_nothing(landline: Project) -> None:
    landline("keys", "create", "--user", "ana", LANDLINE_AUDIT="off")
    assert listed(landline) == []


@pytest.mark.contract("TRU-17")
def test_the_command_line_shows_no_secret(landline: Project) -> None:
    """Not in the settings, not in findings, not in errors."""
    secret = {
        "LANDLINE_API_KEY": "plainkeyofours",
        "OPENAI_API_KEY": "plainkeyoftheirs",
        "LANDLINE_URL": "http://me:plainpassword@127.0.0.1:1",
        "LANDLINE_PUBLIC_URL": "http://127.0.0.1:1/plainkeyoftheirs",
    }
    landline.write("broken.py", "raise ValueError('plainkeyoftheirs password=hunter22')\n")
    for command in (
        ("config", "show"),
        ("config", "show", "--json"),
        ("doctor", "--json"),
        ("threads", "list"),
        ("run", "broken.py", "hi"),
        ("serve", "broken.py"),
    ):
        done = landline(*command, **secret)
        for word in ("plainkey", "plainpassword", "hunter22"):
            assert word not in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    bad = landline("config", "show", **{**secret, "LANDLINE_PORT": "plainkeyoftheirs"})
    assert bad.returncode == Exit.CONFIG
    assert "plainkey" not in bad.stderr


def test_the_commands_of_the_guide_run(landline: Project) -> None:
    """Every one of docs/audit.md, in its order."""
    blocks = re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "audit.md").read_text(encoding="utf-8"), re.DOTALL
    )
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("landline ")]
    assert len(lines) >= 6
    for line in lines:
        done = landline(*shlex.split(line)[1:])
        assert done.returncode == Exit.OK, (line, done.stderr)
