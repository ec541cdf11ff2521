"""What can be known of an agent without running it; tools that only a connection could list (MCP) are not."""

from typing import Any, cast

import pydantic_core
from agents import AgentOutputSchema, FunctionTool, Handoff, Model
from agents.agent_output import AgentOutputSchemaBase
from agents.exceptions import UserError
from agents.tracing import get_trace_provider
from pydantic import PydanticUserError

from landline.adapters.openai_agents.own import OpenAIAgent
from landline.adapters.openai_agents.turn import SETTINGS
from landline.model.agents import AgentInfo, ToolInfo
from landline.model.ids import fingerprint
from landline.ports.adapter import Adapter, AgentSpec, ToolPolicy

__all__ = ["describe"]

_INPUT_SCHEMA: dict[str, Any] = {"type": "string"}


def describe(spec: AgentSpec, adapter: Adapter) -> AgentInfo:
    """Return the agent as its callers see it. A factory is described by what its owner said of it."""
    # The first run would make the trace exporter's HTTP client, traced or not, and hold the event loop for it.
    get_trace_provider()
    agent = spec.agent.agent if isinstance(spec.agent, OpenAIAgent) else spec.agent
    agent = agent if spec.make is None else None
    tools = [] if agent is None else _tools(agent, spec)
    output = {} if agent is None else _output_schema(agent)
    return AgentInfo(
        name=spec.name,
        title=spec.title or spec.name.replace("_", " ").replace("-", " ").capitalize(),
        framework=adapter.framework,
        version=spec.version or _version(spec, agent, tools, output),
        description=spec.description or (None if agent is None else agent.handoff_description),
        starters=tuple(spec.starters),
        input_schema=_INPUT_SCHEMA,
        output_schema=output,
        tools=tools,
        settings=SETTINGS,
        scopes=tuple(spec.scopes),
        capabilities=sorted(adapter.capabilities),
        labels=dict(spec.labels),
    )


def _output_schema(agent: Any) -> dict[str, Any]:
    kind = agent.output_type
    if kind is None or kind is str:
        return {}
    try:
        schema = kind if isinstance(kind, AgentOutputSchemaBase) else AgentOutputSchema(kind)
        return {} if schema.is_plain_text() else schema.json_schema()
    except (UserError, PydanticUserError, TypeError):  # an output nobody can put into a schema
        return {}


def _tools(agent: Any, spec: AgentSpec) -> list[ToolInfo]:
    """Return the function tools of the agent and of those it can hand off to."""
    found: dict[str, FunctionTool] = {}
    for one in _reachable(agent):
        for tool in one.tools:
            if isinstance(tool, FunctionTool):
                found.setdefault(tool.name, tool)
    return [_tool(tool, spec.tools.get(name, ToolPolicy())) for name, tool in found.items()]


def _reachable(agent: Any) -> list[Any]:
    found: list[Any] = [agent]
    for one in found:
        for target in one.handoffs:
            if isinstance(target, Handoff):
                # A handoff made by hand names no agent object.
                ref = cast("Any", target)._agent_ref
                behind = None if ref is None else ref()
            else:
                behind = target
            if behind is not None and not any(behind is known for known in found):
                found.append(behind)
    return found


def _tool(tool: FunctionTool, policy: ToolPolicy) -> ToolInfo:
    return ToolInfo(
        name=tool.name,
        description=tool.description or None,
        parameters=tool.params_json_schema,
        approval=policy.approval or tool.needs_approval is not False,
        idempotent=policy.idempotent,
    )


def _version(spec: AgentSpec, agent: Any, tools: list[ToolInfo], output: dict[str, Any]) -> str:
    """Hash what the agent is made of, so that a changed definition is a new version."""
    made_of = {
        "name": spec.name,
        "agents": [] if agent is None else [_facts(one) for one in _reachable(agent)],
        "tools": [(tool.name, tool.description, tool.parameters, tool.approval) for tool in tools],
        "output": output,
    }
    return fingerprint(pydantic_core.to_json(made_of, fallback=_name_of))[:12]


def _facts(agent: Any) -> tuple[str, Any, Any, list[str]]:
    model = agent.model
    named = str(getattr(model, "model", _name_of(model))) if isinstance(model, Model) else model
    instructions = agent.instructions
    said = instructions if isinstance(instructions, str | None) else _name_of(instructions)
    return agent.name, said, named, [_name_of(handoff) for handoff in agent.handoffs]


def _name_of(value: Any) -> str:
    named = getattr(value, "tool_name", None) or getattr(value, "name", None)
    if isinstance(named, str):
        return named
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
