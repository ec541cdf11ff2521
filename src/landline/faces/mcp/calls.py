"""One call of a tool, and who serves which tools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult, Tool
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from landline.model.callers import Caller

__all__ = ["REQUEST", "Call", "Context", "Result", "ToolSource", "caller_of", "can_fill_forms", "request_of"]

Context = ServerRequestContext[Any, Any]
Result = CallToolResult | InputRequiredResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of the tool `name`, by a caller who was admitted with the request it came in."""

    context: Context
    caller: Caller
    request: Request
    params: CallToolRequestParams

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments; none are an empty object."""
        return self.params.arguments or {}

    @property
    def modern(self) -> bool:
        """Whether the wire is the one without a handshake: a question is answered by calling again."""
        return self.context.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def tell(self, seq: int, message: str) -> None:
        """Tell how far it is, if the client asked to be told; `seq` rises, and nobody knows the last."""
        await self.context.session.report_progress(float(seq), None, message)


class ToolSource(Protocol):
    """Serves some of the tools."""

    def tools(self, caller: Caller) -> Sequence[Tool]:
        """Return the tools this caller may call."""
        ...

    async def call(self, call: Call) -> Result:
        """Carry out a call of one of them; a LandlineError is told to the client as the tool's own failure."""
        ...


REQUEST: Final = "landline.mcp"
"""Where the scope that the protocol's transport is given holds the request as it came."""


def request_of(context: Context) -> Request:
    """Return the HTTP request that a message came in, as the route was given it."""
    given = cast("Request", context.request)
    return cast("Request", given.scope[REQUEST])


def caller_of(context: Context) -> Caller:
    """Return who sent a message: admitted with its request, by the door."""
    return cast("Caller", request_of(context).scope["state"]["caller"])


def can_fill_forms(context: Context) -> bool:
    """Tell whether the client said that it can show a form to its user."""
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return False
    # An empty object is how clients said `form` before there was a second mode.
    return capabilities.elicitation.form is not None or capabilities.elicitation.url is None
