"""How agents reach the outside: the egress policy, clients for models' streams, and connections to MCP servers."""

from typing import TYPE_CHECKING, Any

__all__ = ["EgressPolicy", "fit", "http_client", "legacy_http_client"]

if TYPE_CHECKING:
    from landline.upstream.egress import EgressPolicy
    from landline.upstream.streams import fit, http_client, legacy_http_client

_HOMES = {
    "EgressPolicy": "landline.upstream.egress",
    "fit": "landline.upstream.streams",
    "http_client": "landline.upstream.streams",
    "legacy_http_client": "landline.upstream.streams",
}


def __getattr__(name: str) -> Any:
    """Load what is named when it is: a start looks at clients, and needs no way out for it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'landline.upstream' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
