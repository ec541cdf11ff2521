"""Running a function tool's own code, with its exceptions as they are and sync functions in threads of ours (ADP-8)."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from copy import copy
from functools import lru_cache, wraps
from typing import Any

from agents import FunctionTool, function_tool
from agents.agent_tool_state import get_agent_tool_state_scope, peek_agent_tool_run_result
from agents.tool import invoke_function_tool
from agents.tool_context import ToolContext

from landline.adapters.openai_agents.threads import ToolThreads
from landline.model.errors import Unsupported

__all__ = ["in_threads", "invoke", "twin"]

_threads: ContextVar[ToolThreads] = ContextVar("landline_tool_threads")


def twin(tool: FunctionTool) -> FunctionTool:
    """Return a tool of the same kind with the same fields; unlike `copy`, it does not read the schema anew."""
    made = object.__new__(type(tool))
    made.__dict__.update(tool.__dict__)
    return made


async def invoke(tool: FunctionTool, ctx: ToolContext[Any], arguments: str, threads: ToolThreads) -> Any:
    """Call the tool and return its result; whatever it raises comes out as it was raised.

    Raises:
        ToolTimeoutError: It took longer than its owner allows.
        Unsupported: It is an agent one of whose own tools waits for approval.
    """
    bare = copy(tool)
    bare._failure_error_function = None  # pyright: ignore[reportPrivateUsage] - the constructor does not take it
    bare._use_default_failure_error_function = False  # pyright: ignore[reportPrivateUsage] - as above
    bare.timeout_behavior = "raise_exception"
    if (fn := _sync_function(tool)) is not None:
        bare.on_invoke_tool = _threaded(fn, tool.strict_json_schema).on_invoke_tool
    token = _threads.set(threads)
    try:
        result = await invoke_function_tool(function_tool=bare, context=ctx, arguments=arguments)
    finally:
        _threads.reset(token)
    if ctx.tool_call is not None:
        nested = peek_agent_tool_run_result(ctx.tool_call, scope_id=get_agent_tool_state_scope(ctx))
        if getattr(nested, "interruptions", None):
            raise Unsupported(
                f"A tool of the agent behind the tool {tool.name} needs approval; give the approval to {tool.name}.",
                code="nested_approval",
            )
    return result


def _sync_function(tool: FunctionTool) -> Callable[..., Any] | None:
    fn: Any = getattr(tool, "__wrapped__", None)
    typed_output = tool._output_type_adapter is not None  # pyright: ignore[reportPrivateUsage] - no public reading
    if not callable(fn) or typed_output or inspect.iscoroutinefunction(fn):
        return None
    return None if inspect.iscoroutinefunction(getattr(fn, "__call__", None)) else fn  # noqa: B004 - it is looked at, not called


@lru_cache(maxsize=512)
def _threaded(fn: Callable[..., Any], strict: bool) -> FunctionTool:
    """Return the tool of the same function that takes the threads of its call."""
    threaded = in_threads(fn, _threads.get)
    return function_tool(threaded, strict_mode=strict, failure_error_function=None, use_docstring_info=False)


def in_threads(fn: Callable[..., Any], threads: Callable[[], ToolThreads]) -> Callable[..., Awaitable[Any]]:
    """Return the async function that runs `fn` in a thread, with the caller's context variables."""

    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        context = copy_context()
        return await asyncio.wrap_future(threads().submit(context.run, fn, *args, **kwargs))

    return run
