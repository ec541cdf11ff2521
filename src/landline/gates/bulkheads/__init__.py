"""Bulkheads: how many runs of one upstream, and of one tenant, go on at once, and a fair queue for the others (RES-6)."""

from landline.gates.bulkheads.gate import Bulkheads
from landline.gates.bulkheads.places import Bound
from landline.gates.bulkheads.rules import Rule, RuleError, parse_all

__all__ = ["Bound", "Bulkheads", "Rule", "RuleError", "parse_all"]
