"""Where a run's journal gets between a graph and its tools and models, wherever in the graph they are called.

LangGraph has no hook that may answer a call in a tool's or a model's place, and a graph is shared by all runs, so nothing
is written on it. Instead the two methods that every call goes through are wrapped once in this process: they look into a
context variable, and without a run of Landline in it they do what they did before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, Protocol, cast

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.prebuilt import ToolNode

from landline.ports.adapter import BroughtTool

__all__ = ["Seams", "brought", "installed", "journalled", "wanted"]


class Seams(Protocol):
    """What a run does in the place of calls."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the run lives on; calls from threads are taken there."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the run's segment is over; what a graph left behind then goes on without it."""
        ...

    @property
    def brought(self) -> Sequence[BroughtTool]:
        """The tools that Landline brings to the run."""
        ...

    @property
    def wanted(self) -> Mapping[str, Any] | None:
        """The JSON schema that the client wants the answer to fit."""
        ...

    async def tool_call(
        self,
        node: Any,
        call: dict[str, Any],
        runtime: Any,
        run: Callable[[Any, Any, Executor], Awaitable[Any]],
    ) -> Any:
        """Do a tool call of `node`; `run` takes the node, the call and the threads that are to be used."""
        ...

    async def model_call(
        self,
        model: BaseChatModel,
        messages: list[BaseMessage],
        options: dict[str, Any],
        run_manager: Any,
        run: Callable[[dict[str, Any]], Awaitable[ChatResult]],
    ) -> ChatResult:
        """Answer a request to `model`; `run` makes it, with the options that are to be used."""
        ...


_current: ContextVar[Seams | None] = ContextVar("landline_langgraph_run", default=None)


@contextmanager
def journalled(run: Seams) -> Generator[None]:
    """Let `run` answer the calls of graphs that are started within."""
    token = _current.set(run)
    try:
        yield
    finally:
        try:
            _current.reset(token)
        except ValueError:
            # The events are closed in another context than they were pulled in: it never had the variable.
            _current.set(None)


def _active() -> Seams | None:
    run = _current.get()
    return None if run is None or run.closed else run


def brought() -> Sequence[BroughtTool]:
    """Return the tools that Landline brings to the run that this code is part of; none outside."""
    run = _active()
    return () if run is None else run.brought


def wanted() -> Mapping[str, Any] | None:
    """Return the schema of the answer that the run's client wants; None outside."""
    run = _active()
    return None if run is None else run.wanted


def _in_run(run: Seams, work: Any) -> Any:
    """Wait in a thread of a sync node for what only the run's loop may do."""
    return asyncio.run_coroutine_threadsafe(work, run.loop).result()


def _wrap_tools() -> None:
    node_class = cast("Any", ToolNode)
    # No public place is passed by all calls.
    original, original_sync = node_class._arun_one, node_class._run_one

    async def run_it(node: Any, call: Any, input_type: Any, tool_runtime: Any, threads: Executor) -> Any:
        if node._awrap_tool_call is None and node._wrap_tool_call is not None:
            # The framework would run a wrapper that is only sync on the loop, and the tool within it.
            work = partial(copy_context().run, original_sync, node, call, input_type, tool_runtime)
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        return await original(node, call, input_type, tool_runtime)

    @wraps(original)
    async def arun_one(self: ToolNode, call: Any, input_type: Any, tool_runtime: Any) -> Any:
        run = _active()
        if run is None:
            return await original(self, call, input_type, tool_runtime)

        async def call_it(node: Any, call: Any, threads: Executor) -> Any:
            return await run_it(node, call, input_type, tool_runtime, threads)

        return await run.tool_call(self, call, tool_runtime, call_it)

    @wraps(original_sync)
    def run_one(self: ToolNode, call: Any, input_type: Any, tool_runtime: Any) -> Any:
        run = _active()
        if run is None or _on(run.loop):
            return original_sync(self, call, input_type, tool_runtime)

        async def call_it(node: Any, call: Any, threads: Executor) -> Any:
            return await run_it(node, call, input_type, tool_runtime, threads)

        return _in_run(run, run.tool_call(self, call, tool_runtime, call_it))

    node_class._arun_one, node_class._run_one = arun_one, run_one


def _wrap_models() -> None:
    model_class = cast("Any", BaseChatModel)
    original, original_sync = model_class._agenerate_with_cache, model_class._generate_with_cache

    @wraps(original)
    async def agenerate(
        self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        run = _active()
        if run is None:
            return await original(self, messages, stop=stop, run_manager=run_manager, **options)

        async def ask(options: dict[str, Any]) -> ChatResult:
            return await original(self, messages, stop=stop, run_manager=run_manager, **options)

        return await run.model_call(self, messages, options, run_manager, ask)

    @wraps(original_sync)
    def generate(
        self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        run = _active()
        if run is None or _on(run.loop):
            return original_sync(self, messages, stop=stop, run_manager=run_manager, **options)

        def ask_here(options: dict[str, Any]) -> ChatResult:
            return original_sync(self, messages, stop=stop, run_manager=run_manager, **options)

        async def ask(options: dict[str, Any]) -> ChatResult:
            return await asyncio.to_thread(ask_here, options)

        return _in_run(run, run.model_call(self, messages, options, run_manager, ask))

    model_class._agenerate_with_cache, model_class._generate_with_cache = agenerate, generate


def _on(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


_wrap_tools()
_wrap_models()
installed = True
