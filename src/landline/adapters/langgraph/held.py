"""The nodes of tools that a graph has of its owner's own code: its own, and those that its functions refer to.

A node or a workflow may call a `ToolNode` or another graph from within its code. What that code refers to was there before
any run; what it makes while it runs was not, and its tools count as having arrived at run time (TRU-20).
"""

from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any, cast

from langchain_core.runnables import RunnableLambda, RunnableSequence
from langgraph._internal._runnable import RunnableCallable, RunnableSeq
from langgraph.prebuilt import ToolNode
from langgraph.pregel import Pregel
from langgraph.pregel import _utils as pregel_utils

__all__ = ["held_nodes"]

MOST = 2_000
"""How many values are looked at; more is no graph that somebody wrote by hand."""


def held_nodes(graph: Any) -> Iterator[ToolNode]:
    """Yield every node of tools that `graph` and its functions refer to, each once."""
    seen, waiting = set[int](), [graph]
    while waiting and len(seen) < MOST:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, ToolNode):
            yield value
        waiting.extend(one for one in _within(value) if one is not None)


def _within(value: Any) -> list[Any]:
    """Return what a value that may lead to tools refers to."""
    match value:
        case Pregel():
            return [node.bound for node in cast("Any", value).nodes.values()]
        case RunnableSequence() | RunnableSeq():
            return list(cast("list[Any]", cast("Any", value).steps))
        case RunnableCallable() | RunnableLambda():
            runs = cast("Any", value)
            return [getattr(runs, "func", None), getattr(runs, "afunc", None)]
        case FunctionType():
            return _referred(value)
        case MethodType():
            own = getattr(value.__self__, "__dict__", {})
            return [*_referred(value), *(one for one in own.values() if isinstance(one, ToolNode | Pregel))]
        case _:
            # A task of the functional interface keeps its function so.
            task = type(value).__module__.startswith("langgraph.") and hasattr(value, "func")
            return [value.func] if task else []


def _referred(function: Callable[..., Any]) -> list[Any]:
    # As the framework finds the graphs within a function; it has no public name.
    reached = cast("list[Any]", cast("Any", pregel_utils).get_function_nonlocals(function))
    return [one.__self__ if isinstance(one, MethodType) else one for one in reached]
