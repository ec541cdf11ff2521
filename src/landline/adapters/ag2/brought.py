"""Tools that Landline brings, as tools of one run (the recipe in `ports.adapter`)."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Any

from ag2.annotations import Context
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResult, ToolResultEvent
from ag2.middleware import BaseMiddleware
from ag2.tools.final.function_tool import FunctionDefinition, FunctionToolSchema
from ag2.tools.tool import Tool

from landline.adapters.ag2.results import arguments_of
from landline.ports.adapter import BroughtTool, ToolRaised

__all__ = ["brought"]


def brought(tools: Sequence[BroughtTool]) -> list[Tool]:
    """Return them as the framework's; the run's copies of them pass the journal as the agent's own do."""
    return [_Brought(tool) for tool in tools]


class _Brought(Tool):
    # A tool that the owner wrote keeps its name against a server's, as with the framework's own MCP tools.
    declared_in_code = False

    def __init__(self, tool: BroughtTool) -> None:
        self.name = tool.name
        self._tool = tool
        self._middleware: tuple[Any, ...] = ()
        # The framework takes the schema's title out of the mapping that it is given.
        definition = FunctionDefinition(tool.name, tool.description or "", dict(tool.parameters))
        self.schema = FunctionToolSchema(function=definition)

    async def schemas(self, context: Context) -> Iterable[FunctionToolSchema]:
        return [self.schema]

    def register(
        self,
        stack: ExitStack | AsyncExitStack,
        context: Context,
        *,
        middleware: Iterable[BaseMiddleware] = (),
    ) -> None:
        execution: Any = self.call
        for hook in reversed(self._middleware):
            execution = partial(hook, execution)
        for one in middleware:
            execution = partial(one.on_tool_execution, execution)

        async def execute(event: ToolCallEvent, context: Context) -> None:
            await context.send(await execution(event.handled_by(f"landline:{self.name}"), context))

        mine: Any = ToolCallEvent.name == self.name
        stack.enter_context(context.stream.where(mine).sub_scope(execute))

    async def call(self, event: ToolCallEvent, _: Context) -> ToolResultEvent:
        """Call the tool; a failure has the words that the model and the log are to be told, and no traceback."""
        try:
            result = await self._tool.call(arguments_of(event))
        except ToolRaised as raised:
            told = ToolResult(raised.message)
            return ToolErrorEvent(parent_id=event.id, name=event.name, error=raised, result=told)
        return ToolResultEvent.from_call(event, result=result)
