"""The protocol's own server over the face's tools: which there are for a caller, who serves a call, how errors are told."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from landline.faces.mcp.agents import AgentTools
from landline.faces.mcp.calls import Call, Context, Result, ToolSource, caller_of, request_of
from landline.faces.mcp.going import Going
from landline.faces.mcp.host import HostTools
from landline.faces.mcp.threads import ThreadTools
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.model.version import VERSION
from landline.web.face import FacePorts
from landline.web.problems import request_id, root_of, told

__all__ = ["Extend", "Sources", "server_of", "telling"]

_INSTRUCTIONS: Final = (
    "Every agent of this server is a tool: give it a `message`, and the `thread_id` of an earlier result to go on in the "
    "same thread. A result with status `waiting` is not done: it asks something of the user. The landline_ tools list "
    "threads, read their messages, and look after runs."
)
_TTL_MS: Final = 60_000

_Params = TypeVar("_Params")
_Result = TypeVar("_Result")

Extend = Callable[["Server[Any]", "Sources"], None]
"""Adds to a server that is made, before it serves: more sources, or handlers of other methods."""


class Sources:
    """Who serves which tools; of two with one name the first counts."""

    def __init__(self, sources: Sequence[ToolSource]) -> None:
        self._sources = list(sources)

    def add(self, source: ToolSource) -> None:
        """Serve the tools of `source` too."""
        self._sources.append(source)

    def tools(self, caller: Caller) -> list[Tool]:
        """Return the tools for a caller, each name once."""
        return [tool for tool, _ in self._found(caller).values()]

    def serving(self, caller: Caller, name: str) -> ToolSource | None:
        """Return who serves the tool, or None when the caller has no tool of this name."""
        found = self._found(caller).get(name)
        return found[1] if found else None

    def _found(self, caller: Caller) -> dict[str, tuple[Tool, ToolSource]]:
        found: dict[str, tuple[Tool, ToolSource]] = {}
        for source in self._sources:
            for tool in source.tools(caller):
                found.setdefault(tool.name, (tool, source))
        return found


def server_of(ports: FacePorts, going: Going, extend: Extend | None = None) -> "Server[Any]":
    """Return the protocol's server for these ports."""
    agents = AgentTools(ports, going)
    sources = Sources([agents, ThreadTools(ports, agents)])
    if ports.host is not None:
        sources.add(HostTools(ports.host))

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=sources.tools(caller_of(context)))

    async def call_tool(context: Context, params: CallToolRequestParams) -> Result:
        caller = caller_of(context)
        source = sources.serving(caller, params.name)
        if source is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:128]}")
        call = Call(context=context, caller=caller, request=request_of(context), params=params)
        try:
            return await source.call(call)
        except LandlineError as error:
            return _failure(context, error)

    server: Server[Any] = Server(
        "landline",
        version=VERSION,
        title="Landline",
        instructions=_INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=_TTL_MS, scope="private")},
        on_list_tools=telling(list_tools),
        on_call_tool=telling(call_tool),
    )
    server.middleware.append(going)
    if extend is not None:
        extend(server, sources)
    return server


def telling(
    handler: Callable[[Context, _Params], Awaitable[_Result]],
) -> Callable[[Context, _Params], Awaitable[_Result]]:
    """Return the handler with every error told as an error of the protocol; never an exception's own text."""

    async def handled(context: Context, params: _Params) -> _Result:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001 - this is where every error becomes an answer
            problem, _ = told(error, request_id(request_of(context).scope))
            code = INVALID_PARAMS if isinstance(root_of(error), LandlineError) else INTERNAL_ERROR
            data = {"code": problem.code, "request_id": problem.request_id}
            raise MCPError(code, problem.detail, data) from None

    return handled


def _failure(context: Context, error: LandlineError) -> CallToolResult:
    """Return a refusal as the tool's own failure, so that the model that called it reads what is wrong."""
    problem, _ = told(error, request_id(request_of(context).scope))
    meta = {"landline/code": problem.code, "landline/request_id": problem.request_id}
    if problem.active_run_id is not None:
        meta["landline/active_run_id"] = problem.active_run_id
    said = f"{problem.detail} ({problem.code})"
    return CallToolResult(content=[TextContent(type="text", text=said)], is_error=True, _meta=meta)
