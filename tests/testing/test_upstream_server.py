"""The scripted upstream as a running server: what a test sees of it, its pace, its end, its process."""

import asyncio
import re
import socket
import sys
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from openai import AsyncOpenAI

from landline.testing.upstream import Cut, Defaults, Echo, Request, ScriptedUpstream, Stall, Text, filler


def _client(upstream: ScriptedUpstream | str) -> AsyncOpenAI:
    url = upstream if isinstance(upstream, str) else upstream.base_url
    return AsyncOpenAI(base_url=url, api_key="test", max_retries=0, timeout=5.0)


async def _ask(client: AsyncOpenAI, text: str) -> str:
    messages: Any = [{"role": "user", "content": text}]
    said = ""
    async for chunk in await client.chat.completions.create(model="m", messages=messages, stream=True):
        said += chunk.choices[0].delta.content or ""
    return said


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Stall(after_tokens=1), id="stalled"),
        pytest.param(Text(filler(1000), interval_s=0.02), id="streaming"),
        pytest.param(Text("late", first_token_after_s=60.0), id="before the first token"),
    ],
)
async def test_a_client_that_leaves_is_noticed_within_a_second(reply: Text | Stall) -> None:
    with ScriptedUpstream([reply]) as upstream:
        async with _client(upstream) as client:
            asking = asyncio.create_task(_ask(client, "hi"))
            await upstream.wait_request(0)
            assert upstream.open_streams == 1
            asking.cancel()
            exchange = await upstream.wait_disconnected(0, timeout_s=1.0)
            assert exchange.outcome == "disconnected"
            assert upstream.open_streams == 0
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_a_client_waiting_for_a_whole_answer_is_noticed_too() -> None:
    with ScriptedUpstream([Text("late", first_token_after_s=60.0)]) as upstream:
        async with _client(upstream) as client:
            asking = asyncio.create_task(client.responses.create(model="m", input="hi"))
            await upstream.wait_request(0)
            asking.cancel()
            await upstream.wait_disconnected(0, timeout_s=1.0)
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_waiting_for_a_disconnect_that_cannot_come_says_so() -> None:
    with ScriptedUpstream([Text("done")]) as upstream:
        async with _client(upstream) as client:
            with pytest.raises(TimeoutError, match="has not left request 0"):
                await upstream.wait_disconnected(0, timeout_s=0.01)
            with pytest.raises(TimeoutError, match="request 0 has not come"):
                await upstream.wait_request(0, timeout_s=0.01)
            await _ask(client, "hi")
            with pytest.raises(RuntimeError, match="request 0 ended: completed"):
                await upstream.wait_disconnected(0)
            with pytest.raises(IndexError):
                upstream.exchange(1)


async def test_concurrent_conversations_do_not_mix() -> None:
    """Two hundred at once on one server; each hears its own canary and the gauge returns to zero."""
    with ScriptedUpstream(Echo(tokens=20), defaults=Defaults(interval_s=0.001)) as upstream:
        async with _client(upstream) as client:
            canaries = [f"canary-{i:03}" for i in range(200)]
            answers = await asyncio.gather(*(_ask(client, canary) for canary in canaries))
        assert all(
            set(re.findall(r"canary-\d+", said)) == {c} for c, said in zip(canaries, answers, strict=True)
        )
        assert sorted(request.text for request in upstream.requests) == canaries
        assert [request.index for request in upstream.requests] == list(range(200))
        assert upstream.open_streams == 0


async def test_tokens_keep_their_pace() -> None:
    with ScriptedUpstream([Text(filler(11), interval_s=0.02, first_token_after_s=0.1)]) as upstream:
        async with _client(upstream) as client:
            begun = time.perf_counter()
            await _ask(client, "hi")
            took = time.perf_counter() - begun
    assert 0.29 <= took < 2.0  # 0.1 + 10 * 0.02, and room for a busy machine


async def test_leaving_the_block_ends_what_is_still_streaming() -> None:
    upstream = ScriptedUpstream([Stall()])
    with upstream:
        client = _client(upstream)
        asking = asyncio.create_task(_ask(client, "hi"))
        await upstream.wait_request(0)
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 2.0
    assert upstream.exchange(0).outcome == "faulted"
    assert "scripted-upstream" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(Exception, match="Connection error"):
        await asking
    await client.close()


async def test_only_the_last_requests_are_kept() -> None:
    with ScriptedUpstream(keep=2) as upstream:
        async with _client(upstream) as client:
            for text in ("a", "b", "c"):
                await _ask(client, text)
        assert [(request.index, request.text) for request in upstream.requests] == [(1, "b"), (2, "c")]


async def test_a_scripted_cut_leaves_no_complaint_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="uvicorn.error")
    with ScriptedUpstream([Cut(after_tokens=1)]) as upstream:
        async with _client(upstream) as client:
            with pytest.raises(Exception, match="Connection error"):
                await _ask(client, "hi")
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_taken_port_is_told_at_once() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        pytest.raises(OSError, match="in use"),
        ScriptedUpstream(port=taken.getsockname()[1]),
    ):
        pass


async def test_a_request_shows_what_was_sent() -> None:
    seen: list[Request] = []

    def brain(request: Request) -> Text:
        seen.append(request)
        return Text("ok")

    with ScriptedUpstream(brain) as upstream:
        async with _client(upstream) as client:
            await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "hi"}],
                extra_headers={"X-Trace": "1"},
                temperature=0.5,
            )
    assert seen == upstream.requests
    assert (seen[0].headers["x-trace"], seen[0].body["temperature"], seen[0].stream) == ("1", 0.5, False)


async def test_the_process_serves_answers_of_the_asked_length_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "landline.testing.upstream", "--tokens", "400", "--model", "bench"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = await asyncio.wait_for(process.stdout.readline(), 10.0)
        async with _client(url.decode().strip()) as client:
            said = await _ask(client, "hi")
    finally:
        process.terminate()
        code = await asyncio.wait_for(process.wait(), 5.0)
    assert code == 0
    assert len(said.split()) == 400
    assert said.startswith("echo: hi t0 t1 ")
