"""A run's own copy of an agent: same prompts, hooks and tools, but its models and tools are journalled (AGT-3).

AG2 has a seam per turn for configs and middleware, and none that reaches the agents that an agent calls. So the run
works with shallow copies of all of them; what the owner made is read only.
"""

import inspect
from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, cast

from ag2 import Agent
from ag2.agent import _build_subtask_toolkit  # pyright: ignore[reportPrivateUsage] - the tools hold their agent
from ag2.context import ConversationContext
from ag2.tools import Toolkit
from ag2.tools.builtin.tool_search import ToolSearchTool
from ag2.tools.final import FunctionTool
from ag2.tools.schemas import ToolSchema
from ag2.tools.subagents.subagent_tool import SubagentTool, subagent_tool
from ag2.tools.tool import Tool

from landline.adapters.ag2.mcp import McpConnections
from landline.adapters.ag2.models import Models
from landline.adapters.ag2.tools import Tools, call_threads

__all__ = ["Copies"]

_SUBTASKS = ("run_subtask", "run_subtasks")


class Copies:
    """The copies of one run, by the agent they stand for: agents may call each other in circles."""

    def __init__(self, models: Models, tools: Tools, mcp: McpConnections) -> None:
        self._models, self._tools, self._mcp = models, tools, mcp
        self._made: dict[int, Agent[Any]] = {}

    def agent(self, agent: Agent[Any]) -> Agent[Any]:
        """Return the run's copy of `agent`."""
        if (made := self._made.get(id(agent))) is not None:
            return made
        twin = self._made[id(agent)] = copy(agent)
        # The framework has no public way to say these; they are fields of the copy, never of the owner's agent.
        inside = cast("Any", twin)
        twin.config = self._models.config(agent.config)
        inside._middleware = [self._tools.middleware, *inside._middleware]
        inside._agent_variables = _own(agent.variables)
        inside.tools = [self.tool(tool) for tool in cast("list[Tool]", agent.tools)]
        tasks = agent.tasks
        if tasks is not None:
            # What a subtask inherits is journalled already; it becomes an agent that the framework makes on the way.
            extra = [self.tool(FunctionTool.ensure_tool(one)) for one in tasks.extra_tools]
            inside._task_config = replace(tasks, config=self._models.config(tasks.config), extra_tools=extra)
        inside._additional_tools = [self._additional(twin, tool) for tool in inside._additional_tools]
        return twin

    def _additional(self, twin: Agent[Any], tool: Tool) -> Tool:
        if isinstance(tool, Toolkit) and {one.name for one in tool.tools} == set(_SUBTASKS):
            self._tools.delegations.update(_SUBTASKS)
            return self.tool(_build_subtask_toolkit(twin))
        return self.tool(tool)

    def tool(self, tool: Tool) -> Tool:
        """Return the run's copy of `tool`."""
        if isinstance(tool, ToolSearchTool):
            twin = copy(tool)
            cast("Any", twin)._tools = {one.name: self.tool(one) for one in tool.tools}
            return twin
        if isinstance(tool, Toolkit):
            return _RunToolkit(tool, self)
        if isinstance(tool, SubagentTool):
            self._tools.delegations.add(tool.name)
            return self._hooked(self._delegation(tool))
        if hasattr(tool, "_middleware"):
            return self._hooked(copy(tool))
        return tool

    def member(self, toolkit: Toolkit, tool: Tool) -> Tool:
        """Return the run's copy of a toolkit's tool; one of an MCP server speaks over the kept connection."""
        if _of_server(toolkit):
            from landline.adapters.ag2.mcp_tools import kept, lasts

            tool = kept(tool, self._mcp) if lasts(toolkit) else tool
        return self.tool(tool)

    def first(self, toolkit: Toolkit, names: list[str]) -> frozenset[str]:
        """Return which tools the toolkit's server had when it was first asked, by any run if all reach the same one."""
        from landline.adapters.ag2.mcp_tools import lasts

        return self._mcp.first(toolkit, names) if lasts(toolkit) else frozenset(names)

    def knows(self, names: frozenset[str]) -> None:
        """Let the run's agents use these."""
        self._tools.knows(names)

    def _delegation(self, tool: SubagentTool) -> Tool:
        function = tool.schema.function
        # The factory of the agent's streams is nowhere else than in the tool's own function.
        streams = inspect.getclosurevars(tool.model.call).nonlocals.get("stream_factory")
        return subagent_tool(
            self.agent(tool.agent),
            name=tool.name,
            description=function.description,
            stream=streams,
            middleware=cast("Any", tool)._middleware,
        )

    def _hooked(self, twin: Tool) -> Tool:
        """Put the run's hooks around all of the tool's own, and between them and its code."""
        inside = cast("Any", twin)
        inside._middleware = (self._tools.outermost(), *inside._middleware, self._tools.innermost())
        self._tools.own.add(twin.name)
        if isinstance(twin, FunctionTool):
            twin.model = _off_the_loop(twin.model)
        return twin


class _RunToolkit(Toolkit):
    """A toolkit whose members, whenever they are found out, are the run's copies."""

    def __init__(self, toolkit: Toolkit, copies: Copies) -> None:
        super().__init__(name=toolkit.name)
        self._toolkit, self._copies = toolkit, copies
        self._first: frozenset[str] = frozenset()

    async def schemas(self, context: ConversationContext) -> Iterable[ToolSchema]:
        await self._toolkit.schemas(context)
        found = list(self._toolkit._snapshot().tools)
        if _of_server(self._toolkit):
            self._first = self._first or self._copies.first(self._toolkit, [tool.name for tool in found])
            self._copies.knows(self._first)
        self._tools = {tool.name: self._copies.member(self._toolkit, tool) for tool in found}
        return await super().schemas(context)

    def _snapshot(self) -> Toolkit:
        # The turn goes on with these members; asking for their schemas again must not bring back what it dropped.
        members = Toolkit(name=self.name)
        members._tools = dict(self._tools)
        return members


def _of_server(toolkit: Toolkit) -> bool:
    return type(toolkit).__module__.startswith("ag2.tools.toolkits.mcp_server")


def _own(variables: Any) -> dict[Any, Any]:
    """Return the agent's variables for one run: what a tool changes in them is not seen by the next user (ADP-9)."""
    try:
        return deepcopy(dict(variables))
    except (
        TypeError
    ):  # something that cannot be copied, such as an open connection, is shared as its owner meant it
        return dict(variables)


def _off_the_loop(model: Any) -> Any:
    """Return the same call with its sync code in Landline's threads: nobody waits for them at the end (ADP-8).

    A tool that its owner told the framework to run on the loop stays there.
    """
    call = model.call
    code = getattr(call, "__code__", None)
    written_for = getattr(call, "__globals__", {}).get("__name__")
    if written_for != "ag2.utils" or code is None or "run_in_threadpool" not in code.co_names:
        return model
    twin = copy(model)
    twin.call = _in_thread(call.__wrapped__)
    return twin


def _in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    async def in_thread(*args: Any, **kwargs: Any) -> Any:
        threads = call_threads.get()
        assert threads is not None
        return await threads.run(partial(function, *args, **kwargs))

    return in_thread
