"""Budgets: what a run, thread, user, key, agent or tenant may use, in tokens, money, calls and seconds (TRU-9)."""

from landline.gates.budgets.gate import Budgets
from landline.gates.budgets.prices import Prices
from landline.gates.budgets.rules import Rule

__all__ = ["Budgets", "Prices", "Rule"]
