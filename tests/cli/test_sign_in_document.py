"""docs/sign-in.md: its settings are read, its lines are sent, and its addresses opened, as they stand."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from landline.app.settings import load_settings
from landline.cli.exits import Exit
from tests.cli.conftest import Project

TEXT = (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text(encoding="utf-8")
PASSWORD, MADE_UP = "correct horse battery staple", "01a1ff91-…"

pytestmark = pytest.mark.contract("TRU-3")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def lines(block: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with what it prints."""
    parts = re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [
        (command.strip(), shown.strip()) for command, _, shown in (part.partition("\n") for part in parts)
    ]


def curl(command: str, base: str, **variables: str) -> httpx.Response:
    """Send what a line of curl sends; it has no option but `-H` and `-d`."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    program, address, *options = shlex.split(command)
    assert program == "curl"
    given = list(zip(options[::2], options[1::2], strict=True))
    assert {name for name, _ in given} <= {"-H", "-d"}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    headers |= {
        name.lower(): value for name, _, value in (one.partition(": ") for kind, one in given if kind == "-H")
    }
    (body,) = (one for kind, one in given if kind == "-d")
    url = base + address.removeprefix("localhost:8000")
    return httpx.post(url, content=body.encode(), headers=headers, timeout=30)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: tomllib.loads(block).popitem()[0])
def test_the_settings_of_the_guide_are_read(
    landline: Project, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    landline.write("landline.toml", block)
    if "oidc" in block:
        monkeypatch.setenv("LANDLINE_OIDC_CLIENT_SECRET", "x" * 40)
    settings = load_settings()
    for name, value in tomllib.loads(block).items():
        found: Any = getattr(settings, name)
        assert (list(found) if isinstance(value, list) else found) == value
    assert settings.signs_in


def test_the_lines_and_addresses_of_the_guide_work(landline: Project) -> None:
    (password, stream) = (block for block in blocks("console") if "curl" in block)
    (add, _), *sent = lines(password)
    assert add.endswith(" --password")  # which asks on a terminal, and the test has none
    done = landline(*shlex.split(f"{add}-stdin")[1:], stdin=f"{PASSWORD}\n")
    assert done.returncode == Exit.OK, done.stderr
    # One agent, so that a run need not name it.
    landline.write(
        "one.py",
        "import landline\n\ndef echo(run):\n    yield 'hi'\n\nagent = landline.agent(echo, name='echo')\n",
    )
    with landline.serving("serve", "one.py") as (base, _):
        access = refresh = ""
        run: dict[str, Any] = {}
        for command, shown in sent:
            answer = curl(command.replace(f"lr_{MADE_UP}", refresh), base, ACCESS=access)
            assert answer.is_success, (command, answer.text)
            told = answer.json()
            if shown:
                assert set(told) == set(json.loads(shown)), command
            access, refresh = told.get("access_token", access), told.get("refresh_token", refresh)
            if "thread_id" in told:
                run, bearer = told, {"authorization": f"Bearer {access}"}
                thread = httpx.get(f"{base}/api/v1/threads/{run['thread_id']}", headers=bearer).json()
                assert thread["user_id"] == "ada"
        ended = httpx.get(f"{base}/api/v1/runs", headers={"authorization": f"Bearer {access}"})
        assert ended.status_code == 401, "the last line signed out"

        access = curl(sent[0][0], base).json()["access_token"]
        ((command, shown),) = lines(stream)
        told = curl(command.replace(MADE_UP, run["thread_id"]), base, ACCESS=access).json()
        assert set(told) == set(json.loads(shown))
        asyncio.run(opened(base, run["id"], told["stream_token"]))


async def opened(base: str, run: str, token: str) -> None:
    """Open what the page's script opens; a browser does the same in tests/browser."""
    (script,) = (block for block in blocks("js") if "EventSource" in block)
    events, socket = re.findall(r"`(.*?)`", script)
    filled = events.replace("${run}", run).replace("${token}", token)
    async with httpx.AsyncClient() as client:
        answer = await client.get(base + filled, headers={"accept": "text/event-stream"})
        assert "event: run.completed" in answer.text
    address = socket.replace("wss://${location.host}", base.replace("http", "ws")).replace("${token}", token)
    async with connect(address) as line:
        await line.send(json.dumps({"op": "ping"}))
        assert json.loads(await line.recv())["type"] == "pong"
