"""The places of our pool under real clients: limits, what is used again, what ended or was cancelled, other loops."""

import asyncio
import random
import sys
from typing import Any

import pytest
import uvloop

from landline.upstream.streams import fit
from tests.upstream.streams.pooled import ANSWER, LIBRARIES, answers, places, pooled, until
from tests.upstream.streams.provider import Answer, Provider, provider


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Any:
    return LIBRARIES[request.param]


async def test_connections_are_used_again_and_the_longest_idle_go_first(library: Any) -> None:
    limits = library.Limits(max_connections=10, max_keepalive_connections=2, keepalive_expiry=60)
    async with provider(answers) as upstream, pooled(library, limits=limits) as client:
        assert [(await client.get(upstream.url)).text for _ in range(5)] == ["ok"] * 5
        assert upstream.connections == 1
        await asyncio.gather(*(client.get(upstream.url) for _ in range(5)))
        assert upstream.connections == 5
        assert len(client._transport._pool.connections) == 2
        assert places(client)._taken == 2


async def test_what_was_idle_too_long_is_not_used(library: Any) -> None:
    limits = library.Limits(keepalive_expiry=0.05)
    async with provider(answers) as upstream, pooled(library, limits=limits) as client:
        await client.get(upstream.url)
        await asyncio.sleep(0.1)
        await client.get(upstream.url)
        assert upstream.connections == 2
        assert places(client)._taken == 1


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"!"])
@pytest.mark.parametrize("seen", [True, False], ids=["the loop knows", "only the kernel knows"])
async def test_an_idle_connection_that_ended_or_spoke_is_not_used(
    library: Any, unasked: bytes, seen: bool
) -> None:
    async def then_more(answer: Answer) -> None:
        await answer.raw(ANSWER)
        idle.set()
        await go.wait()
        if unasked:
            await answer.raw(unasked)
        else:
            answer.writer.close()
            await answer.writer.wait_closed()
        if not seen:
            # In this very pass the client asks again, before its loop has looked at the socket.
            asked.append(asyncio.create_task(client.get(upstream.url)))

    idle, go, asked = asyncio.Event(), asyncio.Event(), list[Any]()
    async with provider(then_more) as upstream, pooled(library) as client:
        await client.get(upstream.url)
        await idle.wait()
        go.set()
        await until(lambda: not places(client)._since if seen else bool(asked))
        response = await (asked[0] if asked else client.get(upstream.url))
        assert (response.text, upstream.connections) == ("ok", 2)
        for task in asked[1:]:
            await task


async def test_no_place_in_time_is_a_pool_timeout(library: Any) -> None:
    async def slowly(answer: Answer) -> None:
        await go.wait()
        await answer.raw(ANSWER)

    go = asyncio.Event()
    limits, timeout = library.Limits(max_connections=1), library.Timeout(10, pool=0.1)
    async with provider(slowly) as upstream, pooled(library, limits=limits, timeout=timeout) as client:
        first = asyncio.create_task(client.get(upstream.url))
        await until(lambda: upstream.requests == 1)
        with pytest.raises(library.PoolTimeout):
            await client.get(upstream.url)
        go.set()
        assert (await first).text == "ok"
        assert not places(client)._waiting
        assert (await client.get(upstream.url)).text == "ok"
        assert upstream.connections == 1


async def test_who_waits_gets_a_place_in_order_from_another_origin_too(library: Any) -> None:
    limits = library.Limits(max_connections=1)
    async with (
        provider(answers) as one,
        provider(answers) as two,
        pooled(library, limits=limits) as client,
    ):
        done: list[str] = []

        async def ask(to: Provider) -> None:
            assert (await client.get(to.url)).text == "ok"
            done.append(to.url)

        order = [one, one, two, one, two, two]
        await asyncio.gather(*(ask(to) for to in order))
        assert done == [to.url for to in order]
        assert places(client)._taken == 1


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_storm_of_cancellations_leaves_nothing_behind(library: Any, tls: bool, loop: Any) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(storm(library, tls=tls))


