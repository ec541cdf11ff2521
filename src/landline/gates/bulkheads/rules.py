"""Bulkheads as their owner writes them: `upstream:openai: 20 runs`, `tenant: 10 runs queue 50 wait 30s` (RES-6)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

__all__ = ["SCOPES", "Rule", "RuleError", "is_name", "parse", "parse_all"]

SCOPES: Final = ("upstream", "tenant")
_MOST: Final = 100_000
"""More than a process drives: `max_runs` is far below."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BODY: Final = re.compile(
    r"(?P<count>\d+)\s+runs?(?:\s+queue\s+(?P<queue>\d+))?(?:\s+wait\s+(?P<wait>\d+(?:\.\d+)?)\s*s?)?",
    re.IGNORECASE,
)


class RuleError(ValueError):
    """A bulkhead that cannot be read; `how` says how to write it."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what)
        self.how = how


@dataclass(frozen=True, slots=True)
class Rule:
    """One bulkhead: `at_once` runs of each upstream or tenant, or of the one named `only`.

    `queue` (runs of one tenant that wait) and `wait_s` (seconds one of them waits) are None where the settings' hold.
    """

    scope: str
    only: str | None
    at_once: int
    queue: int | None = None
    wait_s: float | None = None


def is_name(text: str) -> bool:
    """Tell whether `text` may name an upstream."""
    return _NAME.fullmatch(text) is not None


def parse_all(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Return the bulkheads. Raises RuleError for the first that cannot be read, or that is there twice."""
    rules: dict[tuple[str, str | None], Rule] = {}
    for text in texts:
        rule = parse(text)
        if (rule.scope, rule.only) in rules:
            raise RuleError(
                f"{text!r} bounds what another bulkhead bounds already", "leave one of the two out"
            )
        rules[rule.scope, rule.only] = rule
    return tuple(rules.values())


def parse(text: str) -> Rule:
    """Return the bulkhead that `SCOPE[:NAME]: COUNT runs [queue COUNT] [wait SECONDS]` says. Raises RuleError."""
    given, colon, body = text.strip().rpartition(":")
    if not colon:
        raise RuleError(f"{text!r} names no scope", f"write one before a colon: 'upstream: {text.strip()}'")
    scope, named, only = (part.strip() for part in given.partition(":"))
    if scope not in SCOPES:
        near = get_close_matches(scope, SCOPES, 1)
        how = f"did you mean {near[0]}?" if near else f"a scope is one of: {', '.join(SCOPES)}"
        raise RuleError(f"{scope!r} in {text!r} is no scope", how)
    if named and not is_name(only):
        raise RuleError(f"{only!r} in {text!r} is no name", "a name has letters, digits, '.', '_' and '-'")
    match = _BODY.fullmatch(body.strip())
    if match is None:
        raise RuleError(f"{text!r} cannot be read", f"write {given.strip()}: 20 runs queue 100 wait 60s")
    at_once = int(match["count"][:9])
    queue = None if match["queue"] is None else int(match["queue"][:9])
    wait_s = None if match["wait"] is None else float(match["wait"][:9])
    if not 1 <= at_once <= _MOST or (queue or 0) > _MOST:
        raise RuleError(f"a count of {text!r} is not between 1 and {_MOST}", "write upstream: 20 runs")
    if wait_s == 0:
        raise RuleError(f"{text!r} lets nobody wait", "write 'queue 0' to refuse what finds no place")
    return Rule(scope, only if named else None, at_once, queue, wait_s)
