"""Counting in one process: exact, all or nothing, and bounded."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landline.gates.limits import parse
from landline.gates.limits.windows import MOST_PARTITIONS, LocalLimits
from landline.testing.clock import VirtualClock

pytestmark = pytest.mark.contract("TRU-8")


@given(gaps=st.lists(st.floats(min_value=0, max_value=30), max_size=200), most=st.integers(1, 7))
async def test_no_span_of_the_window_holds_more_than_the_rule_says(gaps: list[float], most: int) -> None:
    """A window that begins anew at each full minute lets twice as many through at its edge."""
    clock = VirtualClock()
    limits, rule = LocalLimits(clock), parse(f"user: {most}/minute requests")
    let_through: list[float] = []
    for gap in gaps:
        await clock.advance(gap)
        now = clock.steady()
        held = sum(
            at > now - 60 for at in let_through
        )  # `now - at < 60` is rounded the other way at the very edge
        verdict = limits.count([(rule, "ann")])
        assert bool(verdict.refused) == (held >= most)
        if not verdict.refused:
            let_through.append(now)
        assert verdict.states[0].remaining == most - min(most, held + (not verdict.refused))


async def test_the_time_that_is_told_is_the_time_when_there_is_more() -> None:
    clock = VirtualClock()
    limits, rule = LocalLimits(clock), parse("user: 2/minute requests")
    limits.count([(rule, "ann")])
    await clock.advance(20)
    limits.count([(rule, "ann")])
    refused = limits.count([(rule, "ann")]).refused[0]
    assert (refused.remaining, refused.reset_s) == (0, 40)
    await clock.advance(39.9)
    assert limits.count([(rule, "ann")]).refused
    await clock.advance(0.1)
    assert not limits.count([(rule, "ann")]).refused


async def test_what_one_rule_refuses_counts_under_none() -> None:
    """Whoever is held back by the tenant's limit has not used up an own one."""
    limits = LocalLimits(VirtualClock())
    wide, narrow = parse("user: 3/minute requests"), parse("tenant: 1/minute requests")
    assert not limits.count([(wide, "ann"), (narrow, "home")]).refused
    assert [state.name for state in limits.count([(wide, "ann"), (narrow, "home")]).refused] == [narrow.name]
    assert limits.count([(wide, "ann")]).states[0].remaining == 1


async def test_a_hundred_thousand_addresses_take_bounded_memory() -> None:
    """A flood of addresses is what a limit is for."""
    clock = VirtualClock()
    limits, rule, other = (
        LocalLimits(clock),
        parse("ip: 600/minute requests"),
        parse("user: 2/minute requests"),
    )
    limits.count([(other, "ann")])
    limits.count([(other, "ann")])
    tracemalloc.start()
    for number in range(100_000):
        limits.count([(rule, f"198.18.{number >> 8}.{number & 255}")])
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(limits) == MOST_PARTITIONS + 1
    assert used < 25 * 1024 * 1024
    assert limits.count([(other, "ann")]).refused, "a flood of addresses must not push out users"
    await clock.advance(61)
    for number in range(MOST_PARTITIONS):
        limits.count([(rule, f"203.0.{number >> 8}.{number & 255}")])
    assert len(limits) <= MOST_PARTITIONS + 1


async def test_who_comes_always_is_not_forgotten_for_who_came_once() -> None:
    limits, rule = LocalLimits(VirtualClock(), most=100), parse("ip: 50/minute requests")
    refused = False
    for number in range(5_000):
        limits.count([(rule, f"once {number}")])
        if number % 50 == 0:
            refused = bool(limits.count([(rule, "always")]).refused)
    assert refused


async def test_a_place_is_held_until_it_is_given_back_and_once_for_one_holder() -> None:
    limits, rule = LocalLimits(VirtualClock()), parse("user: 2 concurrent runs")
    wanted = [(rule, "ann")]
    for token in ("a", "b", "a"):
        assert not limits.take(wanted, token).refused
    assert limits.take(wanted, "c").refused
    assert not limits.take([(rule, "bob")], "d").refused
    limits.hold(wanted, "e")
    limits.give_back(wanted, "a")
    limits.give_back(wanted, "a")
    assert limits.take(wanted, "c").refused, "b and e hold both places"
    limits.give_back(wanted, "b")
    assert not limits.take(wanted, "c").refused
    for token in ("c", "e", "d"):
        limits.give_back(wanted if token != "d" else [(rule, "bob")], token)
    assert len(limits) == 0
