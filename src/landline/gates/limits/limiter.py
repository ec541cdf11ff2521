"""The limits of one server: which rules a caller falls under, and what is said when one is full.

One object for the edge (`ports.limits`) and for admission (`gates.limits.runs`). What was counted for a request is in its
tally; a run that the request starts finds it through a context variable, since admission knows no request.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial
from typing import Final, Protocol

from landline.gates.limits.rules import Rule, RuleError, key_rule
from landline.gates.limits.windows import MOST_PARTITIONS, LocalLimits, Verdict, Wanted
from landline.model.callers import Caller
from landline.model.errors import Forbidden, RateLimited
from landline.model.ids import new_id
from landline.model.limits import LimitState
from landline.ports.clock import Clock
from landline.ports.limits import Release, Tally

__all__ = ["Limiter", "Shared"]

_logger = logging.getLogger("landline.limits")
_tally: ContextVar[Tally | None] = ContextVar("landline_limits", default=None)
_KINDS_OF_CALLERS: Final = frozenset({"user", "key", "tier", "tenant"})
_SPANS: Final = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}


class Shared(Protocol):
    """Counting that other servers share, such as `gates.limits.shared`."""

    async def count(self, wanted: Sequence[Wanted]) -> Verdict: ...
    async def take(self, wanted: Sequence[Wanted], token: str) -> Verdict: ...
    def hold(self, wanted: Sequence[Wanted], token: str) -> None: ...
    def give_back(self, wanted: Sequence[Wanted], token: str) -> None: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Limiter:
    """Counts by `rules`, in this process or where `shared` counts.

    Args:
        rules: What is limited; none limits nothing.
        failures: How many sign-ins of one address may fail in how many seconds; None for any number.
        shared: Counts for several servers; without it this process counts for itself.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        clock: Clock,
        failures: tuple[int, int] | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._clock, self._shared = clock, shared
        self._local = LocalLimits(clock)
        self._rules = {
            kind: [rule for rule in rules if rule.kind == kind] for kind in {rule.kind for rule in rules}
        }
        requests = self._rules.get("requests", [])
        self._at_door = [rule for rule in requests if rule.scope == "ip"]
        self._requests = [rule for rule in requests if rule.scope != "ip"]
        self._failures = (
            Rule("ip", None, "failed sign-ins", *failures, name="failed-sign-ins")
            if failures is not None
            else None
        )
        self._blocked: OrderedDict[str, float] = OrderedDict()

    async def open(self) -> None:
        """Begin, with the server."""
        if self._shared is not None:
            await self._shared.open()

    async def close(self) -> None:
        """Give back whatever is held."""
        if self._shared is not None:
            await self._shared.close()

    # the edge

    async def arrived(self, address: str) -> Tally:
        """Count a request by its address. Raises RateLimited."""
        tally = Tally(address=address)
        _tally.set(tally)
        if self._blocked:
            self._check_failures(address)
        if self._at_door:
            await self._count([(rule, address) for rule in self._at_door], tally)
        return tally

    async def admitted(self, tally: Tally, caller: Caller) -> None:
        """Count a request by its caller. Raises RateLimited."""
        if self._requests or caller.limits:
            await self._count(self._wanted("requests", self._requests, caller, tally), tally)

    async def message(self, tally: Tally, caller: Caller) -> None:
        """Count a message on a socket, as a request of its own. Raises RateLimited."""
        if self._at_door or self._requests or caller.limits:
            await self._count(self._wanted("requests", self._rules.get("requests", ()), caller, tally), tally)

    async def not_signed_in(self, tally: Tally) -> None:
        """Count a sign-in that failed; who reaches the limit is not listened to until the window has passed.

        The look at each request is in this process alone: another one learns of it with the next failure there.
        """
        if self._failures is None:
            return
        (state, *_), refused = await self._verdict([(self._failures, tally.address)])
        if refused or state.remaining == 0:
            self._blocked[tally.address] = self._clock.steady() + state.reset_s
            while len(self._blocked) > MOST_PARTITIONS:
                self._blocked.popitem(last=False)

    def _check_failures(self, address: str) -> None:
        until = self._blocked.get(address)
        if until is None or self._failures is None:
            return
        left_s = until - self._clock.steady()
        if left_s <= 0:
            del self._blocked[address]
            return
        raise RateLimited(
            "Too many sign-ins from this address have failed.",
            code="too_many_failed_sign_ins",
            retry_after_s=int(left_s) + 1,
        )

    async def stream(self, tally: Tally, caller: Caller | None) -> Release:
        """Take a place for what stays open. Raises RateLimited."""
        rules = self._rules.get("streams", ())
        if not rules and not (caller and caller.limits):
            return _nothing
        wanted = self._wanted("streams", rules, caller, tally)
        token = new_id()
        await self.take(wanted, token, tally)
        return partial(self.give_back, wanted, token)

    async def uploaded(self, caller: Caller) -> None:
        """Count a file that is about to be kept. Raises RateLimited."""
        tally = _tally.get()
        await self._count(self._wanted("uploads", self._rules.get("uploads", ()), caller, tally), tally)

    # admission

    async def run(self, caller: Caller, agent: str) -> None:
        """Count a run that is about to be accepted. Raises RateLimited."""
        tally = _tally.get()
        await self._count(self._wanted("runs", self._rules.get("runs", ()), caller, tally, agent), tally)

    def places_of_run(self, caller: Caller, agent: str, *, asked: bool) -> list[Wanted]:
        """Return the places that a run of `caller` takes while it goes on; `asked` tells that a request starts it now."""
        rules = self._rules.get("concurrent runs", ())
        return self._wanted("concurrent runs", rules, caller, _tally.get() if asked else None, agent)

    async def take(self, wanted: Sequence[Wanted], token: str, tally: Tally | None = None) -> None:
        """Hold a place under every rule of `wanted`. Raises RateLimited, and then none is held."""
        if not wanted:
            return
        shared = self._shared
        verdict = self._local.take(wanted, token) if shared is None else await shared.take(wanted, token)
        if verdict.refused:
            if tally is not None:
                tally.states.update((state.name, state) for state in verdict.refused)
            raise self._refusal(wanted, verdict.refused, tally)

    def hold(self, wanted: Sequence[Wanted], token: str) -> None:
        """Hold a place for what goes on already."""
        (self._shared or self._local).hold(wanted, token)

    def give_back(self, wanted: Sequence[Wanted], token: str) -> None:
        """Let a place go; a second time changes nothing."""
        (self._shared or self._local).give_back(wanted, token)

    # below

    def _wanted(
        self,
        kind: str,
        rules: Sequence[Rule],
        caller: Caller | None,
        tally: Tally | None,
        agent: str | None = None,
    ) -> list[Wanted]:
        """Return the rules that hold here, each with whose doings it adds up."""
        found: list[Wanted] = []
        for rule in (*rules, *_of_key(caller, kind)) if caller is not None and caller.limits else rules:
            whose = _whose(rule, caller, tally, agent)
            if whose is not None:
                found.append((rule, whose))
        return found

    async def _count(self, wanted: Sequence[Wanted], tally: Tally | None) -> None:
        if not wanted:
            return
        verdict = await self._verdict(wanted)
        if tally is not None:
            for state in verdict.states:
                tally.states[state.name] = state
        if verdict.refused:
            raise self._refusal(wanted, verdict.refused, tally)

    async def _verdict(self, wanted: Sequence[Wanted]) -> Verdict:
        return self._local.count(wanted) if self._shared is None else await self._shared.count(wanted)

    def _refusal(
        self, wanted: Sequence[Wanted], refused: Sequence[LimitState], tally: Tally | None
    ) -> RateLimited:
        last = max(refused, key=lambda state: state.reset_s)
        rule = next(rule for rule, _ in wanted if rule.name == last.name)
        states = tuple(tally.states.values()) if tally is not None else tuple(refused)
        if rule.window_s is None:
            said = f"Too much at once: {rule.count} {rule.kind} are allowed for {_WHOSE[rule.scope]}."
            return RateLimited(said, code="too_many_at_once", retry_after_s=last.reset_s, states=states)
        said = f"Too often: {rule.count} {rule.kind} per {_span(rule.window_s)} are allowed for {_WHOSE[rule.scope]}."
        return RateLimited(said, retry_after_s=last.reset_s, states=states)


