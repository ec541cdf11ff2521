"""The commands that need no server: run, chat, keys, config, migrate, doctor, openapi."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest

from landline.cli.exits import Exit
from tests.cli.conftest import Project

pytestmark = pytest.mark.contract("CLI-1")


def test_a_turn_runs_here_and_its_answer_is_all_of_stdout(landline: Project) -> None:
    """So that it can stand in a pipe."""
    for arguments, stdin in ((["hello"], ""), ([], "hello\n"), (["-"], "hello"), (["hello", "--stream"], "")):
        done = landline("run", "agents.py:echo", *arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (Exit.OK, "you said hello\n"), done.stderr


def test_a_turn_as_json_is_the_run_and_with_stream_its_events(landline: Project) -> None:
    """The shapes of the wire."""
    run = json.loads(landline("run", "agents.py:echo", "hi", "--json").stdout)
    assert (run["status"], run["output"]) == ("completed", "you said hi")
    lines = landline("run", "agents.py:echo", "hi", "--json", "--stream").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.completed"


def test_a_turn_that_waits_says_so_and_chat_answers_it(landline: Project) -> None:
    """The question outlives the process that asked it (RUN-8)."""
    waiting = landline("run", "agents.py", "hi", "--agent", "asker")
    assert waiting.returncode == Exit.WAITING
    assert "waiting: Which colour?" in waiting.stderr
    thread = waiting.stderr.split("--thread ")[1].split()[0]
    done = landline("chat", "agents.py", "--agent", "asker", "--thread", thread, stdin="blue\n")
    assert (done.returncode, done.stdout) == (Exit.OK, "you like blue\n"), done.stderr


def test_a_failed_turn_is_exit_code_1(landline: Project) -> None:
    """And says no more than the run does."""
    landline.write(
        "fails.py",
        "import landline\ndef f(run):\n    raise ValueError('hush')\nf1 = landline.agent(f, name='f')\n",
    )
    done = landline("run", "fails.py", "hi")
    assert done.returncode == Exit.FAILURE
    assert "error: " in done.stderr
    assert "  code:  " in done.stderr


def test_a_talk_keeps_its_thread(landline: Project) -> None:
    """Two lines, one thread."""
    done = landline("chat", "agents.py:echo", stdin="one\n\ntwo\n")
    assert done.stdout == "you said one\nyou said two\n"
    thread = done.stderr.split("--thread ")[1].strip()
    again = landline("chat", "agents.py:echo", "--thread", thread, stdin="three")
    assert again.stdout == "you said three\n"


def test_a_question_that_nobody_answers_stays_open(landline: Project) -> None:
    """The end of the input is no answer."""
    done = landline("chat", "agents.py:asker", stdin="hi\n")
    assert done.returncode == Exit.OK
    assert "left waiting" in done.stderr


@pytest.mark.contract("TRU-1")
def test_a_key_is_shown_once_and_kept_as_a_hash(landline: Project) -> None:
    """The list and the database have nothing that signs in."""
    made = landline("keys", "create", "--user", "ann", "--tenant", "acme", "--scopes", "runs:read", "--name", "ci",
                    "--expires", "30d")  # fmt: skip
    key = made.stdout.strip()
    assert made.returncode == Exit.OK
    assert key not in made.stderr
    (listed,) = json.loads(landline("keys", "list", "--json").stdout)
    assert (listed["user"], listed["tenant"], listed["scopes"], listed["name"]) == (
        "ann",
        "acme",
        ["runs:read"],
        "ci",
    )
    assert "hash" not in listed
    assert key.encode() not in (landline.folder / ".landline" / "landline.db").read_bytes()
    assert landline("keys", "revoke", listed["id"]).returncode == Exit.OK
    assert "revoked" in landline("keys", "list").stdout


def test_an_unknown_scope_is_refused_with_the_known_ones(landline: Project) -> None:
    """A key without rights is found too late."""
    done = landline("keys", "create", "--user", "ann", "--scopes", "run:read")
    assert done.returncode == Exit.FAILURE
    assert "runs:read" in done.stderr


@pytest.mark.contract("CLI-3")
def test_config_shows_each_value_with_its_source_and_no_secret(landline: Project) -> None:
    """The first thing to look at when something is odd."""
    landline.write("landline.toml", "grace_s = 3\n")
    shown = landline("config", "show", "--json", LANDLINE_PORT="81", LANDLINE_API_KEY="ll_hush")
    values = json.loads(shown.stdout)
    assert values["grace_s"] == {"value": 3.0, "source": "landline.toml:1"}
    assert values["port"] == {"value": 81, "source": "env LANDLINE_PORT"}
    assert values["api_key"]["value"] == "********"
    assert "hush" not in shown.stdout
    assert "landline.toml:1" in landline("config", "show").stdout


@pytest.mark.contract("CLI-3")
def test_the_schema_describes_every_setting(landline: Project) -> None:
    """For editors that check landline.toml."""
    assert set(json.loads(landline("config", "schema").stdout)["properties"]) >= {
        "host",
        "port",
        "data",
        "agents",
    }


def test_migrate_makes_the_database_and_is_harmless_again(landline: Project) -> None:
    """It can stand in every deployment."""
    assert json.loads(landline("migrate", "--json", "--data", "d").stdout) == {
        "database": "d/landline.db",
        "created": True,
    }
    assert json.loads(landline("migrate", "--json", "--data", "d").stdout)["created"] is False


def test_a_file_that_is_no_database_is_refused(landline: Project) -> None:
    """Not overwritten."""
    (landline.folder / "d").mkdir()
    (landline.folder / "d" / "landline.db").write_text(
        "not a database, but long enough to look like a file" * 40
    )
    done = landline("migrate", "--data", "d")
    assert done.returncode == Exit.FAILURE
    assert "database_unreadable" in done.stderr


@pytest.mark.contract("REL-13")
def test_doctor_finds_a_log_with_a_gap(landline: Project) -> None:
    """And says that a whole one is whole."""
    assert landline("run", "agents.py:echo", "hi").returncode == Exit.OK
    well = landline("doctor", "--check-log", "--json")
    assert well.returncode == Exit.OK, well.stdout
    assert {"state": "ok", "name": "log", "says": "every invariant holds", "how": None} in json.loads(
        well.stdout
    )
    with sqlite3.connect(landline.folder / ".landline" / "landline.db") as database:
        database.execute("DELETE FROM events WHERE seq = 3")
    database.close()
    ill = landline("doctor", "--check-log")
    assert ill.returncode == Exit.FAILURE
    assert re.search(r"^bad +log", ill.stdout, re.MULTILINE)


def test_doctor_reports_a_wrong_setting_instead_of_failing(landline: Project) -> None:
    """It is asked when nothing works."""
    done = landline("doctor", LANDLINE_PROT="1")
    assert done.returncode == Exit.FAILURE
    assert re.search(r"^bad +config", done.stdout, re.MULTILINE)


def test_openapi_prints_the_document_of_the_server(landline: Project) -> None:
    """Clients are generated from it."""
    document = json.loads(landline("openapi").stdout)
    assert "/api/v1/runs" in document["paths"]
