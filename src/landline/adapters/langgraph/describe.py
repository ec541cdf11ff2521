"""What can be known of a graph without running it; tools that only a running node knows of are not."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pydantic_core
from pydantic import PydanticUserError, TypeAdapter

from landline.adapters.langgraph.graphs import Graph, Shape, compiled, shape_of
from landline.adapters.langgraph.held import held_nodes
from landline.adapters.langgraph.settings import SETTINGS
from landline.adapters.langgraph.tools import BROUGHT, takes_tools, tool_nodes
from landline.model.agents import AgentInfo, Capability, ToolInfo
from landline.model.ids import fingerprint
from landline.ports.adapter import Adapter, AgentSpec, ToolPolicy

__all__ = ["describe"]

_TEXT: dict[str, Any] = {"type": "string"}


def describe(spec: AgentSpec, adapter: Adapter) -> AgentInfo:
    """Return the agent as its callers see it. A factory is described by what its owner said of it."""
    shape = None if spec.make is not None else shape_of(compiled(spec.agent))
    tools = [] if shape is None else _tools(spec, shape.graph)
    taken = _TEXT if shape is None else _input_schema(shape)
    given = {} if shape is None else _output_schema(shape)
    # What a factory will make is not known: it is refused in the run if it takes no tools.
    lacks = (
        set[Capability]()
        if shape is None or takes_tools(shape.graph)
        else {"mcp", "client_tools", "output_schema"}
    )
    return AgentInfo(
        name=spec.name,
        title=spec.title or spec.name.replace("_", " ").replace("-", " ").capitalize(),
        framework=adapter.framework,
        version=spec.version or _version(spec, shape, tools, taken, given),
        description=spec.description,
        starters=tuple(spec.starters),
        input_schema=taken,
        output_schema=given,
        tools=tools,
        settings=SETTINGS,
        scopes=tuple(spec.scopes),
        capabilities=sorted(adapter.capabilities - lacks),
        labels=dict(spec.labels),
    )


def _input_schema(shape: Shape) -> dict[str, Any]:
    if shape.takes_messages:
        return _TEXT
    return _schema(shape.graph.get_input_jsonschema) or _by_fields(shape.fields) or _TEXT


def _output_schema(shape: Shape) -> dict[str, Any]:
    """Return the schema of an answer that is no text."""
    if shape.builder is not None and shape.builder.output_schema is shape.builder.state_schema:
        return {}
    given = {} if shape.builder is None else shape.fields_of(shape.builder.output_schema)
    schema = _schema(shape.graph.get_output_jsonschema) or _by_fields(given)
    properties = cast("dict[str, Any]", schema.get("properties", {}))
    return {} if shape.messages in properties else schema


def _schema(make: Any) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", make())
    except (PydanticUserError, TypeError, ValueError, NameError):  # a state nobody can put into a schema
        return {}


def _by_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object field by field: some kinds of state have no schema as a whole."""
    properties = {name: _schema(partial(_field, kind)) for name, kind in fields.items()}
    return {"type": "object", "properties": properties} if properties else {}


def _field(kind: Any) -> dict[str, Any]:
    return {} if kind is None else TypeAdapter(kind).json_schema()


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for _, inner in graph.get_subgraphs(recurse=True):
        yield inner


def _tools(spec: AgentSpec, graph: Graph) -> list[ToolInfo]:
    nodes = [*held_nodes(graph), *tool_nodes(graph)]
    found = {name: tool for node in nodes for name, tool in node.tools_by_name.items()}
    return [
        _tool(name, tool, spec.tools.get(name, ToolPolicy()))
        for name, tool in found.items()
        if name != BROUGHT
    ]


def _tool(name: str, tool: Any, policy: ToolPolicy) -> ToolInfo:
    schema = tool.tool_call_schema
    return ToolInfo(
        name=name,
        description=tool.description or None,
        parameters=cast("Any", schema) if isinstance(schema, dict) else _schema(schema.model_json_schema),
        approval=policy.approval,
        idempotent=policy.idempotent,
    )


def _version(
    spec: AgentSpec, shape: Shape | None, tools: list[ToolInfo], taken: dict[str, Any], given: dict[str, Any]
) -> str:
    """Hash what the agent is made of, so that a changed definition is a new version."""
    made_of = {
        "name": spec.name,
        "graphs": [] if shape is None else [_drawn(graph) for graph in _graphs(shape.graph)],
        "tools": [(tool.name, tool.description, tool.parameters, tool.approval) for tool in tools],
        "input": taken,
        "output": given,
    }
    return fingerprint(pydantic_core.to_json(made_of, fallback=_name_of))[:12]


def _drawn(graph: Graph) -> Any:
    """Return the nodes with what they run and when, and the channels between them."""
    nodes = {
        name: (_name_of(_code_of(node.bound)), sorted(node.triggers), _writes(node))
        for name, node in graph.nodes.items()
    }
    channels = {name: type(channel).__name__ for name, channel in graph.channels.items()}
    return nodes, channels, graph.interrupt_before_nodes, graph.interrupt_after_nodes


def _code_of(runnable: Any) -> Any:
    return getattr(runnable, "afunc", None) or getattr(runnable, "func", None) or runnable


def _writes(node: Any) -> list[str]:
    return sorted(
        str(getattr(entry, "channel", type(entry).__name__))
        for writer in node.writers
        for entry in getattr(writer, "writes", ())
    )


def _name_of(value: object) -> str:
    named = getattr(value, "func", value)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"
