"""The gate: refuses a run whose budget is used up, and stops one before the call that its budget does not have.

A call of a model reserves what it may use before it is made: what the largest one of its agent used. While less than that is
left, and until a first call was seen, calls go one after the other; so a budget is exceeded by one call at most, however many
runs draw on it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from landline.gates.budgets.ledger import Counter, Ledger
from landline.gates.budgets.rules import Rule
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import BudgetExceeded, ErrorInfo
from landline.model.events import Event, ToolCalled, UsageReported
from landline.model.usage import Spent
from landline.ports.adapter import Finished, ToolCall, ToolRaised
from landline.ports.clock import Clock, Timer
from landline.ports.gates import GatedRun
from landline.ports.runs import StartRun
from landline.ports.store import Store

__all__ = ["Budgets"]

WAIT_S: Final = 60.0
"""How long a call waits for others to end before it is refused: about the longest call of a model that still goes well."""

TICK_S: Final = 0.25
"""How often running seconds are counted: by so much a budget of seconds may be exceeded."""

_UNPRICED: Final = ErrorInfo(
    code="budget_price_unknown",
    message="There is a budget of money and nobody knows the price of this model; give it in the setting `prices`.",
)


class Budgets:
    """The budgets of one server; see `ports.gates.Gate`."""

    def __init__(self, rules: Sequence[Rule], store: Store, clock: Clock) -> None:
        self._runs = [rule for rule in rules if rule.scope == "run"]
        self._ledger, self._clock = Ledger(rules, store, clock), clock

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        """Refuse a run that could not do anything. Raises BudgetExceeded."""
        counters = self._ledger.counters(caller, agent.name, request.thread_id)
        self._ledger.turn_over(counters)
        await self._ledger.ready(counters)
        for counter in counters:
            if counter.exhausted:
                raise counter.rule.refusal(self._until_midnight_s())
        return request

    def _until_midnight_s(self) -> int:
        now = self._clock.now()
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return int((midnight - now).total_seconds()) + 1

    def on_line(self, gated: GatedRun) -> "RunBudget":
        """Return the gate of a segment."""
        today = self._ledger.today
        rules = [rule for rule in self._runs if rule.holds_for(gated.run.agent)]
        own = [Counter(rule=rule, day=today, loaded=True, used=rule.used(gated.spent)) for rule in rules]
        shared = self._ledger.counters(gated.caller, gated.run.agent, gated.run.thread_id)
        return RunBudget(gated, self._ledger, self._clock, own, shared)


@dataclass(slots=True, eq=False)
class _Call:
    """A call of a model under way, asked for by `task`."""

    task: Any
    held: list[tuple[Counter, float]]
    blind: bool


class RunBudget:
    """The budgets of one segment; see `ports.gates.LineGate`."""

    def __init__(
        self, gated: GatedRun, ledger: Ledger, clock: Clock, own: Sequence[Counter], shared: Sequence[Counter]
    ) -> None:
        self._gated, self._ledger, self._clock = gated, ledger, clock
        self._agent = gated.run.agent
        self._shared, self._counters = shared, [*own, *shared]
        for counter in shared:
            counter.holders += 1
        self._calls: list[_Call] = []
        self._tools: set[str] = set()
        self._announces = self._begun = False
        self._over = asyncio.Event()
        self._since, self._timer = clock.steady(), None
        self._timed = [counter for counter in self._counters if counter.rule.unit == "seconds"]

    # what the line asks

    async def passing(self, event: Event) -> Sequence[Event]:
        """Let everything pass, once it is known what was spent before."""
        if not self._begun:
            await self._begin()
        return (event,)

    def seen(self, event: Event) -> None:
        """Count what was used."""
        if isinstance(event, UsageReported):
            self._settle(event)
        elif isinstance(event, ToolCalled) and event.call_id not in self._tools:
            self._count(Spent(tool_calls=1))  # a tool that the provider ran by itself

    async def before_tool(self, call: ToolCall) -> None:
        """Count a call of a tool, or stop the run. Raises ToolRaised once it is stopped."""
        await self._begin()
        self._release(self._calls)  # whoever calls a tool has its answer
        spent = Spent(tool_calls=1)
        for counter in self._counters:
            if counter.rule.unit == "tool_calls" and counter.used + 1 > counter.rule.amount:
                await self._halt(counter.rule)
                raise ToolRaised(counter.rule.code, counter.rule.info.message)
        self._tools.add(call.call_id)
        self._count(spent)

    async def before_model(self, *, elsewhere: bool) -> None:
        """Reserve what a call may use, waiting for others where only one fits. Raises BudgetExceeded once it is stopped."""
        await self._begin()
        self._announces = True
        task = asyncio.current_task()
        self._release(
            [call for call in self._calls if call.task is task]
        )  # the one before broke, or told nothing
        wanted = [] if elsewhere else [c for c in self._counters if c.rule.unit in ("tokens", "usd")]
        refused = self._refused(wanted)
        if refused is None and self._tight(wanted):
            try:
                async with asyncio.timeout(WAIT_S):
                    while refused is None and self._tight(wanted):
                        await self._ledger.settling()
                        refused = self._refused(wanted)
            except TimeoutError:
                refused = next(iter(self._tight(wanted, blind=True)), None)
        if refused is not None:
            await self._halt(refused.rule)
            raise BudgetExceeded(refused.rule.info.message, code=refused.rule.code)
        self._count(Spent(model_calls=1))
        held = [(counter, self._ledger.estimate(self._agent, counter.rule.unit)) for counter in wanted]
        blind = not all(self._ledger.knows(self._agent, counter.rule.unit) for counter in wanted)
        for counter, amount in held:
            counter.held += amount
            counter.blind += blind
        self._calls.append(_Call(task=task, held=held, blind=blind))

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        """Let the answer pass: it is paid for."""
        return (), finished

    def closed(self, last: str | None) -> None:
        """Let go of what is reserved."""
        self._release(self._calls)
        self._count_time()
        if self._timer is not None:
            self._timer.cancel()
        for counter in self._shared:
            counter.holders -= 1
        self._over.set()

    # how it counts

    async def _begin(self) -> None:
        if not self._begun:
            await self._ledger.ready(self._shared)
        if self._begun:
            return
        self._begun = True
        self._since = self._clock.steady()
        self._tick()
        used_up = next((counter for counter in self._shared if counter.exhausted), None)
        if used_up is not None and not self._gated.again:  # it waited in the queue while others spent
            await self._halt(used_up.rule)

    def _refused(self, wanted: Sequence[Counter]) -> Counter | None:
        """Return the budget that does not have another call."""
        self._ledger.turn_over(self._counters)
        for counter in self._counters:
            match counter.rule.unit:
                case "model_calls" if counter.used + 1 > counter.rule.amount:
                    return counter
                case "tokens" | "usd" | "seconds" if counter.exhausted:
                    return counter
                case _:
                    pass
        return None

    def _tight(self, wanted: Sequence[Counter], *, blind: bool = False) -> list[Counter]:
        """Return the budgets with too little left for a call beside those under way; `blind` believes what is reserved."""
        found: list[Counter] = []
        for counter in wanted:
            unit, left = counter.rule.unit, counter.rule.amount - counter.used - counter.held
            unsure = not blind and (counter.blind or not self._ledger.knows(self._agent, unit))
            if counter.held and (unsure or self._ledger.estimate(self._agent, unit) > left):
                found.append(counter)
        return found

    def _settle(self, event: UsageReported) -> None:
        task = asyncio.current_task()
        call = next((c for c in self._calls if c.task is task), self._calls[0] if self._calls else None)
        if call is not None:
            self._release([call])
        spent = Spent(
            model_calls=0 if call else 1,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            cost_usd=event.cost_usd,
        )
        for counter in self._counters:
            if counter.rule.used(spent):
                self._ledger.learn(self._agent, counter.rule.unit, counter.rule.used(spent))
            if counter.rule.unit == "usd" and event.cost_usd is None and event.total_tokens:
                self._gated.stop(_UNPRICED)
        self._count(spent)
        exceeded = next((c for c in self._counters if c.used > c.rule.amount), None)
        if exceeded is not None and not self._announces:
            self._gated.stop(exceeded.rule.info)

    def _count(self, spent: Spent) -> None:
        self._ledger.turn_over(self._counters)
        for counter in self._counters:
            counter.used += counter.rule.used(spent)

    def _release(self, calls: Sequence[_Call]) -> None:
        for call in list(calls):
            self._calls.remove(call)
            for counter, amount in call.held:
                counter.held = round(
                    counter.held - amount, 9
                )  # fractions of dollars must come back to nothing
                counter.blind -= call.blind
        self._ledger.settled()

    def _tick(self) -> None:
        if not self._timed:
            return
        self._count_time()
        used_up = next((counter for counter in self._timed if counter.exhausted), None)
        if used_up is not None:
            self._gated.stop(used_up.rule.info)
        else:
            self._timer: Timer | None = self._clock.call_later(TICK_S, self._tick)

    def _count_time(self) -> None:
        now, since = self._clock.steady(), self._since
        if self._begun and self._timed:
            self._count(Spent(seconds=now - since))
        self._since = now

    async def _halt(self, rule: Rule) -> None:
        """Stop the run, and go no further until it is over."""
        self._gated.stop(rule.info)
        await self._over.wait()
