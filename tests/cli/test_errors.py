"""Errors say what, where, how and a code, and leave with the exit code that is documented."""

from __future__ import annotations

import socket

import pytest

from landline.cli.exits import Exit
from tests.cli.conftest import Project

pytestmark = pytest.mark.contract("CLI-2")


def said(landline: Project, *arguments: str, exit_code: Exit, **variables: str) -> str:
    done = landline(*arguments, **variables)
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "error: " in done.stderr
    assert "\n  code:  " in done.stderr
    return done.stderr


def test_a_wrong_setting_names_the_key_and_its_source(landline: Project) -> None:
    """The person looks where the value was written."""
    text = said(landline, "serve", "agents.py", exit_code=Exit.CONFIG, LANDLINE_PORT="eight")
    assert "where: port from env LANDLINE_PORT" in text
    assert "fix:   write for example LANDLINE_PORT=8000" in text


def test_a_misspelt_variable_stops_the_start(landline: Project) -> None:
    """CLI-3: silently ignored, it would be a limit that nobody set."""
    text = said(landline, "serve", "agents.py", exit_code=Exit.CONFIG, LANDLINE_PROT="1")
    assert "did you mean LANDLINE_PORT?" in text


@pytest.mark.contract("AGT-4")
def test_a_target_that_fails_shows_the_users_own_line(landline: Project) -> None:
    """Not Landline's line, not the library's."""
    landline.write("bad.py", "import json\n\nrules = json.loads('{')\n")
    text = said(landline, "serve", "bad.py", exit_code=Exit.TARGET)
    assert "where: bad.py:3: rules = json.loads('{')" in text
    assert "JSONDecodeError: Expecting property name" in text


def test_without_a_target_the_command_is_shown(landline: Project) -> None:
    """The fix is what to type."""
    assert "landline serve agents.py" in said(landline, "serve", exit_code=Exit.USAGE)


def test_two_agents_of_one_name_are_refused(landline: Project) -> None:
    """Which of the two would answer?"""
    landline.write("more.py", "import landline\ndef f(run): ...\necho = landline.agent(f, name='echo')\n")
    text = said(landline, "serve", "agents.py", "more.py", exit_code=Exit.CONFIG)
    assert "where: agents.py and more.py" in text


@pytest.mark.contract("SCL-1")
@pytest.mark.parametrize("how", ["option", "variable"])
def test_two_workers_on_sqlite_are_refused(landline: Project, how: str) -> None:
    """And told the way to PostgreSQL."""
    if how == "option":
        text = said(landline, "serve", "agents.py", "--workers", "2", exit_code=Exit.REFUSED)
    else:
        text = said(landline, "serve", "agents.py", exit_code=Exit.REFUSED, LANDLINE_WORKERS="2")
    assert "--database-url postgresql://" in text


@pytest.mark.contract("TRU-6")
def test_bound_off_loopback_without_a_key_it_refuses_and_prints_the_one_command(landline: Project) -> None:
    """A fresh install is never open to a network."""
    text = said(landline, "serve", "agents.py", "--host", "0.0.0.0", "--data", "d", exit_code=Exit.REFUSED)
    assert "where: host 0.0.0.0 from option --host" in text
    command = text.split("fix:   landline ")[1].split("\n")[0].replace("NAME", "ann").split()
    assert landline(*command).returncode == Exit.OK
    revoked = landline("keys", "list", "--json", "--data", "d").stdout.split('"id": "')[1].split('"')[0]
    assert landline("keys", "revoke", revoked, "--data", "d").returncode == Exit.OK
    said(landline, "serve", "agents.py", "--host", "0.0.0.0", "--data", "d", exit_code=Exit.REFUSED)


@pytest.mark.contract("TRU-6")
def test_open_mode_is_refused_off_loopback(landline: Project) -> None:
    """Also when it is asked for."""
    said(landline, "serve", "agents.py", "--host", "0.0.0.0", "--open", exit_code=Exit.REFUSED)


def test_a_taken_port_is_said_before_anything_starts(landline: Project) -> None:
    """The usual accident of a second terminal."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = said(landline, "serve", "agents.py", "--port", str(port), exit_code=Exit.FAILURE)
    assert "fix:   stop the other server, or take another port" in text


def test_a_server_that_does_not_answer_has_its_own_exit_code(landline: Project) -> None:
    """A script tells a down server from a failed call."""
    text = said(landline, "threads", "list", "--url", "http://127.0.0.1:9", exit_code=Exit.UNREACHABLE)
    assert "where: http://127.0.0.1:9" in text


def test_several_agents_need_a_choice(landline: Project) -> None:
    """The names are in the answer."""
    assert "--agent echo | asker" in said(landline, "run", "agents.py", "hi", exit_code=Exit.USAGE)


@pytest.mark.parametrize("expires", ["soon", "2020-01-01", "-3d"])
def test_a_key_expires_in_time_to_come(landline: Project, expires: str) -> None:
    """A key that is dead when it is made is a mistake."""
    said(landline, "keys", "create", "--user", "ann", f"--expires={expires}", exit_code=Exit.USAGE)
