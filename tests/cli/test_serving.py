"""Serving, and the commands that talk to a running server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from landline.cli.exits import Exit
from landline.cli.reload import as_arguments
from tests.cli.conftest import COMMAND, ECHO, Project, free_port, serving, wait_until_ready

pytestmark = [pytest.mark.contract("CLI-1"), pytest.mark.xdist_group("cli-server")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of a server with two agents and a broken one, shared by the tests that only talk to it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "agents.py").write_text(ECHO)
    (folder / "bad.py").write_text("\n1/0\n")
    with serving(folder, "serve", "bad.py", "agents.py") as (url, _):
        yield url


@pytest.mark.contract("WIRE-6", "TRU-6")
def test_the_demo_serves_its_agents_open_on_loopback_and_says_so(landline: Project) -> None:
    """README's first command."""
    with landline.serving("demo", "--data", "here") as (url, process):
        names = [agent["name"] for agent in httpx.get(f"{url}/api/v1/agents").json()["items"]]
        assert names == ["notes", "bank_support", "student_teacher"]
        assert (landline.folder / "here" / "landline.db").exists()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == Exit.OK
    assert "open: everybody on this machine is the one local user" in said


@pytest.mark.contract("AGT-4")
def test_a_broken_target_is_listed_and_the_others_are_served(landline: Project, server: str) -> None:
    """One bad file is one bad agent."""
    listed = landline("agents", "list", "--json", "--url", server)
    found = {agent["name"]: agent.get("error") for agent in json.loads(listed.stdout)}
    assert found["echo"] is None
    assert found["bad"]["where"] == "bad.py:2"
    assert "cannot run: ZeroDivisionError" in landline("agents", "list", "--url", server).stdout
    refused = httpx.post(f"{server}/api/v1/runs", json={"agent": "bad", "input": "hi"})
    assert refused.status_code == 503


def test_threads_and_runs_are_listed_shown_followed_and_deleted(landline: Project, server: str) -> None:
    """A script's way around a server."""
    run = httpx.post(f"{server}/api/v1/runs", json={"agent": "echo", "input": "hi"}).json()
    to = {"LANDLINE_URL": server}
    assert run["id"] in [found["id"] for found in json.loads(landline("runs", "list", "--json", **to).stdout)]
    assert "completed" in landline("runs", "show", run["id"], **to).stdout
    followed = landline("runs", "follow", run["id"], **to)
    assert (followed.returncode, followed.stdout) == (Exit.OK, "you said hi\n")
    rest = landline("runs", "follow", run["id"], "--after", "3", "--json", **to).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in rest] == list(range(4, 4 + len(rest)))
    assert landline("runs", "follow", run["id"], "--after", str(3 + len(rest)), **to).returncode == Exit.OK
    assert landline("runs", "cancel", run["id"], **to).returncode == Exit.OK
    shown = landline("threads", "show", run["thread_id"], **to).stdout
    assert "you said hi" in shown
    assert landline("threads", "delete", run["thread_id"], "--yes", **to).returncode == Exit.OK
    gone = landline("threads", "show", run["thread_id"], **to)
    assert gone.returncode == Exit.FAILURE
    assert "where: GET " in gone.stderr


def test_a_talk_with_a_server_asks_what_the_agent_asks(landline: Project, server: str) -> None:
    """The same talk as in this process."""
    done = landline("chat", "--url", server, "--agent", "asker", stdin="hi\nred\n")
    assert (done.returncode, done.stdout) == (Exit.OK, "you like red\n"), done.stderr


def test_without_a_right_key_a_guarded_server_refuses_the_commands(landline: Project) -> None:
    """The fix names the option and the variable."""
    key = landline("keys", "create", "--user", "ann").stdout.strip()
    with landline.serving("serve", "agents.py", "--no-open") as (url, _):
        refused = landline("runs", "list", "--url", url)
        assert refused.returncode == Exit.FAILURE
        assert "LANDLINE_API_KEY" in refused.stderr
        assert landline("runs", "list", "--url", url, LANDLINE_API_KEY=key).returncode == Exit.OK


def test_a_data_folder_in_use_is_said_with_what_to_do(landline: Project) -> None:
    """SQLite serves one process."""
    with landline.serving("serve", "agents.py"):
        done = landline("run", "agents.py:echo", "hi")
        assert done.returncode == Exit.FAILURE
        assert "database_locked" in done.stderr
        assert "--data FOLDER" in done.stderr


def test_options_reach_the_reloaded_process_as_they_were_given() -> None:
    """The child is a `landline serve` of its own."""
    options = {"host": None, "port": 81, "grace_s": 0, "open": False, "data": Path("d")}
    assert as_arguments(["a.py"], options) == ["a.py", "--port=81", "--grace=0", "--no-open", "--data=d"]


def test_dev_starts_again_when_a_file_changes(landline: Project) -> None:
    """Also after a change that does not even parse."""
    port = free_port()
    command = [*COMMAND, "dev", "agents.py", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=landline.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        original = (landline.folder / "agents.py").read_text()
        landline.write("agents.py", "def (\n")
        wait_for(process, "code:  target_failed")
        landline.write("agents.py", original + "\nlater = landline.agent(shout, name='later')\n")
        wait_for(process, "agent later")
        wait_until_ready(url, process)
        names = [agent["name"] for agent in httpx.get(f"{url}/api/v1/agents").json()["items"]]
        assert names == ["echo", "asker", "later"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == Exit.OK


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="")
        if text in line:
            return
    pytest.fail(f"the server never said {text!r}")


def test_ctrl_c_ends_a_server_without_a_traceback(landline: Project) -> None:
    """It is the usual way to stop one."""
    with landline.serving("serve", "agents.py", "--grace", "0") as (_, process):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == Exit.OK
    assert "Traceback" not in said
    assert Path(landline.folder / ".landline").exists()


@pytest.mark.contract("RUN-5")
def test_ctrl_c_in_a_talk_stops_the_answer_and_at_the_prompt_the_talk(landline: Project) -> None:
    """The first one must not throw the whole talk away."""
    landline.write(
        "slow.py",
        "import asyncio, landline\n"
        "async def drip(run):\n"
        "    yield 'first '\n"
        "    await asyncio.Event().wait()\n"
        "slow = landline.agent(drip, name='slow')\n",
    )
    process = subprocess.Popen(
        [*COMMAND, "chat", "slow.py"],
        cwd=landline.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"go\n")
        seen = b""
        for wanted in (b"first ", b"stopped by local"):
            while wanted not in seen and (piece := process.stdout.read(1)):
                seen += piece
            process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert b"go on with --thread" in rest
    assert process.returncode == Exit.OK
