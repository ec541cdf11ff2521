"""The guards that ask a server: real local servers that judge, refuse, hang, break or talk nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import landline
from landline.app.build import Landline
from landline.model.callers import LOCAL
from landline.model.errors import Invalid, Unavailable
from landline.model.events import GuardTripped, TextDelta
from landline.model.messages import FilePart, TextPart
from landline.model.runs import Run
from landline.ports.runs import StartRun

Answers = Callable[[str, dict[str, Any]], Awaitable[tuple[int, bytes]]]


@asynccontextmanager
async def judge(answers: Answers) -> AsyncGenerator[tuple[str, list[dict[str, Any]]]]:
    """Serve one JSON endpoint on a free port of loopback; what was asked is noted."""
    asked: list[dict[str, Any]] = []
    going: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        asked.append({"path": head.split(" ")[1], "key": "bearer k" in head, **body})
        status, told = await answers(head.split(" ")[1], body)
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(told))
        )
        writer.write(told)
        writer.close()
        with suppress(OSError):  # whoever asked did not wait
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
    finally:
        server.close()
        await asyncio.gather(*going)


def moderated(flagged: bool) -> bytes:
    categories = {"violence": flagged, "hate": False}
    return json.dumps({"results": [{"flagged": flagged, "categories": categories}]}).encode()


async def judging(path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """Find what is violent, as either API tells it."""
    if path.endswith("/moderations"):
        return 200, moderated("violent" in body["input"])
    said = "unsafe\nS1" if "violent" in body["messages"][-1]["content"] else "safe"
    return 200, json.dumps({"choices": [{"message": {"content": said}}]}).encode()


SAID = "A calm sentence about the weather. " * 8 + "Then a violent one. " + "And calm again. " * 20


async def talk(run: Any) -> AsyncIterator[str]:
    text = SAID if "story" in run.input else "Fine."
    for at in range(0, len(text), 7):
        yield text[at : at + 7]


def served(folder: Path, name: str, url: str, **more: Any) -> Landline:
    agent = landline.agent(talk, name="talk")
    keys = {f"guard_{name}_url": url, f"guard_{name}_key": "k"}
    return Landline([agent], open=True, data=folder, guards=(name,), **keys, **more)


async def turn(instance: Landline, text: str) -> tuple[Run, list[Any]]:
    request = StartRun(input=(TextPart(text=text),), agent="talk")
    run = (await instance.runs.start(LOCAL, request)).run
    events = [event.event() async for batch in instance.runs.follow(LOCAL, run.id) for event in batch]
    return await instance.runs.get(LOCAL, run.id), events


@pytest.mark.contract("TRU-21", "TRU-14")
@pytest.mark.parametrize("name", ["moderation", "llamaguard"])
async def test_a_server_judges_pieces_and_nothing_is_told_before(tmp_path: Path, name: str) -> None:
    async with judge(judging) as (url, asked), served(tmp_path, name, url).started() as instance:
        run, _ = await turn(instance, "hello")
        assert run.output == "Fine."
        with pytest.raises(Invalid, match=f"Request blocked: {name}"):
            await turn(instance, "something violent")
        run, events = await turn(instance, "a story")
        told = "".join(event.delta for event in events if isinstance(event, TextDelta))
        assert run.error is not None
        assert (run.status, run.error.code) == ("failed", "guard_blocked")
        assert told
        assert "violent" not in told
        assert SAID.startswith(told)
        (tripped,) = [event for event in events if isinstance(event, GuardTripped)]
        wanted = ["violence"] if name == "moderation" else ["S1"]
        assert (tripped.guard, tripped.info) == (name, {"categories": wanted})
        assert all(one["key"] for one in asked)


async def _500(path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    return 500, b"{}"


async def _nonsense(path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    return 200, b"<html>"


async def _other(path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    return 200, b'{"results":[],"choices":[{"message":{"content":"perhaps"}}]}'


async def _slow(path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    await asyncio.sleep(0.8)
    return 200, moderated(flagged=False)


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize("name", ["moderation", "llamaguard"])
@pytest.mark.parametrize("broken", [_500, _nonsense, _other, _slow, None])
async def test_a_server_that_cannot_judge_lets_nothing_pass_unless_told_so(
    tmp_path: Path, name: str, broken: Answers | None
) -> None:
    async with judge(broken or _500) as (open_, _):
        url = "http://127.0.0.1:1/v1" if broken is None else open_  # nobody listens on port 1
        async with served(tmp_path / "a", name, url, guard_timeout_s=0.3).started() as instance:
            with pytest.raises(Unavailable) as refused:
                await turn(instance, "hello")
            assert refused.value.code == "guard_unavailable"
        options: dict[str, Any] = {"guard_timeout_s": 0.3, "guard_fail": "open"}
        async with served(tmp_path / "b", name, url, **options).started() as instance:
            run, events = await turn(instance, "hello")
            assert run.output == "Fine."
            tripped = [event for event in events if isinstance(event, GuardTripped)]
            assert [(one.stage, one.action, one.info) for one in tripped] == [
                ("input", "flag", {"unavailable": True}),
                ("output", "flag", {"unavailable": True}),
            ]


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize("name", ["moderation", "llamaguard"])
async def test_a_server_is_asked_about_text_files_in_few_pieces(tmp_path: Path, name: str) -> None:
    calm = b"A calm sentence about the weather. " * 3_000

    async def give(instance: Landline, data: bytes) -> Run:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        file, _ = await instance.files.upload(LOCAL, "a.txt", chunks())
        given = StartRun(input=(TextPart(text="hello"), FilePart(file_id=file.id)), agent="talk")
        run = (await instance.runs.start(LOCAL, given)).run
        async for _ in instance.runs.follow(LOCAL, run.id):
            pass
        return await instance.runs.get(LOCAL, run.id)

    async with judge(judging) as (url, asked), served(tmp_path / "a", name, url).started() as instance:
        with pytest.raises(Invalid, match=f"Request blocked: {name}"):
            await give(instance, calm + b"Then a violent one.")
        assert 3 <= len(asked) <= 12
    async with judge(_500) as (url, asked):
        async with served(tmp_path / "b", name, url).started() as instance:
            with pytest.raises(Unavailable):
                await give(instance, calm)
        asked.clear()
        async with served(tmp_path / "c", name, url, guard_fail="open").started() as instance:
            assert (await give(instance, calm)).output == "Fine."
        assert len(asked) <= 5  # once for each text, whatever its length
