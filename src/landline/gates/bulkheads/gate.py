"""The gate: a run that finds no place waits before it begins, in its own task, and its row and log are on the disk already.

Places live in memory: a process that is killed takes its own with it, and the next one begins with all free. What begins
inside a run is that run's child (a context variable tells), and the parent gives its place up while it lives: so an agent
that calls another one never waits for itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Final

from landline.gates.bulkheads.places import Bound, Full, Places, Ticket
from landline.gates.bulkheads.rules import Rule
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import LandlineError, RateLimited, Unavailable
from landline.model.events import Event
from landline.ports.adapter import Finished, ToolCall
from landline.ports.clock import Clock, Timer
from landline.ports.gates import Begins, GatedRun
from landline.ports.runs import StartRun

__all__ = ["Bulkheads"]

RETRY_S: Final = 1
"""When to come back: nobody knows when a run will end, so as soon as may be, as for limits."""

LAPSE_S: Final = 10.0
"""A run that was admitted and has not begun by then waits behind its thread, or is gone: it is no longer counted."""

LEND_S: Final = 1.0
"""The same for one that was started inside a run, whose place it would wait for if what is ahead of it in its thread does."""

_within: ContextVar[str | None] = ContextVar("landline_bulkheads", default=None)
"""The run whose code is running."""


class Bulkheads:
    """The bulkheads of one server; see `ports.gates.Gate`, `Reserving` and `Queueing`.

    Args:
        rules: What is bounded.
        upstreams: The upstream of each agent by the agent's name; one that is missing is its own.
        queue: How many runs of one tenant wait, where a rule does not say.
        wait_s: How long a run waits in seconds, where a rule does not say.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        upstreams: Mapping[str, str],
        clock: Clock,
        *,
        queue: int = 100,
        wait_s: float = 60.0,
    ) -> None:
        self._bounds = {
            (rule.scope, rule.only): Bound(
                rule.at_once,
                queue if rule.queue is None else rule.queue,
                wait_s if rule.wait_s is None else rule.wait_s,
            )
            for rule in rules
        }
        self._upstreams, self._clock = dict(upstreams), clock
        self.places = Places(partial(self._bound, "upstream"), partial(self._bound, "tenant"))
        self._tickets: dict[str, Ticket] = {}
        self._reserved: dict[str, Timer] = {}
        self._threads: dict[str, str] = {}

    def _bound(self, scope: str, name: str) -> Bound | None:
        return self._bounds.get((scope, name)) or self._bounds.get((scope, None))

    def _ticket(self, run_id: str, caller: Caller, agent: str) -> Ticket | None:
        """Return a new ticket, None where nothing bounds the run."""
        upstream = self._upstreams.get(agent, agent)
        if self._bound("upstream", upstream) is None and self._bound("tenant", caller.tenant) is None:
            return None
        return Ticket(run_id, upstream, caller.tenant, caller.user)

    # admission

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        """Refuse a run that could neither begin nor wait. Raises Unavailable or RateLimited."""
        joins = request.on_busy in ("steer", "interrupt") and request.thread_id in self._threads.values()
        ticket = None if joins else self._ticket(request.run_id or "", caller, agent.name)
        if ticket is None or request.run_id is None:
            return request
        ticket.parent = self._tickets.get(_within.get() or "")
        try:
            self.places.reserve(ticket)
        except Full as full:
            raise self._full(full.scope) from None
        self._tickets[ticket.run_id] = ticket
        lapse_s = LAPSE_S if ticket.parent is None else LEND_S
        self._reserved[ticket.run_id] = self._clock.call_later(lapse_s, partial(self.dropped, ticket.run_id))
        return request

    def dropped(self, run_id: str) -> None:
        """Let go of a run that does not go on."""
        self._begun(run_id)
        self._threads.pop(run_id, None)
        ticket = self._tickets.pop(run_id, None)
        if ticket is None:
            return
        if ticket.state == "reserved" and ticket.parent is not None:
            # Its parent may wait for another run in its place: one that was there before, or that is behind a thread.
            self.places.lend(ticket.parent)
        self.places.leave(ticket)

    def closed(self, ticket: Ticket) -> None:
        """Let go of a segment that is over; the run may have begun another one."""
        if self._tickets.get(ticket.run_id) is ticket:
            self.dropped(ticket.run_id)

    def _begun(self, run_id: str) -> None:
        timer = self._reserved.pop(run_id, None)
        if timer is not None:
            timer.cancel()

    # the run's own task

    def enter(self, begins: Begins) -> asyncio.Future[None] | None:
        """Return None when the run may begin now, else what is done when it may."""
        run = begins.run
        self._begun(run.id)
        ticket = self._tickets.get(run.id)
        if ticket is None or ticket.state != "reserved":  # the last segment may not be quite over
            self.dropped(run.id)
            ticket = self._ticket(run.id, begins.caller, run.agent)
        if ticket is None:
            return None
        self._tickets[run.id] = ticket
        turn = asyncio.get_running_loop().create_future()
        ticket.granted = partial(_done, turn)
        self.places.enter(ticket)
        self._threads[run.id] = run.thread_id
        if ticket.state == "held":
            return None
        if not begins.again:
            self._limit_wait(ticket, turn)
        return turn

    def _limit_wait(self, ticket: Ticket, turn: asyncio.Future[None]) -> None:
        upstream, tenant = self._bound("upstream", ticket.upstream), self._bound("tenant", ticket.tenant)
        wait_s = min(bound.wait_s for bound in (upstream, tenant) if bound is not None)

        def over() -> None:
            if not turn.done():
                self.dropped(ticket.run_id)
                turn.set_exception(_waited(wait_s))

        timer = self._clock.call_later(wait_s, over)
        turn.add_done_callback(lambda _: timer.cancel())

    def on_line(self, gated: GatedRun) -> "_Line | None":
        """Say to what begins inside the run whose child it is, and let the place go when the segment is over."""
        ticket = self._tickets.get(gated.run.id)
        if ticket is None:
            return None
        _within.set(gated.run.id)
        return _Line(self, ticket)

    # refusals

    @staticmethod
    def _full(scope: str) -> LandlineError:
        said = "As many runs as may wait for {} wait already."
        if scope == "tenant":
            return RateLimited(said.format("this tenant's turn"), code="queue_full", retry_after_s=RETRY_S)
        return Unavailable(said.format("what this agent calls"), code="queue_full", retry_after_s=RETRY_S)


def _waited(wait_s: float) -> LandlineError:
    said = f"The run found no place within {wait_s:g} seconds and never began; start it again."
    return Unavailable(said, code="bulkhead_busy", retry_after_s=RETRY_S)


def _done(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class _Line:
    """Lets everything through; a run that lent its place asks for it again before it calls a model."""

    def __init__(self, bulkheads: Bulkheads, ticket: Ticket) -> None:
        self._bulkheads, self._ticket = bulkheads, ticket
        self._back = asyncio.Event()
        ticket.granted = self._back.set

    async def passing(self, event: Event) -> Sequence[Event]:
        return (event,)

    def seen(self, event: Event) -> None:
        pass

    async def before_tool(self, call: ToolCall) -> None:
        pass

    async def before_model(self, *, elsewhere: bool) -> None:
        while self._ticket.state in ("lent", "returning"):
            self._back.clear()
            self._bulkheads.places.take_back(self._ticket)
            if self._ticket.state == "returning":
                await self._back.wait()

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        return (), finished

    def closed(self, last: str | None) -> None:
        self._bulkheads.closed(self._ticket)
