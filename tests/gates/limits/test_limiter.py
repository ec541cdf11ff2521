"""Whose doings count under which rule, and what is said when one is full."""

from dataclasses import replace

import pytest

from landline.gates.limits import Limiter, parse_all
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Forbidden, RateLimited
from landline.testing.clock import VirtualClock

pytestmark = pytest.mark.contract("TRU-8")

ANN = Caller(tenant="home", user="ann", key_id="k1")


def limiter(
    *rules: str, clock: VirtualClock | None = None, failures: tuple[int, int] | None = None
) -> Limiter:
    return Limiter(parse_all(rules), clock=clock or VirtualClock(), failures=failures)


async def asks(limits: Limiter, caller: Caller, address: str = "192.0.2.1") -> bool:
    """Whether a request is let through."""
    try:
        await limits.admitted(await limits.arrived(address), caller)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize(
    ("rule", "same", "other"),
    [
        ("user: 1/minute requests", replace(ANN, key_id="k2"), replace(ANN, user="bob")),
        ("user: 1/minute requests", ANN, replace(ANN, tenant="away")),
        ("key: 1/minute requests", ANN, replace(ANN, key_id="k2")),
        ("tenant: 1/minute requests", replace(ANN, user="bob"), replace(ANN, tenant="away")),
        ("tier:free: 1/minute requests", ANN, replace(ANN, tier="premium")),
        ("tier:free: 1/minute requests", ANN, replace(ANN, key_id="k2")),
    ],
)
async def test_a_scope_adds_up_the_doings_of_its_own(rule: str, same: Caller, other: Caller) -> None:
    limits = limiter(rule)
    assert await asks(limits, ANN)
    assert not await asks(limits, same)
    assert await asks(limits, other)


async def test_every_rule_that_holds_is_told_and_the_fullest_one_refuses() -> None:
    limits = limiter("user: 2/minute requests", "tier:premium: 9/minute requests", "ip: 5/minute requests")
    tally = await limits.arrived("192.0.2.1")
    await limits.admitted(tally, ANN)
    assert {name: state.remaining for name, state in tally.states.items()} == {
        "ip-requests-60": 4,
        "user-requests-60": 1,
    }
    await asks(limits, ANN)
    with pytest.raises(RateLimited) as refused:
        await limits.admitted(await limits.arrived("192.0.2.1"), ANN)
    assert refused.value.detail == "Too often: 2 requests per minute are allowed for a user."
    assert refused.value.retry_after_s == 60
    assert [(state.name, state.remaining) for state in refused.value.states] == [
        ("ip-requests-60", 2),
        ("user-requests-60", 0),
    ]


async def test_a_keys_own_limits_come_on_top_of_the_servers() -> None:
    limits = limiter("user: 3/minute requests")
    strict = replace(ANN, limits={"requests": "1/minute", "runs": "2/minute", "money": "5 EUR"})
    assert await asks(limits, strict)
    assert not await asks(limits, strict)
    assert await asks(limits, ANN)
    await limits.run(strict, "bank")
    await limits.run(strict, "bank")
    with pytest.raises(RateLimited):
        await limits.run(strict, "bank")
    await limits.run(ANN, "bank")


async def test_a_keys_limit_that_cannot_be_read_lets_nothing_through() -> None:
    """Nobody looks at a limit that does nothing until it is too late."""
    limits = limiter()
    with pytest.raises(Forbidden, match="runs"):
        await limits.run(replace(ANN, limits={"runs": "ten"}), "bank")


async def test_landline_itself_is_not_limited() -> None:
    """Recovery must not wait for a user's window."""
    limits = limiter("tenant: 1/minute runs")
    for _ in range(3):
        await limits.run(SYSTEM, "bank")


async def test_an_agents_limit_adds_up_all_callers_and_no_other_agent() -> None:
    limits = limiter("agent:bank: 1/minute runs")
    await limits.run(ANN, "bank")
    with pytest.raises(RateLimited, match="this agent"):
        await limits.run(replace(ANN, tenant="away"), "bank")
    await limits.run(ANN, "notes")


async def test_failed_sign_ins_shut_an_address_out_and_let_it_in_again() -> None:
    clock = VirtualClock()
    limits = limiter(clock=clock, failures=(3, 60))
    for _ in range(3):
        await limits.not_signed_in(await limits.arrived("192.0.2.1"))
    with pytest.raises(RateLimited) as refused:
        await limits.arrived("192.0.2.1")
    assert refused.value.code == "too_many_failed_sign_ins"
    assert refused.value.retry_after_s is not None
    await limits.arrived("192.0.2.2")
    await clock.advance(refused.value.retry_after_s)
    await limits.arrived("192.0.2.1")


async def test_a_stream_holds_its_place_and_a_second_release_frees_no_other() -> None:
    limits = limiter("user: 1 stream")
    tally = await limits.arrived("192.0.2.1")
    release = await limits.stream(tally, ANN)
    with pytest.raises(RateLimited, match="at once") as refused:
        await limits.stream(tally, ANN)
    assert refused.value.code == "too_many_at_once"
    release()
    await limits.stream(tally, ANN)
    release()
    with pytest.raises(RateLimited):
        await limits.stream(tally, ANN)
