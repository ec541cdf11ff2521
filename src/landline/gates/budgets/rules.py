"""Rules as owners write them: `user: 2 usd/day`, `run: 50 tool calls`, `agent:notes: 1000 model calls/day`."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from landline.model.errors import BudgetExceeded, ErrorInfo
from landline.model.usage import Spent

__all__ = ["Rule", "Unit"]

Scope = Literal["run", "thread", "user", "key", "agent", "tenant"]
Unit = Literal["tokens", "usd", "tool_calls", "model_calls", "seconds"]

_RULE: Final = re.compile(
    r"(?P<scope>[a-z]+)(:(?P<name>\S*[^\s:]))?:?\s+(?P<amount>[0-9][0-9_]*(\.[0-9]+)?)\s+"
    r"(?P<unit>[a-z]+( [a-z]+)?)\s*(?P<day>/\s*day)?"
)
_SCOPES: Final[dict[str, Scope]] = {
    "run": "run", "thread": "thread", "user": "user", "key": "key", "agent": "agent", "tenant": "tenant",
}  # fmt: skip
_UNITS: Final[dict[str, Unit]] = {
    "token": "tokens", "tokens": "tokens", "usd": "usd", "tool call": "tool_calls", "tool calls": "tool_calls",
    "model call": "model_calls", "model calls": "model_calls", "second": "seconds", "seconds": "seconds",
}  # fmt: skip
_WORDS: Final = "; units are tokens, usd, tool calls, model calls and seconds"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One budget. `name` holds it for one user, key, agent or tenant; without it each has its own.

    `agent`: only what runs of this agent use counts, and only they are stopped: a rule of the agent's own.

    `daily` budgets are new at midnight UTC; the others hold for as long as there is a run, thread, user and so on.
    """

    text: str
    scope: Scope
    name: str | None
    amount: float
    unit: Unit
    daily: bool
    agent: str | None = None

    @classmethod
    def of(cls, text: str, *, agent: str | None = None) -> "Rule":
        """Read a rule. Raises ValueError with a sentence that says what is wrong."""
        said = " ".join(text.split())
        found = _RULE.fullmatch(said)
        if found is None:
            raise ValueError(f"{said!r} is not a budget")
        scope, unit = _SCOPES.get(found["scope"]), _UNITS.get(found["unit"])
        if scope is None:
            raise ValueError(f"{said!r}: {found['scope']!r} has no budget; {', '.join(_SCOPES)} have")
        if unit is None:
            raise ValueError(f"{said!r}: nothing is counted in {found['unit']!r}{_WORDS}")
        amount, daily, name = float(found["amount"]), found["day"] is not None, found["name"]
        if unit in ("tool_calls", "model_calls", "tokens") and amount != int(amount):
            raise ValueError(f"{said!r}: {found['unit']} are counted in whole numbers")
        if scope == "run" and daily:
            raise ValueError(f"{said!r}: a run has one budget, not one for each day")
        if scope in ("run", "thread") and name is not None:
            raise ValueError(f"{said!r}: a {scope} cannot be named, its id is made by the server")
        if scope == "agent" and agent is not None and name not in (None, agent):
            raise ValueError(f"{said!r}: a budget of {agent!r} cannot be for another agent")
        return cls(text=said, scope=scope, name=name, amount=amount, unit=unit, daily=daily, agent=agent)

    def holds_for(self, agent: str) -> bool:
        """Tell whether runs of `agent` count."""
        return self.agent in (None, agent)

    @property
    def code(self) -> str:
        """The stable code of a run that was stopped, and of a request that is refused."""
        return f"budget_{self.scope}_{self.unit}{'_day' if self.daily else ''}"

    def used(self, spent: Spent) -> float:
        """Return what `spent` is in this rule's unit; money nobody knows is none."""
        match self.unit:
            case "tokens":
                return spent.input_tokens + spent.output_tokens
            case "usd":
                return spent.cost_usd or 0.0
            case "tool_calls":
                return spent.tool_calls
            case "model_calls":
                return spent.model_calls
            case "seconds":
                return spent.seconds

    @property
    def info(self) -> ErrorInfo:
        """The error of a run that has used this up."""
        return ErrorInfo(code=self.code, message=f"The budget is used up: {self.text}.")

    def refusal(self, retry_after_s: int) -> BudgetExceeded:
        """Return the error of a request that comes when this is used up; `retry_after_s` until midnight for a daily one."""
        said = f"The budget is used up: {self.text}."
        return BudgetExceeded(said, code=self.code, retry_after_s=retry_after_s if self.daily else None)
