"""The wire under the real clients: nothing waits, what waits is merged, a slow reader slows the provider, a stop stops."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest

from landline.upstream.streams import fit, http_client, legacy_http_client
from landline.upstream.streams.network import MergingBackend
from landline.upstream.streams.pool import Pool
from tests.upstream.streams.provider import Answer, Provider, provider, say_all
from tests.upstream.streams.test_merging import TEXTS, events, story
from tests.upstream.streams.wires import WIRES, chat

BOUND_S = 20.0
LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
TOKENS = [event for event in chat([f"word{n} " for n in range(40)], [], []) if b"word" in event]


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Any:
    return LIBRARIES[request.param]


@pytest.fixture(params=[False, True], ids=["clear", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=["pool", "backend"])
async def client(library: Any, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    # A client that tries connections again is not of the plain case: there the pool stays its own.
    transport = library.AsyncHTTPTransport(
        verify=False, trust_env=False, retries=0 if request.param == "pool" else 1
    )
    async with library.AsyncClient(transport=transport) as made:
        assert fit(made).fitted
        assert isinstance(transport._pool, Pool) == (request.param == "pool")
        yield made


async def read(client: Any, to: Provider, seen: Callable[[bytes], None] = lambda _: None) -> bytes:
    got = b""
    async with asyncio.timeout(BOUND_S), client.stream("POST", to.url, json={"stream": True}) as response:
        async for piece in response.aiter_bytes():
            seen(piece)
            got += piece
    return got


@pytest.mark.contract("PRF-2")
async def test_a_token_does_not_wait_for_another(client: Any, tls: bool) -> None:
    came = asyncio.Event()

    async def one_by_one(answer: Answer) -> None:
        await answer.start()
        for event in TOKENS:
            came.clear()
            await answer.say(event)
            await came.wait()
        await answer.end()

    async with provider(one_by_one, tls=tls) as upstream:
        assert await read(client, upstream, lambda _: came.set()) == b"".join(TOKENS)


@pytest.mark.contract("PRF-2", "PRF-3")
async def test_tokens_that_wait_come_as_one(client: Any, tls: bool) -> None:
    async def ahead_of_the_reader(answer: Answer) -> None:
        await answer.start()
        await answer.say(TOKENS[0])
        await busy.wait()
        await answer.say(*TOKENS[1:])
        await answer.end()
        ahead.set()

    busy, ahead = asyncio.Event(), asyncio.Event()
    async with (
        asyncio.timeout(BOUND_S),
        provider(ahead_of_the_reader, tls=tls) as upstream,
        client.stream("POST", upstream.url, json={}) as response,
    ):
        pieces = response.aiter_bytes()
        assert await anext(pieces) == TOKENS[0]
        busy.set()
        await ahead.wait()
        rest = b"".join([piece async for piece in pieces])
    assert story(rest) == story(b"".join(TOKENS[1:]))
    # Under TLS the kernel may give less than all at a time.
    assert len(events(rest)) <= (8 if tls else 2)


@pytest.mark.parametrize("wire", WIRES)
async def test_without_us_each_event_is_an_event(library: Any, wire: str) -> None:
    whole = WIRES[wire](*TEXTS)
    async with provider(say_all(whole)) as upstream, library.AsyncClient(trust_env=False) as client:
        plain = await read(client, upstream)
        assert plain == b"".join(whole)
        fit(client)
        merged = await read(client, upstream)
    assert story(merged) == story(plain)
    assert len(events(merged)) < len(events(plain))


async def test_a_slow_reader_is_felt_by_the_provider(client: Any, tls: bool) -> None:
    answers: list[Answer] = []
    event = TOKENS[0].replace(b"word0", b"w" * 8_000)
    many = 8_000

    async def as_fast_as_it_goes(answer: Answer) -> None:
        answers.append(answer)
        await answer.start()
        for _ in range(many):
            await answer.say(event)
        await answer.end()

    async with (
        asyncio.timeout(60),
        provider(as_fast_as_it_goes, tls=tls) as upstream,
        client.stream("POST", upstream.url, json={}) as response,
    ):
        pieces = response.aiter_bytes()
        await anext(pieces)
        # As long as more is taken, wait; then the provider stands still while the reader does.
        before = -1
        while before != answers[0].sent:
            before = answers[0].sent
            await asyncio.sleep(0.2)  # the kernel's buffers fill without telling anybody
        assert before < 20_000_000 < many * len(event)
        said = 0
        async for piece in pieces:
            said += piece.count(b"w")
    assert said > (many - 200) * 8_000


@pytest.mark.parametrize("how", ["cancel", "break"])
async def test_who_stops_reading_closes_the_connection(client: Any, tls: bool, how: str) -> None:
    closed, begun = asyncio.Event(), asyncio.Event()

    async def until_hung_up(answer: Answer) -> None:
        await answer.start()
        await answer.say(TOKENS[0])
        if await answer.hung_up():
            closed.set()

    async def stop_early(to: Provider) -> None:
        async with client.stream("POST", to.url, json={}) as response:
            async for _ in response.aiter_bytes():
                begun.set()
                if how == "break":
                    break

    async with provider(until_hung_up, tls=tls) as upstream, asyncio.timeout(BOUND_S):
        before = asyncio.all_tasks()
        reading = asyncio.create_task(stop_early(upstream))
        await begun.wait()
        if how == "cancel":
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        else:
            await reading
        await closed.wait()
        # httpx leaves generators that the loop closes in tasks of its own.
        ours = [task for task in asyncio.all_tasks() - before if not re.search("serve|athrow", repr(task))]
        assert ours == []


async def test_a_read_times_out_as_the_client_says(client: Any, library: Any, tls: bool) -> None:
    over = asyncio.Event()

    async def then_silence(answer: Answer) -> None:
        await answer.start()
        await answer.say(TOKENS[0])
        await answer.raw(b"40\r\ndata: half")
        await over.wait()

    got: list[bytes] = []
    client.timeout = library.Timeout(10, read=0.3)
    async with provider(then_silence, tls=tls) as upstream:
        with pytest.raises(library.ReadTimeout):
            await read(client, upstream, got.append)
        over.set()
    assert b"".join(got) == TOKENS[0] + b"data: half"


async def test_a_provider_that_hangs_up_is_an_error_after_what_it_said(
    client: Any, library: Any, tls: bool
) -> None:
    async def cut(answer: Answer) -> None:
        await answer.start()
        await answer.raw(b"%x\r\n%b\r\n40\r\ndata: half" % (len(TOKENS[0]), TOKENS[0]))
        answer.writer.close()

    got: list[bytes] = []
    async with provider(cut, tls=tls) as upstream:
        with pytest.raises(library.RemoteProtocolError):
            await read(client, upstream, got.append)
    assert b"".join(got) == TOKENS[0] + b"data: half"


async def test_one_connection_serves_many_requests(client: Any, tls: bool) -> None:
    async with provider(say_all(TOKENS), tls=tls) as upstream:
        for _ in range(4):
            assert story(await read(client, upstream)) == story(b"".join(TOKENS))
    assert (upstream.connections, upstream.requests) == (1, 4)


async def test_answers_of_other_kinds_pass_between_streams(client: Any) -> None:
    body = b"".join(TOKENS[:3])

    async def plain_then_stream(answer: Answer) -> None:
        if upstream.requests == 2:
            await say_all(TOKENS[:3])(answer)
        else:
            head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            await answer.raw(head + b"content-length: %d\r\n\r\n%b" % (len(body), body))

    async with provider(plain_then_stream) as upstream:
        assert await read(client, upstream) == body
        assert len(events(await read(client, upstream))) == 1
        assert await read(client, upstream) == body


async def test_a_packed_stream_passes_untouched(client: Any) -> None:
    import gzip

    packed = gzip.compress(b"".join(TOKENS))

    async def gzipped(answer: Answer) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
        await answer.raw(head + b"transfer-encoding: chunked\r\n\r\n")
        await answer.say(packed)
        await answer.end()

    async with provider(gzipped) as upstream:
        assert await read(client, upstream) == b"".join(TOKENS)


async def test_fitting_twice_is_fitting_once_and_each_is_undone(library: Any) -> None:
    async with library.AsyncClient(mounts={"http://x": library.AsyncHTTPTransport()}) as client:
        pools = [client._transport._pool, client._mounts[next(iter(client._mounts))]._pool]
        before = [pool._network_backend for pool in pools]

        def found() -> list[Any]:
            return [client._transport._pool, client._mounts[next(iter(client._mounts))]._pool]

        one, two = fit(client), fit(client)
        for _ in range(2):
            assert [pool.inner for pool in found() if isinstance(pool, Pool)] == pools
            assert all(isinstance(pool._network_backend, MergingBackend) for pool in pools)
            assert [pool._network_backend.inner for pool in pools] == before
            one.undo()
        two.undo()
        assert found() == pools
        assert [pool._network_backend for pool in pools] == before


async def test_a_client_without_a_pool_is_left_alone(library: Any) -> None:
    transport = library.MockTransport(lambda _: library.Response(200))  # pyright: ignore[reportUnknownLambdaType] - of two libraries
    async with library.AsyncClient(transport=transport) as client:
        fitting = fit(client)
        assert not fitting.fitted
        fitting.undo()


async def test_the_process_has_one_client_of_each_library() -> None:
    for make, library in ((http_client, httpx2), (legacy_http_client, httpx)):
        client: Any = make()
        assert isinstance(client, library.AsyncClient)
        assert make() is client
        async with provider(say_all(TOKENS)) as upstream:
            assert len(events(await read(client, upstream))) == 1
        await client.aclose()
        assert make() is not client
        await make().aclose()
