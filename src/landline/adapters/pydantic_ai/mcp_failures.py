"""Whether an exception says that the connection to an MCP server broke, and what a run may say of it."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, cast

from landline.model.errors import AgentFailed

if TYPE_CHECKING:
    from pydantic_ai.mcp import MCPToolset

__all__ = ["CODE", "Broken", "broken_by", "unavailable"]

CODE = "mcp_unavailable"

_DOWN = "A tool server of the agent cannot be reached or does not answer."
_CALLED = "The connection to the tool's server broke; whether the call was carried out is not known."

_CONNECTION_CLOSED = -32000
"""The MCP client's own code for a request whose answer will never come."""

_NO_SESSION = re.compile(r"session (not found|terminated)", re.IGNORECASE)
"""What servers, and the client for a bare 404, say of a session that is gone; their codes differ."""

_REQUESTS = {"__aenter__", "__aexit__", "list_tools", "_call_tool_checked"}
"""The toolset's methods that speak to its server; a broken connection may also raise once more when it is left."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A toolset whose connection broke. `refused`: the server did not take the request."""

    toolset: "MCPToolset[Any]"
    refused: bool


def unavailable(*, called: bool = False) -> AgentFailed:
    """Return the failure of a run whose server is gone; `called`: while a tool was being called."""
    return AgentFailed(_CALLED if called else _DOWN, code=CODE)


def broken_by(error: BaseException) -> Broken | None:
    """Return which toolset's connection broke, or None when `error` is something else.

    The client lets raw exceptions of its transport through, which other code raises too: it must also have come out of
    a toolset's request.
    """
    if "pydantic_ai.mcp" not in sys.modules:
        return None
    from fastmcp.exceptions import McpError

    causes = list(_causes(error))
    toolset = next((found for cause in causes if (found := _asked(cause)) is not None), None)
    if toolset is None:
        return None
    answer = next((cause for cause in causes if isinstance(cause, McpError)), None)
    if answer is None:
        return Broken(toolset, refused=False) if any(map(_of_transport, causes)) else None
    if _NO_SESSION.match(answer.error.message):
        return Broken(toolset, refused=True)
    return Broken(toolset, refused=False) if answer.error.code == _CONNECTION_CLOSED else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    left, seen = [error], set[int]()
    while left:
        cause = left.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[BaseException]", cause).exceptions
        if cause.__cause__ is not None:
            left.append(cause.__cause__)


def _asked(error: BaseException) -> "MCPToolset[Any] | None":
    from pydantic_ai.mcp import MCPToolset

    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name in _REQUESTS and isinstance(asked := frame.f_locals.get("self"), MCPToolset):
            return cast("MCPToolset[Any]", asked)
    return None


def _of_transport(error: BaseException) -> bool:
    # The client's own words for a dead session are a bare RuntimeError; the framework's are subclasses of it.
    library = type(error).__module__.partition(".")[0]
    return (
        isinstance(error, OSError) or type(error) is RuntimeError or library in {"httpx2", "httpx", "anyio"}
    )
