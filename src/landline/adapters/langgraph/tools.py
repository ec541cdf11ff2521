"""Sync tools of a graph, made to run in threads that neither a cancelled run nor a stopping server waits for (ADP-8)."""

import asyncio
import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial, wraps
from typing import Any

from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolNode

from landline.model.errors import Unsupported
from landline.ports.adapter import BroughtTool

__all__ = ["BROUGHT", "check_tools", "in_threads", "takes_tools", "tool_nodes"]

BROUGHT = "landline_brought_tools"
"""The tool that stands in a graph where `BroughtTools` puts those of a run."""

_TAKES_NONE = (
    "This agent takes no tools of MCP servers; create_agent(middleware=[BroughtTools()]) makes one that does."
)


def tool_nodes(graph: Any) -> Iterator[ToolNode]:
    """Yield the nodes of a graph, and of the graphs within it, that call tools."""
    for one in (graph, *(inner for _, inner in graph.get_subgraphs(recurse=True))):
        for node in one.nodes.values():
            if isinstance(node.bound, ToolNode):
                yield node.bound


def takes_tools(graph: Any) -> bool:
    """Tell whether an agent in `graph` takes the tools that Landline brings."""
    return any(BROUGHT in node.tools_by_name for node in tool_nodes(graph))


def check_tools(graph: Any, brought: Sequence[BroughtTool], *, wanted: bool = False) -> None:
    """Refuse tools that the agent does not take, or would confuse with its own, and a schema that nobody hands on.

    Raises:
        Unsupported: It is so.
    """
    if brought and not takes_tools(graph):
        raise Unsupported(_TAKES_NONE)
    if wanted and not takes_tools(graph):
        raise Unsupported(
            "This agent takes no schema of its answer; create_agent(middleware=[BroughtTools()]) makes one that does.",
            code="output_schema_unsupported",
        )
    own = {name for node in tool_nodes(graph) for name in node.tools_by_name} if brought else set[str]()
    if twice := own & {tool.name for tool in brought}:
        raise Unsupported(
            f"The agent and an MCP server both have a tool {min(twice)!r}; give the server a prefix."
        )


def in_threads(node: Any, name: str, threads: Executor) -> Any:
    """Return `node`, or for a sync tool a copy of it whose tool `name` runs in `threads`; `node` stays as it is."""
    tool = node.tools_by_name.get(name)
    moved = None if tool is None else _moved(tool, threads)
    if moved is None:
        return node
    twin = copy.copy(node)
    twin._tools_by_name = {**node.tools_by_name, name: moved}
    return twin


def _moved(tool: BaseTool, threads: Executor) -> BaseTool | None:
    if (func := getattr(tool, "func", None)) is not None:
        if getattr(tool, "coroutine", None) is not None:
            return None
        return tool.model_copy(update={"coroutine": _threaded(func, threads)})
    if type(tool)._arun is not BaseTool._arun:  # pyright: ignore[reportPrivateUsage] - how the framework tells sync tools
        return None
    twin = copy.copy(tool)
    run = _threaded(tool._run, threads)  # pyright: ignore[reportPrivateUsage] - the sync body itself, to be run in a thread
    # Past pydantic, which takes no attribute that is not a field; methods are looked up on the object first.
    object.__setattr__(twin, "_arun", run)
    return twin


def _threaded(func: Callable[..., Any], threads: Executor) -> Callable[..., Any]:
    @wraps(func)
    async def run(*args: Any, **kwargs: Any) -> Any:
        if (manager := kwargs.get("run_manager")) is not None and hasattr(manager, "get_sync"):
            kwargs["run_manager"] = manager.get_sync()
        work = partial(copy_context().run, func, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    return run
