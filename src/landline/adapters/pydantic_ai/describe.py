"""What can be known of an agent without running it; tools that only a connection could list (MCP) are not."""

from typing import Any, cast

import pydantic_core
from pydantic import PydanticUserError
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model
from pydantic_ai.tools import ToolDefinition

from landline.adapters.pydantic_ai.named import by_name, definitions
from landline.adapters.pydantic_ai.turn import SETTINGS
from landline.adapters.pydantic_ai.wanted import takes_schema
from landline.model.agents import AgentInfo, ToolInfo
from landline.model.ids import fingerprint
from landline.ports.adapter import Adapter, AgentSpec, ToolPolicy

__all__ = ["describe"]

_INPUT_SCHEMA: dict[str, Any] = {"type": "string"}


def describe(spec: AgentSpec, adapter: Adapter) -> AgentInfo:
    """Return the agent as its callers see it. A factory is described by what its owner said of it."""
    agent = spec.agent if spec.make is None else None
    tools = [] if agent is None else _tools(spec)
    output = {} if agent is None else _output_schema(agent)
    description = spec.description or (None if agent is None else _description(agent))
    return AgentInfo(
        name=spec.name,
        title=spec.title or spec.name.replace("_", " ").replace("-", " ").capitalize(),
        framework=adapter.framework,
        version=spec.version or _version(spec, agent, tools, output),
        description=description,
        starters=tuple(spec.starters),
        input_schema=_INPUT_SCHEMA,
        output_schema=output,
        tools=tools,
        settings=SETTINGS,
        scopes=tuple(spec.scopes),
        capabilities=sorted(adapter.capabilities - (set() if takes_schema(agent) else {"output_schema"})),
        labels=dict(spec.labels),
    )


def _description(agent: Any) -> str | None:
    return agent.description if isinstance(agent.description, str) else None


def _output_schema(agent: Any) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", agent.output_json_schema())
    except (UserError, PydanticUserError, TypeError):  # an output nobody can put into a schema
        return {}


def _tools(spec: AgentSpec) -> list[ToolInfo]:
    found = {
        name: tool for toolset in spec.agent.toolsets for name, tool in by_name(toolset, definitions).items()
    }
    return [_tool(name, tool, spec.tools.get(name, ToolPolicy())) for name, tool in found.items()]


def _tool(name: str, definition: ToolDefinition, policy: ToolPolicy) -> ToolInfo:
    return ToolInfo(
        name=name,
        description=definition.description,
        parameters=definition.parameters_json_schema,
        approval=policy.approval or definition.kind == "unapproved",
        idempotent=policy.idempotent,
    )


def _version(spec: AgentSpec, agent: Any, tools: list[ToolInfo], output: dict[str, Any]) -> str:
    """Hash what the agent is made of, so that a changed definition is a new version."""
    made_of = {
        "name": spec.name,
        "instructions": _instructions(agent),
        "tools": [(tool.name, tool.description, tool.parameters, tool.approval) for tool in tools],
        "output": output,
        "model": _model_name(agent),
    }
    return fingerprint(pydantic_core.to_json(made_of, fallback=_name_of))[:12]


def _instructions(agent: Any) -> list[str]:
    # The framework has no public reading of these; without them the version says less, never something wrong.
    texts = [getattr(item, "instruction", item) for item in getattr(agent, "_instructions", ())]
    texts += getattr(agent, "_system_prompts", ())
    return [text if isinstance(text, str) else _name_of(text) for text in texts]


def _model_name(agent: Any) -> str | None:
    model = getattr(agent, "model", None)
    return model.model_name if isinstance(model, Model) else None if model is None else str(model)


def _name_of(value: object) -> str:
    named = getattr(value, "function", value)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"
