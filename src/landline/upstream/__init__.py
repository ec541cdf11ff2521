"""How agents reach the outside: the egress policy."""

from landline.upstream.egress import EgressPolicy

__all__ = ["EgressPolicy"]