async def storm(library: Any, *, tls: bool) -> None:
    chance = random.Random(7)

    async def in_pieces(answer: Answer) -> None:
        await asyncio.sleep(chance.random() / 50)
        for at in range(0, len(ANSWER), 10):
            await answer.raw(ANSWER[at : at + 10])
            await asyncio.sleep(0)

    async def one(to: Provider) -> None:
        async with client.stream("POST", to.url, json={}) as response:
            assert await response.aread() == b"ok"

    limits = library.Limits(max_connections=20, max_keepalive_connections=5)
    async with provider(in_pieces, tls=tls) as upstream, pooled(library, limits=limits) as client:
        tasks = [asyncio.create_task(one(upstream)) for _ in range(200)]
        for task in tasks:
            if chance.random() < 0.7:
                asyncio.get_running_loop().call_later(chance.random() / 4, task.cancel)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended} == {type(None), asyncio.CancelledError}
        held = places(client)
        assert held._taken == len(held.open) == len(held._since) <= 5
        assert not held._waiting
        await until(lambda: len(upstream.open) <= 5)
        await asyncio.gather(*(one(upstream) for _ in range(40)))
        assert held._taken <= 5


def test_in_a_second_loop_connections_of_the_first_are_dropped(library: Any) -> None:
    client = library.AsyncClient(trust_env=False)
    fit(client)

    async def ask(*, last: bool) -> int:
        async with provider(answers) as upstream:
            for _ in range(2):
                assert (await client.get(upstream.url)).text == "ok"
            assert len(client._transport._pool.connections) == 1
            if last:
                await client.aclose()
            else:
                # Else the closed loop would complain of it, as it does of a core's.
                held.append(places(client))
                held[0].retire()
                await asyncio.sleep(0)
            return upstream.connections

    held: list[Any] = []
    assert asyncio.run(ask(last=False)) == 1
    assert asyncio.run(ask(last=True)) == 1
    assert client._transport._pool._places is not held[0]


async def test_many_open_streams_do_not_make_a_request_dearer(library: Any) -> None:
    async def never_ends(answer: Answer) -> None:
        head = await asyncio.wait_for(answer.reader.read(0), 1)
        assert head == b""
        await answer.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await over.wait()

    def count(frame: Any, event: str, _: Any) -> None:
        calls.append(event)

    async def cost() -> int:
        calls.clear()
        await client.get(quick.url)
        sys.setprofile(count)
        try:
            await client.get(quick.url)
        finally:
            sys.setprofile(None)
        return len(calls)

    over, calls, costs = asyncio.Event(), list[str](), list[int]()
    limits = library.Limits(max_connections=600, max_keepalive_connections=600)
    async with (
        provider(answers) as quick,
        provider(never_ends) as endless,
        pooled(library, limits=limits, timeout=60) as client,
    ):
        streams: list[Any] = []
        for many in (5, 500):
            while len(streams) < many:
                request = client.build_request("POST", endless.url, json={})
                streams.append(await client.send(request, stream=True))
            costs.append(min([await cost() for _ in range(5)]))
        for stream in streams:
            await stream.aclose()
        over.set()
    assert costs[1] < costs[0] * 1.1


async def test_a_pool_that_is_closed_closes_what_is_open(library: Any) -> None:
    async def half(answer: Answer) -> None:
        await answer.raw(ANSWER[:-1])
        assert await answer.hung_up()

    async with provider(half) as upstream, pooled(library) as client:
        response = await client.send(client.build_request("GET", upstream.url), stream=True)
        reading = asyncio.create_task(response.aread())
        await asyncio.sleep(0.05)
        await client._transport._pool.aclose()
        with pytest.raises(library.ReadError):
            await reading
        assert places(client)._taken == 0


async def test_undone_while_a_response_is_read_it_is_read_to_its_end(library: Any) -> None:
    async def halves(answer: Answer) -> None:
        await answer.raw(ANSWER[:-1])
        await go.wait()
        await answer.raw(ANSWER[-1:])

    go = asyncio.Event()
    async with provider(halves) as upstream, library.AsyncClient(trust_env=False) as client:
        fitting = fit(client)
        pool = client._transport._pool
        async with client.stream("GET", upstream.url) as response:
            fitting.undo()
            assert client._transport._pool is pool.inner
            go.set()
            assert await response.aread() == b"ok"
        assert pool._places._taken == 0
        assert (await client.get(upstream.url)).text == "ok"
