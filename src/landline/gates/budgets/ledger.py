"""What is used of each budget: loaded from the store when it is first asked for, counted in memory from then on.

All that this process spends goes through a gate, so a counter that was loaded once stays right; what other processes spend
meanwhile it does not see.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from landline.gates.budgets.rules import Rule, Unit
from landline.model.callers import SYSTEM, Caller
from landline.model.usage import Spent
from landline.ports.clock import Clock
from landline.ports.store import Store
from landline.ports.usage import UsageQuery

__all__ = ["Counter", "Ledger"]

MOST_COUNTERS: Final = 10_000
"""Counters that are kept although no run uses them; an older one is loaded again when it is needed."""

LEAST: Final[dict[Unit, float]] = {"tokens": 20_000, "usd": 0.20}
"""What a call of a model is reserved at least, though all that its agent made so far were smaller: ours, for want of a source."""


@dataclass(slots=True, eq=False)
class Counter:
    """What is used of one rule by one run, user and so on.

    `held` is reserved for calls under way, of which `blind` are of agents that nobody has seen a call of.
    """

    rule: Rule
    day: str
    loaded: bool = False
    used: float = 0.0
    held: float = 0.0
    blind: int = 0
    holders: int = 0
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.rule.amount


class Ledger:
    """The counters of all rules but those of single runs."""

    def __init__(self, rules: Sequence[Rule], store: Store, clock: Clock) -> None:
        self._rules = [rule for rule in rules if rule.scope != "run"]
        self._store, self._clock = store, clock
        self._counters: OrderedDict[tuple[Rule, tuple[str, ...]], Counter] = OrderedDict()
        self._largest: dict[tuple[str, Unit], float] = {}
        self._settled = asyncio.Event()

    @property
    def today(self) -> str:
        """The day, UTC."""
        return self._clock.now().strftime("%Y-%m-%d")

    def counters(self, caller: Caller, agent: str, thread_id: str | None) -> list[Counter]:
        """Return the counters that a run of `caller` counts against."""
        names: dict[str, str | None] = {"user": caller.user, "key": caller.key_id, "agent": agent}
        names |= {"tenant": caller.tenant, "thread": thread_id}
        found: list[Counter] = []
        for rule in self._rules:
            name = names[rule.scope]
            if name is not None and rule.name in (None, name) and rule.holds_for(agent):
                # A user's name says nothing without its tenant; keys and threads have ids, an agent is the server's.
                place = (caller.tenant, name) if rule.scope == "user" else (name,)
                found.append(self._counter(rule, place))
        return found

    def _counter(self, rule: Rule, place: tuple[str, ...]) -> Counter:
        counter = self._counters.get((rule, place))
        if counter is None:
            counter = self._counters[rule, place] = Counter(rule=rule, day=self.today)
            if len(self._counters) > MOST_COUNTERS:
                self._forget()
        self._counters.move_to_end((rule, place))
        return counter

    def _forget(self) -> None:
        idle = next((key for key, counter in self._counters.items() if not counter.holders), None)
        if idle is not None:
            del self._counters[idle]

    async def ready(self, counters: Sequence[Counter]) -> None:
        """Load what was spent before; from then on `Counter.used` is right."""
        for counter in counters:
            if not counter.loaded:
                async with counter.loading:
                    if not counter.loaded:
                        await self._load(counter)

    async def _load(self, counter: Counter) -> None:
        rule, place = next(key for key, value in self._counters.items() if value is counter)
        day = counter.day if rule.daily else None
        where: dict[str, Any] = (
            {"tenant": place[0], "user": place[1]}
            if rule.scope == "user"
            else {"thread_id" if rule.scope == "thread" else rule.scope: place[0]}
        )
        if rule.agent is not None:
            where["agent"] = rule.agent
        page = await self._store.usage(SYSTEM, UsageQuery(group_by=(), first=day, last=day, **where))
        for row in page.items:
            spent = Spent(
                model_calls=row.model_calls,
                tool_calls=row.tool_calls,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                cost_usd=row.cost_usd,
                seconds=row.seconds,
            )
            counter.used += rule.used(spent)
        counter.loaded = True

    def turn_over(self, counters: Sequence[Counter]) -> None:
        """Begin the new day's budgets when there is one: all that is spent of it was spent here, and later."""
        today = self.today
        for counter in counters:
            if counter.day != today:
                counter.day = today
                if counter.rule.daily:
                    counter.used = 0.0

    def estimate(self, agent: str, unit: Unit) -> float:
        """Return what the agent's next call of a model is reserved."""
        return max(LEAST.get(unit, 0.0), self._largest.get((agent, unit), 0.0))

    def knows(self, agent: str, unit: Unit) -> bool:
        """Tell whether a call of the agent was seen."""
        return (agent, unit) in self._largest

    def learn(self, agent: str, unit: Unit, used: float) -> None:
        """Note what a call used."""
        self._largest[agent, unit] = max(used, self._largest.get((agent, unit), 0.0))

    def settled(self) -> None:
        """Tell those who wait that a reservation is over."""
        waiting, self._settled = self._settled, asyncio.Event()
        waiting.set()

    async def settling(self) -> None:
        """Return when some reservation is over."""
        await self._settled.wait()
