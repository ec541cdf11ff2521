"""Budgets: what a run, thread, user, key, agent or tenant may use, in tokens, money, calls and seconds (TRU-9)."""

from typing import TYPE_CHECKING, Any

__all__ = ["Budgets", "Prices", "Rule"]

if TYPE_CHECKING:
    from landline.gates.budgets.gate import Budgets
    from landline.gates.budgets.prices import Prices
    from landline.gates.budgets.rules import Rule

_HOMES = {
    "Budgets": "landline.gates.budgets.gate",
    "Prices": "landline.gates.budgets.prices",
    "Rule": "landline.gates.budgets.rules",
}


def __getattr__(name: str) -> Any:
    """Load what is named when it is: every server asks for prices, few have a budget."""
    if name not in _HOMES:
        raise AttributeError(f"module 'landline.gates.budgets' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