_WHOSE: Final = {
    "user": "a user",
    "key": "this key",
    "tier": "this tier",
    "tenant": "this tenant together",
    "ip": "an address",
    "agent": "this agent",
}


def _of_key(caller: Caller, kind: str) -> list[Rule]:
    """Return what the key itself limits. Raises Forbidden where it cannot be read: a limit that does nothing misleads."""
    found: list[Rule] = []
    for name, value in (caller.limits or {}).items():
        try:
            rule = key_rule(name, value)
        except RuleError as error:
            _logger.error("key %s has a limit that cannot be read: %s; %s", caller.key_id, error, error.how)  # noqa: TRY400 - where it was raised tells nothing
            raise Forbidden(
                f"This key's limit on {name} cannot be read; its owner must mend it.",
                code="key_limit_unreadable",
            ) from None
        if rule is not None and rule.kind == kind:
            found.append(rule)
    return found


def _whose(rule: Rule, caller: Caller | None, tally: Tally | None, agent: str | None) -> str | None:
    """Return whose doings `rule` adds up here, None where it does not hold."""
    scope = rule.scope
    if scope == "ip":
        return tally.address if tally is not None else None
    if scope == "agent":
        return agent if rule.only in (None, agent) else None
    if caller is None or caller.system or scope not in _KINDS_OF_CALLERS:
        return None
    if scope == "tenant":
        return caller.tenant
    if scope == "key":
        return caller.key_id
    user = f"{caller.tenant}\n{caller.user}"
    if scope == "user":
        return user
    # A tier's keys are counted each for itself; who comes without one, as a user.
    return (caller.key_id or user) if caller.tier == rule.only else None


def _span(window_s: int) -> str:
    for unit_s in (86_400, 3600, 60):
        if window_s % unit_s == 0:
            several = window_s // unit_s
            return _SPANS[unit_s] if several == 1 else f"{several} {_SPANS[unit_s]}s"
    return _SPANS[1] if window_s == 1 else f"{window_s} seconds"


def _nothing() -> None:
    pass
