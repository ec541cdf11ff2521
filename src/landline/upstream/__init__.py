"""How agents reach the outside: the egress policy, clients for models' streams, and connections to MCP servers."""

from typing import TYPE_CHECKING, Any

__all__ = ["EgressPolicy", "fit", "http_client", "legacy_http_client"]

if TYPE_CHECKING:
    from landline.upstream.egress import EgressPolicy
    from landline.upstream.streams import fit, http_client, legacy_http_client


def __getattr__(name: str) -> Any:
    """Load what is named when it is: a start looks at agents' clients, and needs no way out for it."""
    if name == "EgressPolicy":
        from landline.upstream.egress import EgressPolicy

        return EgressPolicy
    if name in __all__:
        from landline.upstream import streams

        return getattr(streams, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
