"""What can be known of an agent without running it; tools that only a connection could list (MCP) are not."""

from collections.abc import Iterable
from typing import Any, cast

import pydantic_core
from ag2.tools import Toolkit
from ag2.tools.builtin.tool_search import ToolSearchTool
from ag2.tools.final import FunctionTool
from ag2.tools.subagents.subagent_tool import SubagentTool
from ag2.tools.tool import Tool

from landline.adapters.ag2.settings import settings_of
from landline.model.agents import AgentInfo, Capability, ToolInfo
from landline.model.ids import fingerprint
from landline.ports.adapter import Adapter, AgentSpec, ToolPolicy

__all__ = ["describe"]

_INPUT_SCHEMA: dict[str, Any] = {"type": "string"}


def describe(spec: AgentSpec, adapter: Adapter) -> AgentInfo:
    """Return the agent as its callers see it. A factory is described by what its owner said of it."""
    agents = _members(spec.agent) if spec.make is None else []
    tools = _tools(agents, spec)
    output = _output_schema(agents[0]) if len(agents) == 1 else {}
    return AgentInfo(
        name=spec.name,
        title=spec.title or spec.name.replace("_", " ").replace("-", " ").capitalize(),
        framework=adapter.framework,
        version=spec.version or _version(spec, agents, tools, output),
        description=spec.description,
        starters=tuple(spec.starters),
        input_schema=_INPUT_SCHEMA,
        output_schema=output,
        tools=tools,
        settings=_settings(agents),
        scopes=tuple(spec.scopes),
        capabilities=sorted(adapter.capabilities - _cannot(spec)),
        labels=dict(spec.labels),
    )


def _cannot(spec: AgentSpec) -> set[Capability]:
    """Return what this agent cannot do: a client's schema is for the answer of one agent, not of several."""
    return {"output_schema"} if hasattr(spec.agent, "agents") else set()


def _members(agent: Any) -> list[Any]:
    return list(getattr(agent, "agents", None) or [agent])


def _settings(agents: list[Any]) -> tuple[str, ...]:
    """Return what all of the agents take."""
    taken = [settings_of(agent.config) for agent in agents]
    return tuple(name for name in (taken[0] if taken else ()) if all(name in one for one in taken))


def _output_schema(agent: Any) -> dict[str, Any]:
    schema = getattr(agent.response_schema, "json_schema", None)
    return cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}


def _tools(agents: list[Any], spec: AgentSpec) -> list[ToolInfo]:
    """Return the function tools of the agents and of those that they call as tools."""
    found: dict[str, FunctionTool] = {}
    reachable = list(agents)
    for agent in reachable:
        extra = () if agent.tasks is None else map(FunctionTool.ensure_tool, agent.tasks.extra_tools)
        for tool in _leaves([*agent.tools, *agent._additional_tools, *extra]):
            found.setdefault(tool.name, tool)
            called = tool.agent if isinstance(tool, SubagentTool) else None
            if called is not None and not any(called is known for known in reachable):
                reachable.append(called)
    return [_tool(name, tool, spec.tools.get(name, ToolPolicy())) for name, tool in found.items()]


def _leaves(tools: Iterable[Tool]) -> Iterable[FunctionTool]:
    for tool in tools:
        if isinstance(tool, Toolkit | ToolSearchTool):
            yield from _leaves(tool.tools)
        elif isinstance(tool, FunctionTool):
            yield tool


def _tool(name: str, tool: FunctionTool, policy: ToolPolicy) -> ToolInfo:
    function = tool.schema.function
    asks = any(type(hook.middleware).__name__ == "ApprovalRequired" for hook in tool.middleware)
    return ToolInfo(
        name=name,
        description=function.description or None,
        parameters=function.parameters,
        approval=policy.approval or asks,
        idempotent=policy.idempotent,
    )


def _version(spec: AgentSpec, agents: list[Any], tools: list[ToolInfo], output: dict[str, Any]) -> str:
    """Hash what the agent is made of, so that a changed definition is a new version."""
    made_of = {
        "name": spec.name,
        "agents": [
            (
                agent.name,
                agent.system_prompt,
                [_name_of(hook) for hook in agent.dynamic_prompt],
                _model_name(agent),
            )
            for agent in agents
        ],
        "graph": getattr(spec.agent, "definition", None),
        "tools": [(tool.name, tool.description, tool.parameters, tool.approval) for tool in tools],
        "output": output,
    }
    return fingerprint(pydantic_core.to_json(made_of, fallback=_name_of))[:12]


def _model_name(agent: Any) -> str | None:
    try:
        return None if agent.config is None else str(agent.config.model)
    except NotImplementedError:  # a test config without a name
        return None


def _name_of(value: object) -> str:
    named = getattr(value, "__wrapped__", value)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"
