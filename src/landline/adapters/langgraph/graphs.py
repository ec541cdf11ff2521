"""The shape of a graph: where its messages are, how a turn's input is formed, and what of its state is the answer.

Input: a graph with a list of messages gets the user's message there. One without gets a JSON object, when the text is
one whose keys are all fields of the input; otherwise the text goes into the only text field, or the one named `input`,
`question`, `query`, `text`, `prompt`, `task`, `topic` or `request`. A workflow (`@entrypoint`) gets the text, the object
that its parameter is annotated as, or the messages if that is a list of messages.

Output: `structured_response` if there is one; the declared output schema as an object, where one is declared that has no
messages; the last answer among the messages; the text field `output`, `answer`, `result` or `response`; the whole output.
"""

import copy
import inspect
from collections.abc import Sequence
from typing import Any, cast, get_args, get_origin
from weakref import WeakKeyDictionary

import msgspec
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.graph.state import CompiledStateGraph, StateGraph

from landline.adapters.langgraph.values import plain
from landline.model.errors import Invalid

__all__ = ["Shape", "answer_of", "bound", "compiled", "input_of", "shape_of"]

_INPUTS = ("input", "question", "query", "text", "prompt", "task", "topic", "request")
_OUTPUTS = ("output", "answer", "result", "response")
_START = "__start__"

Graph = Any
"""A `Pregel` of the framework; its channels and generics carry no types, so it is judged by its use."""

_compiled: WeakKeyDictionary[Any, Graph] = WeakKeyDictionary()


def compiled(agent: Any) -> Graph:
    """Return the graph that runs; a `StateGraph` is compiled once.

    Raises:
        ValueError: It cannot be compiled (raised by the framework).
    """
    if not isinstance(agent, StateGraph):
        return agent
    graph = _compiled.get(agent)
    if graph is None:
        graph = _compiled[agent] = cast("Any", agent).compile()
    return graph


def bound(graph: Graph, saver: Any) -> Graph:
    """Return `graph` with a checkpointer of this run's own; the shared object stays as it is."""
    twin = copy.copy(graph)
    twin.checkpointer = saver
    return twin


class Shape:
    """What a graph takes and gives; `messages` is the key of its list of messages."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder: Any = cast("Any", graph).builder if isinstance(graph, CompiledStateGraph) else None
        self.messages = self._messages_key()
        self.fields = self._fields()

    def _messages_key(self) -> str | None:
        if self.builder is None:
            return None
        names = [name for name, channel in self.graph.channels.items() if _adds_messages(channel)]
        return "messages" if "messages" in self.graph.channels else next(iter(names), None)

    def _fields(self) -> dict[str, Any]:
        """Return the fields of the input, with the types of their values where these are known."""
        if self.builder is not None:
            return self.fields_of(self.builder.input_schema)
        if isinstance(self.graph.input_channels, str):
            return {}
        return {name: _type_of(self.graph.channels.get(name)) for name in self.graph.input_channels}

    def fields_of(self, schema: Any) -> dict[str, Any]:
        """Return the fields of one of a state graph's schemas, with the types of their values."""
        return {name: _type_of(channel) for name, channel in self.builder.schemas[schema].items()}

    @property
    def takes_messages(self) -> bool:
        """Whether the user's message goes in as a message."""
        return self.messages in self.fields or self.workflow_of_messages

    @property
    def workflow(self) -> bool:
        """Whether the graph takes one value and not a state."""
        return self.builder is None and self.graph.input_channels == _START

    @property
    def parameter(self) -> Any:
        """The type of a workflow's parameter."""
        return _type_of(self.graph.channels.get(_START))

    @property
    def workflow_of_messages(self) -> bool:
        """Whether a workflow takes a list of messages."""
        kind = self.parameter if self.workflow else None
        return get_origin(kind) in (list, Sequence) and "Message" in str(get_args(kind))

    @property
    def remembers(self) -> bool:
        """Whether a workflow keeps its own history (`previous`), so that it is given the new message only."""
        return any("previous" in _parameters(node.bound) for node in self.graph.nodes.values())


