"""Counting that servers share through a real Redis, and what becomes of it when Redis hangs, dies and comes back."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from landline.gates.limits import Limiter, parse, parse_all
from landline.gates.limits.rules import Rule
from landline.gates.limits.shared import AGAIN_S, RENEW_S, SharedLimits
from landline.model.callers import LOCAL
from landline.model.errors import RateLimited
from landline.testing.clock import VirtualClock
from tests.redis import OwnRedis

pytestmark = pytest.mark.contract("TRU-8")

Pair = tuple[SharedLimits, SharedLimits]
AWAY_S = 1.0
"""What a Redis that hangs may cost, once."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def pair(redis: OwnRedis, clock: VirtualClock) -> AsyncIterator[Pair]:
    """Two servers' limits."""
    made = SharedLimits(redis.url, clock), SharedLimits(redis.url, clock)
    yield made
    for shared in made:
        await shared.close()


async def quiet(shared: SharedLimits) -> None:
    """Wait until what was begun beside the requests is done."""
    async with asyncio.timeout(5):
        while shared._tasks:  # pyright: ignore[reportPrivateUsage] - there is no other bell
            await asyncio.wait(shared._tasks)  # pyright: ignore[reportPrivateUsage] - the same


async def test_two_servers_count_together_and_agree_on_what_is_left(pair: Pair) -> None:
    rule = parse("user: 5/minute requests")
    told = [(await pair[number % 2].count([(rule, "ann")])) for number in range(7)]
    assert [verdict.states[0].remaining for verdict in told] == [4, 3, 2, 1, 0, 0, 0]
    assert [bool(verdict.refused) for verdict in told] == [False] * 5 + [True] * 2
    assert 55 <= told[-1].refused[0].reset_s <= 60
    assert not (await pair[0].count([(rule, "bob")])).refused


async def test_the_window_slides(pair: Pair) -> None:
    rule = Rule("user", None, "requests", 2, 1, "user-requests-1")
    assert not (await pair[0].count([(rule, "ann")])).refused
    await asyncio.sleep(0.6)
    assert not (await pair[1].count([(rule, "ann")])).refused
    assert (await pair[0].count([(rule, "ann")])).refused
    await asyncio.sleep(0.5)  # the first has left the window, the second has not
    assert not (await pair[0].count([(rule, "ann")])).refused
    assert (await pair[1].count([(rule, "ann")])).refused


async def test_a_race_lets_no_more_through_than_the_rule_says(pair: Pair) -> None:
    rule, other = parse("user: 20/minute requests"), parse("tenant: 30/minute requests")
    wanted = [(rule, "ann"), (other, "home")]
    told = await asyncio.gather(*(pair[number % 2].count(wanted) for number in range(60)))
    assert sum(not verdict.refused for verdict in told) == 20
    assert (await pair[0].count([(other, "home")])).states[0].remaining == 9, (
        "what was refused counts nowhere"
    )


async def test_places_are_shared_and_come_back(pair: Pair) -> None:
    rule = parse("tenant: 2 concurrent runs")
    wanted = [(rule, "home")]
    assert not (await pair[0].take(wanted, "a")).refused
    assert not (await pair[1].take(wanted, "b")).refused
    assert (await pair[0].take(wanted, "c")).refused
    assert not (await pair[1].take(wanted, "b")).refused, "its own place"
    pair[1].give_back(wanted, "b")
    await quiet(pair[1])
    assert not (await pair[0].take(wanted, "c")).refused
    pair[1].hold(wanted, "d")
    await quiet(pair[1])
    pair[0].give_back(wanted, "a")
    await quiet(pair[0])
    assert (await pair[0].take(wanted, "e")).refused, "what goes on already counts as well"
    await pair[0].close()
    await pair[1].close()


async def test_what_was_given_back_at_once_is_not_held_by_what_comes_late(pair: Pair) -> None:
    wanted = [(parse("tenant: 1 concurrent run"), "home")]
    for number in range(50):
        pair[0].hold(wanted, f"r{number}")
        pair[0].give_back(wanted, f"r{number}")
    await quiet(pair[0])
    assert not (await pair[1].take(wanted, "other")).refused


async def test_a_server_that_stops_gives_its_places_back(
    redis: OwnRedis, pair: Pair, clock: VirtualClock
) -> None:
    wanted = [(parse("tenant: 1 concurrent run"), "home")]
    leaving = SharedLimits(redis.url, clock)
    await leaving.take(wanted, "a")
    assert (await pair[0].take(wanted, "b")).refused
    await leaving.close()
    assert not (await pair[0].take(wanted, "b")).refused


