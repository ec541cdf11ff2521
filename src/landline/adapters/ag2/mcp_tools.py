"""The tools of AG2's MCP toolkit over connections that are kept; imported only when an agent has such a toolkit."""

from typing import Any, cast

from ag2.annotations import Variable
from ag2.context import ConversationContext
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResultEvent
from ag2.tools.toolkits.mcp_server.answering import InputRequestAnswerer
from ag2.tools.toolkits.mcp_server.toolkit import (
    _extract_content,  # pyright: ignore[reportPrivateUsage] - a part of the framework's own call
    _MCPProxyTool,  # pyright: ignore[reportPrivateUsage] - as above
    _unwrap,  # pyright: ignore[reportPrivateUsage] - as above
)

from landline.adapters.ag2.mcp import McpConnections

__all__ = ["kept", "lasts"]

_VARIABLE: type[Any] = Variable
_PARTS = ("name", "schema", "_config", "_middleware", "_answering", "_remote_name")


def lasts(toolkit: Any) -> bool:
    """Tell whether all runs reach the same server: not when the run's variables lead to it."""
    config = getattr(toolkit, "config", None)
    parts = {} if config is None else cast("dict[str, Any]", vars(config))
    return bool(parts) and not any(isinstance(value, _VARIABLE) for value in parts.values())


def kept(tool: Any, connections: McpConnections) -> Any:
    """Return a tool's copy that calls over the kept connection; any other tool as it is."""
    if not isinstance(tool, _MCPProxyTool):
        return tool
    twin = _KeptTool.__new__(_KeptTool)
    for part in _PARTS:
        setattr(twin, part, getattr(tool, part))
    twin.connections = connections
    return twin


class _KeptTool(_MCPProxyTool):
    connections: McpConnections

    async def __call__(
        self, event: ToolCallEvent, context: ConversationContext
    ) -> ToolResultEvent | ToolErrorEvent:
        inside = cast("Any", self)
        answerer = InputRequestAnswerer(inside._answering, context)
        if answerer.session_kwargs():
            # The server may ask this run's human or model back: that takes a connection of the run's own.
            return await super().__call__(event, context)
        try:
            result = await self.connections.call(
                inside._config, lambda session: inside._call(session, event, answerer)
            )
        except Exception as error:  # noqa: BLE001 - as in the framework's own call: the model is told of whatever it is
            return ToolErrorEvent.from_call(event, error=_unwrap(error))
        if result.is_error:
            return ToolErrorEvent.from_call(event, error=RuntimeError(str(result)))
        return ToolResultEvent.from_call(event, result=_extract_content(result))
