"""Rules as owners write them: `pii`, `words:block`, `pii@output:redact`, `secrets@output+tool_output:flag`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from landline.gates.guards.endpoints import Endpoint, LlamaGuard, ModerationGuard
from landline.gates.guards.injection import InjectionGuard
from landline.gates.guards.judge import Rule
from landline.gates.guards.pii import PiiGuard
from landline.gates.guards.secrets import SecretGuard
from landline.gates.guards.words import WordGuard
from landline.ports.guards import Action, Guard, Stage

__all__ = ["ACTIONS", "NAMES", "Made", "Written", "read_rule", "rules_of"]

NAMES = ("injection", "llamaguard", "moderation", "pii", "secrets", "words")
ACTIONS: dict[str, Action] = {"flag": "flag", "redact": "redact", "block": "block"}
_STAGES: dict[str, Stage] = {stage: stage for stage in cast("tuple[Stage, ...]", get_args(Stage))}


@dataclass(frozen=True, slots=True)
class Written:
    """A rule that was read; without `action` or `stages` the guard's own hold."""

    name: str
    action: Action | None = None
    stages: frozenset[Stage] | None = None


def read_rule(text: str) -> Written:
    """Read one rule.

    Raises:
        ValueError: It is none; says what there is.
    """
    left, has_action, action = text.strip().partition(":")
    name, has_stages, stages = left.partition("@")
    if name not in NAMES:
        raise ValueError(f"there is no guard {name!r}; there are {', '.join(NAMES)}")
    if has_action and action not in ACTIONS:
        raise ValueError(f"{text!r}: a guard does one of {', '.join(ACTIONS)}")
    named = stages.split("+") if has_stages else []
    for stage in named:
        if stage not in _STAGES:
            raise ValueError(f"{text!r}: there is no stage {stage!r}; there are {', '.join(_STAGES)}")
    return Written(
        name,
        ACTIONS[action] if has_action else None,
        frozenset(_STAGES[stage] for stage in named) if named else None,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What built-in guards are made with."""

    words: Sequence[str] = ()
    moderation: Endpoint | None = None
    llamaguard: Endpoint | None = None


def rules_of(given: Iterable[Any], made: Made) -> list[Rule]:
    """Return the rules of a list of texts and guards of the owner's own.

    Raises:
        ValueError: One is no rule and no guard, or its guard lacks a setting.
    """
    rules: list[Rule] = []
    for one in given:
        if isinstance(one, str):
            rules.append(_built_in(read_rule(one), made))
        elif all(hasattr(one, needed) for needed in ("name", "stages", "whole", "settled", "check")):
            guard = cast("Guard", one)
            rules.append(Rule(guard, frozenset(guard.stages)))
        else:
            raise ValueError(
                f"{one!r} is no guard: give a rule such as 'pii:redact' or a landline.ports Guard"
            )
    return rules


def _built_in(written: Written, made: Made) -> Rule:
    def endpoint(given: Endpoint | None) -> Endpoint:
        if given is None:
            raise ValueError(f"the guard {written.name!r} needs a server: guard_{written.name}_url names it")
        return given

    own: Mapping[str, Any] = {} if written.action is None else {"action": written.action}
    makers: Mapping[str, Callable[[], Guard]] = {
        "injection": lambda: InjectionGuard(**own),
        "llamaguard": lambda: LlamaGuard(endpoint(made.llamaguard), **own),
        "moderation": lambda: ModerationGuard(endpoint(made.moderation), **own),
        "pii": lambda: PiiGuard(**own),
        "secrets": lambda: SecretGuard(**own),
        "words": lambda: WordGuard(made.words, **own),
    }
    guard = makers[written.name]()
    return Rule(guard, written.stages or guard.stages)
