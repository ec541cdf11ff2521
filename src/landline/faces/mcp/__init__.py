"""The MCP face: agents, threads and chosen routes of the host as tools at `/mcp`, streamable HTTP (FACE-11)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from landline.web.face import FacePorts

__all__ = ["face"]


def face(ports: "FacePorts") -> "APIRouter":
    """Return the face's router; the protocol's own package is loaded here and not before.

    Raises:
        ImportError: The extra is not installed.
    """
    try:
        from landline.faces.mcp.routes import router_of
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise ImportError("the MCP face needs the extra: pip install 'landline[mcp]'") from error
    return router_of(ports)