def shape_of(graph: Graph) -> Shape:
    """Return the shape of `graph`."""
    return Shape(graph)


def _parameters(runnable: Any) -> Sequence[str]:
    func = getattr(runnable, "afunc", None) or getattr(runnable, "func", None)
    try:
        return list(inspect.signature(func).parameters) if callable(func) else ()
    except ValueError:
        return ()


def _adds_messages(channel: Any) -> bool:
    return "add_messages" in getattr(getattr(channel, "operator", None), "__name__", "")


def _type_of(channel: Any) -> Any:
    try:
        return channel.UpdateType
    except AttributeError:
        return None


def input_of(shape: Shape, messages: Sequence[BaseMessage], new: HumanMessage | None) -> Any:
    """Return what the graph is started with; `messages` are those that it does not know yet, `new` the turn's own.

    Raises:
        Invalid: The graph takes an object, and the text is none or has other fields.
    """
    all_new = [*messages, *([new] if new is not None else [])]
    if shape.workflow:
        if shape.workflow_of_messages:
            return all_new
        return _value(shape.parameter, "" if new is None else str(new.text))
    if shape.messages in shape.fields:
        return {shape.messages: all_new}
    return _fields_of(shape.fields, "" if new is None else str(new.text))


def _value(kind: Any, text: str) -> Any:
    if kind in (str, Any, None, inspect.Parameter.empty):
        return text
    try:
        value: Any = msgspec.json.decode(text)
        if isinstance(value, dict) and isinstance(kind, type) and kind is not dict:
            return cast("Any", kind)(**cast("dict[str, Any]", value))
        return cast("Any", value)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise Invalid(
            "This agent takes a JSON value as its input, in the form of its input schema."
        ) from error


def _fields_of(fields: dict[str, Any], text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        value = None
    if isinstance(value, dict) and value and set(cast("dict[str, Any]", value)) <= set(fields):
        return cast("dict[str, Any]", value)
    texts = [name for name, kind in fields.items() if kind is str]
    name = next((name for name in _INPUTS if name in fields), texts[0] if len(texts) == 1 else None)
    if name is None:
        raise Invalid(f"This agent takes a JSON object with the fields {', '.join(fields)}.")
    return {name: text}


def answer_of(shape: Shape, values: Any) -> tuple[Any, AIMessage | None]:
    """Return the answer as JSON data, and the message that it stands in if it does."""
    if not isinstance(values, dict) or shape.workflow:
        return _plain_answer(values)
    state = cast("dict[str, Any]", values)
    if (structured := state.get("structured_response")) is not None:
        return plain(structured), None
    output = shape.builder.output_schema if shape.builder is not None else None
    declared = shape.builder is not None and output is not shape.builder.state_schema
    names = [name for name in _names(shape.graph.output_channels) if name in state]
    if declared and shape.messages not in names:
        return plain({name: state[name] for name in names}), None
    if shape.messages in state:
        last = next((m for m in reversed(state[shape.messages]) if isinstance(m, AIMessage)), None)
        if last is not None:
            return str(last.text), last
    for name in _OUTPUTS:
        if isinstance(state.get(name), str):
            return state[name], None
    return plain({name: state[name] for name in names}), None


def _names(channels: Any) -> Sequence[str]:
    return [channels] if isinstance(channels, str) else cast("Sequence[str]", channels)


def _plain_answer(value: Any) -> tuple[Any, AIMessage | None]:
    if isinstance(value, AIMessage):
        return str(value.text), value
    if isinstance(value, BaseMessage):
        return str(value.text), None
    if isinstance(value, list) and value and isinstance(cast("list[Any]", value)[-1], AIMessage):
        last = cast("list[AIMessage]", value)[-1]
        return str(last.text), last
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if (structured := items.get("structured_response")) is not None:
            return plain(structured), None
        if set(items) == {"messages"} and items["messages"]:
            return _plain_answer(items["messages"])
    return plain(value), None
