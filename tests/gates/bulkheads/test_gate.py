"""The gate without a server: a wait may be broken off at any moment, and no place is lost by it (RES-6)."""

import asyncio
from typing import Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landline.gates.bulkheads import Bulkheads, parse_all
from landline.gates.bulkheads.gate import LAPSE_S
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import Unavailable
from landline.model.messages import TextPart
from landline.model.runs import Run
from landline.ports.gates import Begins, GatedRun
from landline.ports.runs import StartRun
from landline.testing.clock import VirtualClock

pytestmark = pytest.mark.contract("RES-6")

INFO = AgentInfo(name="agent", title="agent", framework="plain", version="1")
WAIT_S = 30.0


def made(clock: VirtualClock, *rules: str) -> Bulkheads:
    return Bulkheads(parse_all(rules), {"agent": "one"}, clock, queue=100, wait_s=WAIT_S)


def run_of(run_id: str) -> Run:
    return Run(
        id=run_id, thread_id=f"t{run_id}", agent="agent", status="running", created_at="2026-01-01T00:00:00Z"
    )


class Segment:
    """A segment as the driver drives one: admitted, waiting for its place, on its line, over."""

    def __init__(self, gate: Bulkheads, run_id: str, tenant: str) -> None:
        self.gate, self.run, self.caller = gate, run_of(run_id), Caller(tenant=tenant, user="u")
        self.began = self.let_go = False
        self.go = asyncio.Event()

    async def drive(self) -> None:
        line = None
        request = StartRun(input=[TextPart(text="hi")], run_id=self.run.id)
        try:
            await self.gate.admit(self.caller, request, INFO)
            await asyncio.sleep(0)  # it is stored
            turn = self.gate.enter(Begins(run=self.run, caller=self.caller, again=False))
            if turn is not None:
                await turn
            self.began = True
            line = self.gate.on_line(cast("GatedRun", _Gated(self.run)))
            await self.go.wait()
        finally:
            if line is not None:
                line.closed("run.completed")
            else:
                self.gate.dropped(self.run.id)


class _Gated:
    def __init__(self, run: Run) -> None:
        self.run = run


Step = tuple[Literal["begin", "cancel", "end", "tick", "late"], int]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(("begin", "begin", "cancel", "end", "tick", "late")), st.integers(0, 30)),
        max_size=60,
    )
)
def test_whenever_a_wait_is_broken_off_no_place_is_lost(steps: list[Step]) -> None:
    asyncio.run(_whatever(steps))


async def _whatever(steps: list[Step]) -> None:
    clock = VirtualClock()
    gate = made(clock, "upstream: 2 runs", "tenant: 1 run")
    live: list[tuple[Segment, asyncio.Task[None]]] = []
    for number, (what, pick) in enumerate(steps):
        if what == "begin":
            segment = Segment(gate, str(number), f"tenant{pick % 3}")
            live.append((segment, asyncio.create_task(segment.drive())))
        elif what == "tick":  # the others go on by one step of the loop, so that a cancel hits each await
            await asyncio.sleep(0)
        elif what == "late":
            await clock.advance(WAIT_S)
        elif live:
            segment, task = live[pick % len(live)]
            if what == "cancel":
                task.cancel()
            segment.go.set()
        assert gate.places.held("one") <= 2
    for segment, _ in live:
        segment.go.set()
    async with asyncio.timeout(5):
        ends = await asyncio.gather(*(task for _, task in live), return_exceptions=True)
    told = [end for end in ends if end is not None and not isinstance(end, asyncio.CancelledError)]
    assert all(isinstance(end, Unavailable) and end.code == "bulkhead_busy" for end in told)
    assert (gate.places.held("one"), gate.places.waiting("one"), gate.places.remembered) == (0, 0, 0)


async def test_a_place_that_is_given_in_the_moment_of_the_cancel_goes_on_to_the_next() -> None:
    gate = made(VirtualClock(), "upstream: 1 run")
    segments = [Segment(gate, str(number), "x") for number in range(3)]
    first, second, third = [asyncio.create_task(segment.drive()) for segment in segments]
    await asyncio.sleep(0.01)
    gate.dropped("0")
    assert not second.done()
    second.cancel()  # it was given the place already, and has not run since
    await asyncio.sleep(0.01)
    assert [segment.began for segment in segments] == [True, False, True]
    for task in (first, third):
        task.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)


async def test_an_admitted_run_that_is_never_heard_of_again_is_forgotten() -> None:
    clock = VirtualClock()
    gate = made(clock, "upstream: 1 run queue 0")
    caller, request = Caller(tenant="x", user="u"), StartRun(input=[TextPart(text="hi")], run_id="a")
    await gate.admit(caller, request, INFO)
    with pytest.raises(Unavailable, match="wait already"):
        await gate.admit(caller, StartRun(input=[], run_id="b"), INFO)
    await clock.advance(LAPSE_S)
    assert gate.places.remembered == 0
    await gate.admit(caller, StartRun(input=[], run_id="b"), INFO)


async def test_a_segment_that_begins_before_the_last_one_is_quite_over_keeps_its_place() -> None:
    gate = made(VirtualClock(), "upstream: 1 run")
    begins: dict[str, Any] = {"run": run_of("a"), "caller": Caller(tenant="x", user="u")}
    assert gate.enter(Begins(**begins, again=False)) is None
    line = gate.on_line(cast("GatedRun", _Gated(begins["run"])))
    assert line is not None
    assert gate.enter(Begins(**begins, again=True)) is None
    line.closed("run.waiting")
    assert gate.places.held("one") == 1
    gate.dropped("a")
    assert gate.places.remembered == 0
