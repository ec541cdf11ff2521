"""Rules as their owner writes them: `user: 60/minute requests`, `tenant: 100 concurrent runs` (TRU-8).

A rule has a scope (whose doings are added up), a count, a window where it is about how often, and a kind of thing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal

__all__ = ["KINDS", "SCOPES", "Kind", "Rule", "RuleError", "key_rule", "parse", "parse_all", "parse_rate"]

Kind = Literal["requests", "runs", "concurrent runs", "streams", "uploads"]

SCOPES: Final = ("user", "key", "tier", "tenant", "ip", "agent")
KINDS: Final[tuple[Kind, ...]] = ("requests", "runs", "concurrent runs", "streams", "uploads")
AT_ONCE: Final = frozenset({"concurrent runs", "streams"})
"""Kinds that are held for a while, and have no window."""

NAMED: Final = frozenset({"tier", "agent"})
"""Scopes that may be narrowed by a name: `tier:premium`; a tier must be."""

_OF_AGENTS: Final = frozenset({"runs", "concurrent runs"})
_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_MOST: Final = 100_000
"""Every counted thing is remembered for its window, in 8 bytes: a rule that counts more would take a megabyte a caller."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BODY: Final = re.compile(r"(\d+)\s*(?:/\s*(?:(\d+)\s*)?([A-Za-z]+))?\s+([A-Za-z][A-Za-z ]*)")
_RATE: Final = re.compile(r"(\d+)\s*/\s*(?:(\d+)\s*)?([A-Za-z]+)")


class RuleError(ValueError):
    """A rule that cannot be read; `how` says how to write it."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what)
        self.how = how


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit. `window_s` is None for what is held at once; `only` is the tier or agent it is for.

    `name` is what headers and keys call it.
    """

    scope: str
    only: str | None
    kind: str
    count: int
    window_s: int | None
    name: str


def parse_all(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules. Raises RuleError for the first that cannot be read, or that is there twice."""
    rules: dict[str, Rule] = {}
    for text in texts:
        rule = parse(text)
        if rule.name in rules:
            raise RuleError(f"{text!r} limits what another rule limits already", "leave one of the two out")
        rules[rule.name] = rule
    return tuple(rules.values())


def parse(text: str) -> Rule:
    """Return the rule that `SCOPE: COUNT[/WINDOW] KIND` says. Raises RuleError."""
    given, colon, body = text.strip().rpartition(":")
    if not colon:
        raise RuleError(f"{text!r} names no scope", f"write one before a colon: 'user: {text.strip()}'")
    scope, only = _scope(given.strip(), text)
    return _rule(scope, only, body.strip(), text)


def parse_rate(text: str) -> tuple[int, int]:
    """Return count and seconds of a bare rate such as `300/minute`. Raises RuleError."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise RuleError(f"{text!r} is no rate", "write 300/minute")
    return _count(match[1], text), _window(match[2], match[3], text)


@lru_cache(maxsize=4096)
def key_rule(name: str, value: str) -> Rule | None:
    """Return the rule that a key brings along as `runs=10/minute` or `concurrent-runs=2`, None for what is no limit of ours.

    Raises:
        RuleError: It is one of ours, and cannot be read.
    """
    kind = " ".join(name.lower().replace("-", " ").replace("_", " ").split())
    return parse(f"key: {value} {kind}") if kind in KINDS else None


def _scope(given: str, text: str) -> tuple[str, str | None]:
    scope, colon, only = (part.strip() for part in given.partition(":"))
    if scope == "caller":
        scope = "user"
    if scope not in SCOPES:
        near = get_close_matches(scope, SCOPES, 1)
        how = f"did you mean {near[0]}?" if near else f"a scope is one of: {', '.join(SCOPES)}"
        raise RuleError(f"{scope!r} in {text!r} is no scope", how)
    if colon and scope not in NAMED:
        raise RuleError(
            f"{text!r} names one {scope}", f"only a tier or an agent has a name: write '{scope}: …'"
        )
    if colon and not _NAME.fullmatch(only):
        raise RuleError(f"{only!r} in {text!r} is no name", "a name has letters, digits, '.', '_' and '-'")
    if scope == "tier" and not colon:
        raise RuleError(f"{text!r} names no tier", "write tier:premium: 600/minute requests")
    return scope, only if colon else None


def _rule(scope: str, only: str | None, body: str, text: str) -> Rule:
    match = _BODY.fullmatch(body)
    if match is None:
        raise RuleError(f"{text!r} cannot be read", f"write {scope}: 60/minute requests")
    number, several, unit, words = match.groups()
    kind = _kind(" ".join(words.split()).lower(), text)
    count = _count(number, text)
    if scope == "agent" and kind not in _OF_AGENTS:
        raise RuleError(f"{text!r}: an agent has runs only", f"write agent: {number}/minute runs")
    if kind in AT_ONCE and unit is not None:
        raise RuleError(
            f"{text!r}: {kind} are counted at once, not over time", f"write {scope}: {number} {kind}"
        )
    if kind not in AT_ONCE and unit is None:
        raise RuleError(f"{text!r} has no window", f"write {scope}: {number}/minute {kind}")
    window_s = _window(several, unit, text) if unit is not None else None
    whose = f"{scope}.{only}" if only is not None else scope
    name = f"{whose}-{kind.replace(' ', '-')}" + (f"-{window_s}" if window_s is not None else "")
    return Rule(scope=scope, only=only, kind=kind, count=count, window_s=window_s, name=name)


def _kind(words: str, text: str) -> str:
    plural = words if words.endswith("s") else f"{words}s"
    if plural in KINDS:
        return plural
    near = get_close_matches(plural, KINDS, 1)
    how = f"did you mean {near[0]}?" if near else f"a kind is one of: {', '.join(KINDS)}"
    raise RuleError(f"{words!r} in {text!r} is nothing that is counted", how)


def _count(number: str, text: str) -> int:
    count = int(number[:9])
    if not 1 <= count <= _MOST:
        how = "switch off what nobody may do by scopes" if count < 1 else "take a shorter window"
        raise RuleError(f"the count of {text!r} is not between 1 and {_MOST}", how)
    return count


def _window(several: str | None, unit: str, text: str) -> int:
    word = unit.lower().removesuffix("s") if unit.lower() != "s" else unit
    if word not in _UNITS:
        near = get_close_matches(word, _UNITS, 1)
        how = f"did you mean {near[0]}?" if near else f"a window is one of: {', '.join(_UNITS)}"
        raise RuleError(f"{unit!r} in {text!r} is no window", how)
    window_s = int((several or "1")[:9]) * _UNITS[word]
    if not 1 <= window_s <= _UNITS["day"]:
        raise RuleError(f"the window of {text!r} is not between a second and a day", "write 1000/day")
    return window_s
