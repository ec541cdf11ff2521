"""Limits: how often, and how much at once, by user, key, tier, tenant, address and agent (TRU-8, RES-6)."""

from landline.gates.limits.files import CountedFiles
from landline.gates.limits.limiter import Limiter
from landline.gates.limits.rules import Rule, RuleError, key_rule, parse, parse_all, parse_rate
from landline.gates.limits.runs import RunLimits

__all__ = [
    "CountedFiles",
    "Limiter",
    "Rule",
    "RuleError",
    "RunLimits",
    "key_rule",
    "parse",
    "parse_all",
    "parse_rate",
]
