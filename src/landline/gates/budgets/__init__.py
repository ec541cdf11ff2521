"""Budgets: what a run, thread, user, key, agent or tenant may use, in tokens, money, calls and seconds (TRU-9)."""

from typing import TYPE_CHECKING, Any

from landline.gates.budgets.prices import Prices
from landline.gates.budgets.rules import Rule

if TYPE_CHECKING:
    from landline.gates.budgets.gate import Budgets

__all__ = ["Budgets", "Prices", "Rule"]


def __getattr__(name: str) -> Any:
    """Load the gate when there is a budget; every server asks for prices."""
    if name == "Budgets":
        from landline.gates.budgets.gate import Budgets

        return Budgets
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