async def test_what_is_held_lapses_unless_it_is_renewed(
    redis: OwnRedis, pair: Pair, clock: VirtualClock
) -> None:
    """A server that was killed gives nothing back, and must not hold for ever."""
    wanted = [(parse("tenant: 1 concurrent run"), "home")]
    await pair[0].take(wanted, "a")
    key = (await pair[0]._redis.keys("*"))[0]  # pyright: ignore[reportPrivateUsage] - Redis itself is looked at
    first = await pair[0]._redis.zscore(key, "a")  # pyright: ignore[reportPrivateUsage] - the same
    assert 25_000 < await pair[0]._redis.pttl(key) <= 30_000  # pyright: ignore[reportPrivateUsage] - the same
    await asyncio.sleep(0.05)
    await clock.advance(RENEW_S)
    await quiet(pair[0])
    assert await pair[0]._redis.zscore(key, "a") >= first + 50  # pyright: ignore[reportPrivateUsage] - the same


async def test_a_redis_that_hangs_costs_one_second_once_and_nothing_fails(
    redis: OwnRedis, clock: VirtualClock, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limiter(
        parse_all(["user: 5/minute requests", "ip: 9/minute requests"]), clock=clock, shared=pair[0]
    )
    tally = await limits.arrived("192.0.2.1")
    await limits.admitted(tally, LOCAL)
    redis.pause()
    try:
        took: list[float] = []
        refused = 0
        with caplog.at_level(logging.WARNING, "landline.limits"):
            for _ in range(20):
                began = time.monotonic()
                try:
                    await limits.admitted(await limits.arrived("192.0.2.1"), LOCAL)
                except RateLimited:
                    refused += 1
                took.append(time.monotonic() - began)
            # It still hangs when it is looked at again, and no request waits for that.
            await clock.advance(AGAIN_S)
            began = time.monotonic()
            for _ in range(20):
                with pytest.raises(RateLimited):
                    await limits.admitted(await limits.arrived("192.0.2.1"), LOCAL)
            took.append(time.monotonic() - began)
            await quiet(pair[0])
        assert took[0] <= AWAY_S
        assert sum(took[1:]) < AWAY_S
        assert refused == 15, "this process counts by itself"
        assert [record.message for record in caplog.records if "does not answer" in record.message] == [
            "Redis does not answer (TimeoutError): limits are counted in this process until it does"
        ]
        assert pair[0].away
    finally:
        redis.wake()
    await clock.advance(AGAIN_S)
    await quiet(pair[0])
    assert not pair[0].away
    assert (await pair[1].count([(parse("user: 5/minute requests"), "local\nlocal")])).states[
        0
    ].remaining == 3


async def test_many_at_once_wait_for_a_redis_that_hangs_together(redis: OwnRedis, pair: Pair) -> None:
    rule = parse("user: 1000/minute requests")
    await pair[0].count([(rule, "ann")])
    redis.pause()
    try:
        began = time.monotonic()
        await asyncio.gather(*(pair[0].count([(rule, "ann")]) for _ in range(50)))
        assert time.monotonic() - began <= AWAY_S
    finally:
        redis.wake()


async def test_a_redis_that_is_killed_and_comes_back_takes_over_again(
    redis: OwnRedis, pair: Pair, clock: VirtualClock
) -> None:
    held, rule = [(parse("tenant: 1 concurrent run"), "home")], parse("user: 2/minute requests")
    await pair[0].take(held, "a")
    redis.kill()
    assert not (await pair[0].count([(rule, "ann")])).refused
    assert (await pair[0].take(held, "b")).refused, "what goes on is known here too"
    assert not (await pair[1].count([(rule, "ann")])).refused
    await redis.start()
    for shared in pair:
        await clock.advance(AGAIN_S)
        await quiet(shared)
    assert not pair[0].away
    assert not pair[1].away
    assert (await pair[1].take(held, "c")).refused, "Redis forgot, and was told again"


async def test_without_a_redis_at_the_start_the_server_starts(clock: VirtualClock) -> None:
    shared = SharedLimits("redis://127.0.0.1:1/0", clock)
    await shared.open()
    assert shared.away
    rule = parse("user: 1/minute requests")
    assert not (await shared.count([(rule, "ann")])).refused
    assert (await shared.count([(rule, "ann")])).refused
    await shared.close()


async def test_who_somebody_is_does_not_stand_in_redis(pair: Pair) -> None:
    await pair[0].count(
        [
            (parse("user: 5/minute requests"), "home\nann@example.com"),
            (parse("ip: 5/minute requests"), "192.0.2.77"),
        ]
    )
    for key in await pair[0]._redis.keys("*"):  # pyright: ignore[reportPrivateUsage] - Redis itself is looked at
        assert b"ann" not in key
        assert b"192.0.2" not in key
