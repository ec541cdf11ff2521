"""Counting that several servers share through Redis, and what happens without it.

A Redis that is down or hangs costs a request at most `TIMEOUT_S`, and that once: from then on this process counts by
itself, and looks every `AGAIN_S` seconds, beside the requests, whether Redis is back. No request fails because of it.
What is held is held for `LEASE_S` and renewed, so that a server that dies gives its places back.
"""

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from landline.gates.limits.rules import Rule
from landline.gates.limits.scripts import COUNT, TAKE
from landline.gates.limits.windows import AT_ONCE_RETRY_S, LocalLimits, Verdict, Wanted
from landline.model.limits import LimitState
from landline.ports.clock import Clock, Timer

__all__ = ["AGAIN_S", "LEASE_S", "TIMEOUT_S", "SharedLimits"]

TIMEOUT_S: Final = 0.25
"""What a request may wait for Redis, connecting included."""

AGAIN_S: Final = 10.0
LEASE_S: Final = 30.0
RENEW_S: Final = 10.0
_CONNECTIONS: Final = 64
_BATCH: Final = 500
_PREFIX: Final = "landline:{limits}:"
"""The braces keep all keys on one node of a cluster, where one script may touch them."""

_logger = logging.getLogger("landline.limits")
_FAILED: Final = (RedisError, OSError, TimeoutError)


class SharedLimits:
    """The limits of all servers on one Redis; those of this process alone while it does not answer."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._local = LocalLimits(clock)
        self._redis = cast(
            "Any",
            Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - its options are untyped
                url,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                max_connections=_CONNECTIONS,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            ),
        )
        self._count_script = self._redis.register_script(COUNT)
        self._take_script = self._redis.register_script(TAKE)
        self._held: dict[str, Sequence[Wanted]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[str, Timer] = {}
        self._away = False
        self._closed = False

    @property
    def away(self) -> bool:
        """Whether this process counts by itself now."""
        return self._away

    async def count(self, wanted: Sequence[Wanted]) -> Verdict:
        """Count one thing under every rule, or under none."""
        if not self._away:
            keys = [_key(rule, whose) for rule, whose in wanted]
            args = [number for rule, _ in wanted for number in (rule.count, (rule.window_s or 0) * 1_000_000)]
            with suppress(_Away):
                full, found = await self._asked(self._count_script(keys=keys, args=args))
                states = [_state(rule, *at) for (rule, _), at in zip(wanted, found, strict=True)]
                return Verdict(states, [state for state in states if state.remaining <= 0] if full else ())
        return self._local.count(wanted)

    async def take(self, wanted: Sequence[Wanted], token: str) -> Verdict:
        """Hold a place under every rule, or under none."""
        if not self._away:
            with suppress(_Away):
                full: list[int] = await self._asked(self._taking(wanted, token, forced=False))
                rules = [wanted[at - 1][0] for at in full]
                refused = [LimitState(rule.name, rule.count, None, 0, AT_ONCE_RETRY_S) for rule in rules]
                if not refused:
                    self._keep(wanted, token)
                return Verdict(refused, refused)
        verdict = self._local.take(wanted, token)
        if not verdict.refused:
            self._keep(wanted, token)
        return verdict

    def hold(self, wanted: Sequence[Wanted], token: str) -> None:
        """Hold a place under every rule, full or not; in Redis a moment later."""
        self._keep(wanted, token)
        if not self._away:
            self._spawn(self._renew_these([(token, wanted)]))

    def _keep(self, wanted: Sequence[Wanted], token: str) -> None:
        self._held[token] = wanted
        # Known here too: what goes on counts also when Redis leaves.
        self._local.hold(wanted, token)
        self._arm("renew", RENEW_S, self._renew)

    def give_back(self, wanted: Sequence[Wanted], token: str) -> None:
        """Let the places of `token` go, in Redis a moment later."""
        self._local.give_back(wanted, token)
        if self._held.pop(token, None) is not None and not self._away:
            self._spawn(self._forget([(wanted, token)]))

    async def open(self) -> None:
        """Look whether Redis is there, before the first request has to."""
        with suppress(_Away):
            await self._asked(self._redis.ping())

    async def close(self) -> None:
        """Give everything back and hang up."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=TIMEOUT_S)
        if self._held and not self._away:
            await self._forget([(wanted, token) for token, wanted in self._held.items()])
        self._held.clear()
        with suppress(*_FAILED):
            async with asyncio.timeout(TIMEOUT_S):
                await self._redis.aclose()

    def _taking(
        self, wanted: Sequence[Wanted], token: str, *, forced: bool, pipe: Any = None
    ) -> Awaitable[Any]:
        keys = [_key(rule, whose) for rule, whose in wanted]
        counts = [rule.count for rule, _ in wanted]
        args = [token, int(LEASE_S * 1000), int(forced), *counts]
        return self._take_script(keys=keys, args=args, client=pipe)

    async def _asked(self, work: Awaitable[Any]) -> Any:
        """Return what Redis says. Raises _Away when it does not, in time."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await work
        except _FAILED as error:
            self._leave(error)
            raise _Away from None

    def _leave(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            _logger.warning(
                "Redis does not answer (%s): limits are counted in this process until it does",
                type(error).__name__,
            )
            self._arm("again", AGAIN_S, self._look)

    async def _look(self) -> None:
        """Look whether Redis is back; no request waits for it."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._redis.ping()
        except _FAILED:
            self._arm("again", AGAIN_S, self._look)
            return
        self._away = False
        _logger.warning("Redis answers again: limits are shared")
        await self._renew()

    async def _renew(self) -> None:
        """Hold on to what is held; what was taken while Redis was away is there from now on."""
        if self._held:
            self._arm("renew", RENEW_S, self._renew)
        held = list(self._held.items())
        for start in range(0, len(held), _BATCH):
            if self._away:
                return
            await self._renew_these(held[start : start + _BATCH])

    async def _renew_these(self, held: Sequence[tuple[str, Sequence[Wanted]]]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for token, wanted in held:
            await self._taking(wanted, token, forced=True, pipe=pipe)
        with suppress(_Away):
            await self._asked(pipe.execute())
            # Given back meanwhile, perhaps on a connection that was faster.
            late = [(wanted, token) for token, wanted in held if token not in self._held]
            if late:
                await self._forget(late)

    async def _forget(self, places: Sequence[tuple[Sequence[Wanted], str]]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for wanted, token in places:
            for rule, whose in wanted:
                pipe.zrem(_key(rule, whose), token)
        with suppress(_Away):
            await self._asked(pipe.execute())

    def _arm(self, name: str, delay_s: float, work: Any) -> None:
        if name not in self._timers and not self._closed:
            self._timers[name] = self._clock.call_later(delay_s, lambda: self._due(name, work))

    def _due(self, name: str, work: Any) -> None:
        del self._timers[name]
        if not self._closed:
            self._spawn(work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="shared limits")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Away(Exception):
    """Redis does not answer."""


def _key(rule: Rule, whose: str) -> str:
    # Who somebody is does not belong into a store that is read with a plain client.
    return f"{_PREFIX}{rule.name}:{hashlib.blake2b(whose.encode(), digest_size=16).hexdigest()}"


def _state(rule: Rule, used: int, left_us: float) -> LimitState:
    return LimitState(
        rule.name,
        rule.count,
        rule.window_s,
        max(0, rule.count - used),
        max(1, math.ceil(left_us / 1_000_000)),
    )
