"""How agents reach the outside: the egress policy, clients for models' streams, and connections to MCP servers."""

from landline.upstream.egress import EgressPolicy
from landline.upstream.streams import fit, http_client, legacy_http_client

__all__ = ["EgressPolicy", "fit", "http_client", "legacy_http_client"]
