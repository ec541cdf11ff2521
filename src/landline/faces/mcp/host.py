"""Routes that the host app exports, as tools: the host itself says who may do what, from the caller's own credential."""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final, cast

from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent, Tool, ToolAnnotations

from landline.faces.mcp.calls import Call, Result
from landline.model.callers import Caller
from landline.model.errors import Invalid
from landline.web.host_routes import HostAnswer, HostRoute, HostRoutes

__all__ = ["HostTools"]

_MOST_BYTES: Final = 4 * 1024 * 1024


class HostTools:
    """The face's `ToolSource` for routes of the host app."""

    def __init__(self, routes: HostRoutes) -> None:
        self._routes = routes

    def tools(self, caller: Caller) -> Sequence[Tool]:
        """Return a tool per exported route."""
        return [_tool(route) for route in self._routes.list()]

    async def call(self, call: Call) -> Result:
        """Call the route; a status of 400 and above is the tool's failure, told with the route's own body."""
        return _result(await self._routes.call(call.request, call.params.name, call.arguments))


def _tool(route: HostRoute) -> Tool:
    return Tool(
        name=route.name,
        title=route.title,
        description=route.description,
        input_schema=dict(route.parameters),
        output_schema=dict(route.output_schema) or None,
        annotations=ToolAnnotations(
            title=route.title,
            read_only_hint=not route.changes,
            idempotent_hint=route.repeatable,
            open_world_hint=False,
        ),
    )


def _result(answer: HostAnswer) -> CallToolResult:
    if len(answer.body) > _MOST_BYTES:
        raise Invalid(f"The route answered more than {_MOST_BYTES} bytes.", code="answer_too_large")
    failed = answer.status >= 400
    data: Any = answer.data
    # Until 2026 only an object could be told as data.
    structured: Any = cast("Any", data) if isinstance(data, dict) else {"result": data}
    block: ContentBlock
    if answer.media_type.startswith("image/"):
        block = ImageContent(
            type="image", data=base64.b64encode(answer.body).decode("ascii"), mime_type=answer.media_type
        )
    elif answer.is_json:
        block = TextContent(type="text", text=json.dumps(data, ensure_ascii=False))
    else:
        block = TextContent(type="text", text=answer.body.decode("utf-8", errors="replace"))
    said: list[ContentBlock] = [TextContent(type="text", text=f"HTTP {answer.status}")] if failed else []
    return CallToolResult(
        content=[*said, block],
        structured_content=structured if answer.is_json and not failed else None,
        is_error=failed,
        _meta={"landline/status": answer.status},
    )
