"""Following a run over HTTP: a cut line is taken up where it was, and every end is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from landline.cli import remote as module
from landline.cli.exits import Exit
from landline.cli.loaded import address_of
from landline.cli.remote import Remote
from landline.cli.stops import Stop

pytestmark = pytest.mark.contract("EVT-4")

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0)


def frames(*events: tuple[int, str]) -> bytes:
    return b"".join(
        f"id: {seq}\nevent: {kind}\ndata: {json.dumps({'seq': seq, 'type': kind})}\n\n".encode()
        for seq, kind in events
    )


def over(answer: Answer) -> Remote:
    return Remote(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://server"))


async def followed(answer: Answer, after: int = 0) -> list[int]:
    return [event["seq"] async for event in over(answer).events("r", after)]


async def test_a_cut_stream_goes_on_after_the_last_seq_that_was_seen() -> None:
    """Three connections, one reading: nothing missed, nothing twice."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json={"status": "running"})
        asked.append(request.url.params["after"])
        match len(asked):
            case 1:
                return httpx.Response(
                    200, content=b"retry: 1000\n\n" + frames((1, "run.created"), (2, "text.delta"))
                )
            case 2:
                raise httpx.ConnectError("restarting")
            case _:
                return httpx.Response(
                    200, content=b": beat\n\n" + frames((3, "text.delta"), (4, "run.completed"))
                )

    assert await followed(answer) == [1, 2, 3, 4]
    assert asked == ["0", "2", "2"]


async def test_a_run_that_has_ended_before_the_cursor_ends_the_reading() -> None:
    """The server answers 204."""

    def answer(request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(204)
            if request.url.path.endswith("/events")
            else httpx.Response(200, json={"status": "failed"})
        )

    assert await followed(answer, after=9) == []


async def test_a_passed_wait_does_not_end_the_reading() -> None:
    """A line cut right after an old run.waiting looks like a wait; the run says that it is none."""
    calls = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json={"status": "completed"})
        calls += 1
        return httpx.Response(
            200, content=frames((1, "run.waiting")) if calls == 1 else frames((2, "run.completed"))
        )

    assert await followed(answer) == [1, 2]


async def test_a_run_that_waits_ends_the_reading() -> None:
    """The question is the reader's to answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            return httpx.Response(200, content=frames((1, "run.waiting")))
        return httpx.Response(200, json={"status": "waiting"})

    assert await followed(answer) == [1]


async def refusal(answer: Answer) -> Stop:
    with pytest.raises(Stop) as caught:
        await followed(answer)
    return caught.value


async def test_an_error_frame_and_an_error_status_are_said_at_once() -> None:
    """Coming back would meet the same."""
    problem: dict[str, Any] = {
        "title": "Gone",
        "detail": "The cursor cannot be served.",
        "code": "cursor_gone",
    }
    frame = b"event: error\ndata: " + json.dumps(problem).encode() + b"\n\n"
    for answer in (httpx.Response(200, content=frame), httpx.Response(410, json=problem)):
        error = await refusal(lambda _, answer=answer: answer)
        assert (error.what, error.code) == (problem["detail"], "cursor_gone")


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not before a restart would be over."""
    monkeypatch.setattr(module, "PATIENCE_S", 0)

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    assert (await refusal(answer)).exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"host": "0.0.0.0", "port": 81}, "http://127.0.0.1:81"),
        ({"host": "::1", "port": 81}, "http://[::1]:81"),
        ({"url": "https://agents.example/"}, "https://agents.example"),
    ],
)
def test_the_address_is_the_settings_own_server(given: dict[str, Any], address: str) -> None:
    """What is bound is not always what can be called."""
    from landline.app.settings import Settings

    assert address_of(Settings(**given)) == address
