"""How agents reach the outside: the egress policy, and the connections to MCP servers that Landline itself keeps."""

from landline.upstream.egress import EgressPolicy

__all__ = ["EgressPolicy"]
