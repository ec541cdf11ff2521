"""A server's result as plain JSON: what the log records and the model is told."""

from typing import TYPE_CHECKING, Any, cast

import msgspec

from landline.ports.adapter import ToolRaised
from landline.upstream.mcp.faults import BadResult

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

__all__ = ["plain_result"]

MOST_SAID = 2_000
"""How much of a tool's own words about its failure is passed on."""


def plain_result(result: "CallToolResult", *, limit: int) -> Any:
    """Return structured content as it is, one text as text, and several parts as a list.

    Pictures, sound and other bytes are named and measured, not passed on.

    Raises:
        ToolRaised: `mcp_tool_error`: the tool said that it failed; its words are for the model.
        BadResult: It is longer than `limit` bytes, or cannot be written as JSON again.
    """
    if result.is_error:
        said = "\n".join(part for part in map(_part, result.content) if isinstance(part, str)).strip()
        raise ToolRaised("mcp_tool_error", said[:MOST_SAID] or "The tool failed.")
    parts = [_part(block) for block in result.content]
    texts = all(isinstance(part, str) for part in parts)
    if result.structured_content is not None and texts:
        value = _unwrapped(result.structured_content)
    elif len(parts) == 1:
        value = parts[0]
    else:
        value = "\n".join(cast("list[str]", parts)) if texts else parts
    try:
        length = len(msgspec.json.encode(value))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadResult from error
    if length > limit:
        raise BadResult(longer_than=limit)
    return value


def _unwrapped(value: Any) -> Any:
    """Servers wrap what is not an object, because older versions of the protocol know objects only."""
    if isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"result"}:
        return cast("dict[str, Any]", value)["result"]
    return cast("Any", value)


def _part(block: "ContentBlock") -> Any:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return {"type": block.type, "media_type": block.mime_type, "size": len(block.data) * 3 // 4}
        case "resource_link":
            return {"type": "link", "uri": str(block.uri), "name": block.name}
        case "resource":
            text = getattr(block.resource, "text", None)
            if isinstance(text, str):
                return text
            return {"type": "file", "uri": str(block.resource.uri), "media_type": block.resource.mime_type}
