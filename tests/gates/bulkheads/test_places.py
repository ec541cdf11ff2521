"""The places by themselves: whatever runs do, bounds hold, nothing leaks, and nobody is passed over (RES-6)."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landline.gates.bulkheads.places import Bound, Full, Places, Ticket

pytestmark = pytest.mark.contract("RES-6")

UPSTREAMS, TENANTS, USERS = ("a", "b"), ("x", "y", "z"), ("1", "2")


def bounded(upstream: int | None = 1, tenant: int | None = None, queue: int = 1000) -> Places:
    def of(at_once: int | None) -> Bound | None:
        return None if at_once is None else Bound(at_once, queue, 60.0)

    return Places(lambda _: of(upstream), lambda _: of(tenant))


class Runs:
    """Makes tickets, and notes who was let begin in which order."""

    def __init__(self, places: Places) -> None:
        self.places, self.began, self._number = places, list[str](), 0

    def begin(
        self, tenant: str = "x", user: str = "1", upstream: str = "a", parent: Ticket | None = None
    ) -> Ticket:
        self._number += 1
        ticket = Ticket(f"{tenant}{user}.{self._number}", upstream, tenant, user, parent)
        ticket.granted = lambda: self.began.append(ticket.run_id)
        self.places.enter(ticket)
        return ticket


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("begin", "begin", "child", "reserve", "enter", "end", "lend", "back")),
        st.sampled_from(UPSTREAMS),
        st.sampled_from(TENANTS),
        st.sampled_from(USERS),
        st.integers(0, 50),
    ),
    max_size=80,
)


@given(STEPS, st.sampled_from((None, 1, 2, 3)), st.sampled_from((None, 1, 2)))
def test_whatever_runs_do_bounds_hold_no_place_is_idle_and_none_is_lost(
    steps: list[tuple[str, str, str, str, int]], upstream: int | None, tenant: int | None
) -> None:
    places = bounded(upstream, tenant, queue=5)
    live: list[Ticket] = []
    for number, (what, where, whose, who, pick) in enumerate(steps):
        one = live[pick % len(live)] if live else None
        ticket = Ticket(f"r{number}", where, whose, who)
        if what == "begin":
            places.enter(ticket)
            live.append(ticket)
        elif what == "child" and one is not None and one.state != "reserved":
            ticket.parent = one
            places.enter(ticket)
            live.append(ticket)
        elif what == "reserve":
            try:
                places.reserve(ticket)
                live.append(ticket)
            except Full:
                pass
        elif one is None:
            continue
        elif what == "enter" and one.state == "reserved":
            places.enter(one)
        elif what == "end":
            live.remove(one)
            places.leave(one)
            places.leave(one)  # a second time changes nothing
        elif what == "lend":
            places.lend(one)
        elif what == "back":
            places.take_back(one)
        _check(places, live, upstream, tenant)
    for ticket in live:
        places.leave(ticket)
    assert places.remembered == 0
    assert [(places.held(name), places.waiting(name)) for name in UPSTREAMS] == [(0, 0)] * 2


def _check(places: Places, live: list[Ticket], upstream: int | None, tenant: int | None) -> None:
    held = [ticket for ticket in live if ticket.state == "held"]
    by_upstream, by_tenant = Counter(t.upstream for t in held), Counter(t.tenant for t in held)
    assert all(places.held(name) == by_upstream[name] for name in UPSTREAMS)
    assert upstream is None or max(by_upstream.values(), default=0) <= upstream
    assert tenant is None or max(by_tenant.values(), default=0) <= tenant
    for ticket in live:
        if ticket.state in ("waiting", "returning"):  # then there is no place for it
            full = upstream is not None and by_upstream[ticket.upstream] >= upstream
            assert full or (tenant is not None and by_tenant[ticket.tenant] >= tenant), ticket


@given(st.lists(st.tuples(st.sampled_from(TENANTS), st.sampled_from(USERS)), min_size=1, max_size=60))
def test_while_a_tenant_waits_no_other_has_two_turns(asked: list[tuple[str, str]]) -> None:
    runs = Runs(bounded())
    first = runs.begin("first")
    waiting = {ticket.run_id: ticket for ticket in (runs.begin(*who) for who in asked)}
    running, passed = first, Counter[tuple[str, str]]()
    while waiting:
        tenants = {ticket.tenant for ticket in waiting.values()}
        runs.places.leave(running)
        running = waiting.pop(runs.began[-1])
        for other in tenants - {running.tenant}:
            passed[other, running.tenant] += 1
            assert passed[other, running.tenant] <= 1, (other, running.tenant)
        for key in [key for key in passed if key[0] == running.tenant]:
            del passed[key]


@given(st.integers(1, 4), st.integers(0, 40))
def test_who_comes_to_a_flood_has_the_next_place_that_gets_free(at_once: int, ended: int) -> None:
    runs = Runs(bounded(at_once))
    flood = [runs.begin("flood") for _ in range(at_once + ended + 5)]
    for ticket in flood[:ended]:
        runs.places.leave(ticket)
    single = runs.begin("single")
    assert single.state == "waiting"
    runs.places.leave(flood[ended])
    assert single.state == "held"


def test_users_of_a_tenant_take_turns_and_runs_of_one_user_keep_their_order() -> None:
    runs = Runs(bounded())
    running = [runs.begin("x", "1")]
    waiting = [runs.begin("x", user) for user in ("1", "1", "1", "2", "2", "3")]
    order: list[str] = []
    for _ in waiting:
        runs.places.leave(running.pop())
        running = [ticket for ticket in waiting if ticket.state == "held"]
        order += [ticket.user for ticket in running]
    assert order == ["2", "3", "1", "2", "1", "1"]
    of_one = [name for name in runs.began if name.startswith("x1")]
    assert of_one == sorted(of_one, key=lambda name: int(name.split(".")[1]))


def test_a_tenant_of_slow_runs_comes_to_no_more_than_its_share() -> None:
    runs = Runs(bounded(4))
    slow = [runs.begin("slow") for _ in range(10)]
    fast = [runs.begin("fast") for _ in range(40)]
    for ticket in slow[:2]:  # two of the slow ones end, and then no more
        runs.places.leave(ticket)
    for _ in range(30):
        runs.places.leave(next(ticket for ticket in fast if ticket.state == "held"))
    assert sum(ticket.state == "held" for ticket in slow) == 2


def test_new_tenants_without_end_do_not_pass_one_that_waits() -> None:
    runs = Runs(bounded())
    running = runs.begin("old")
    waits = runs.begin("old")
    for number in range(5):
        other = runs.begin(f"new{number}")
        runs.places.leave(running)
        if waits.state == "held":
            return
        assert other.state == "held"
        running = other
    raise AssertionError("passed over five times")


def test_a_full_upstream_slows_no_other_also_for_the_same_tenant() -> None:
    runs = Runs(bounded(1, 3))
    assert [runs.begin(upstream="a").state for _ in range(5)] == ["held"] + ["waiting"] * 4
    assert runs.begin(upstream="b").state == "held"


def test_the_queue_of_one_tenant_is_full_for_it_alone() -> None:
    places = bounded(1, queue=2)
    for number in range(3):
        places.reserve(Ticket(f"x{number}", "a", "x", "1"))
    with pytest.raises(Full) as refused:
        places.reserve(Ticket("x3", "a", "x", "2"))
    assert refused.value.scope == "upstream"
    places.reserve(Ticket("y", "a", "y", "1"))


def test_a_child_takes_over_its_parents_place_and_gives_it_back() -> None:
    runs = Runs(bounded(1, 1))
    parent = runs.begin()
    other = runs.begin("y")
    child = runs.begin(parent=parent)
    grandchild = runs.begin(parent=child)
    assert [one.state for one in (parent, child, grandchild, other)] == ["lent", "lent", "held", "waiting"]
    runs.places.leave(grandchild)
    assert [one.state for one in (parent, child, other)] == ["lent", "held", "waiting"]
    runs.places.leave(child)
    assert [one.state for one in (parent, other)] == ["held", "waiting"]


def test_two_agents_that_call_each_other_do_not_wait_for_each_other() -> None:
    runs = Runs(bounded(1))
    one, other = runs.begin(upstream="a"), runs.begin("y", upstream="b")
    to_b = runs.begin(upstream="b", parent=one)
    to_a = runs.begin("y", upstream="a", parent=other)
    assert [ticket.state for ticket in (one, other, to_b, to_a)] == ["lent", "lent", "held", "held"]
    for child in (to_a, to_b):
        runs.places.leave(child)
    assert (one.state, other.state) == ("held", "held")
