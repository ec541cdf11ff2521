"""The tools of a toolset by the names that the model sees: toolsets around it prefix and rename."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from pydantic_ai.tools import Tool, ToolDefinition
from pydantic_ai.toolsets import (
    AbstractToolset,
    CombinedToolset,
    ExternalToolset,
    PrefixedToolset,
    RenamedToolset,
    WrapperToolset,
)

__all__ = ["by_name", "definitions"]

T = TypeVar("T")


def by_name(
    toolset: AbstractToolset[Any], of_leaf: Callable[[AbstractToolset[Any]], Mapping[str, T]]
) -> dict[str, T]:
    """Return what `of_leaf` tells of each toolset within, by the names that `toolset` shows.

    What a function makes for a run or a step is in none of them: nobody knows it before.
    """
    match toolset:
        case CombinedToolset():
            return {name: one for inner in toolset.toolsets for name, one in by_name(inner, of_leaf).items()}
        case PrefixedToolset():
            within = by_name(toolset.wrapped, of_leaf)
            return {f"{toolset.prefix}_{name}": one for name, one in within.items()}
        case RenamedToolset():
            shown = {old: new for new, old in toolset.name_map.items()}
            within = by_name(toolset.wrapped, of_leaf)
            return {shown.get(name, name): one for name, one in within.items()}
        case WrapperToolset():
            return by_name(toolset.wrapped, of_leaf)
        case _:
            return dict(of_leaf(toolset))


def definitions(toolset: AbstractToolset[Any]) -> dict[str, ToolDefinition]:
    """Return the tools that a toolset has of its owner's own code."""
    if isinstance(toolset, ExternalToolset):
        return {tool.name: tool for tool in toolset.tool_defs}
    own = cast("dict[str, Tool[Any]]", getattr(toolset, "tools", {}))
    return {name: tool.tool_def for name, tool in own.items()}
