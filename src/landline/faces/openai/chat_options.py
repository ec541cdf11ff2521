"""What a chat completion asks for beside its messages: tools, the shape of the answer, settings. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from landline.faces.openai import chat_wire as wire
from landline.faces.openai.faults import fault
from landline.model.agents import AgentInfo
from landline.model.carried import Carried, CarriedMessage, ClientTool
from landline.model.errors import LandlineError
from landline.model.ids import fingerprint
from landline.ports.store import IdempotencyKey
from landline.web import strict_json

__all__ = ["Wanted", "carried", "check", "idempotency", "named", "settings", "wanted"]

_ANY_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_NO_PARAMETERS: Final[dict[str, Any]] = {"type": "object", "properties": {}}
_HOW_NOT_WHAT: Final = frozenset({"stream", "stream_options"})
_DEFAULTS: Final[Mapping[str, Sequence[Any]]] = {
    "n": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stop": ([], ""),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "moderation": (),
    "reasoning_effort": ("medium",),
    "verbosity": ("medium",),
    "service_tier": ("auto", "default"),
    "web_search_options": (),
    "functions": (),
    "function_call": ("none",),
}
"""What clients send that always send their defaults; any other value asks for what an agent does not do."""
_PARAMS: Final = {
    "client_tools_unsupported": "tools",
    "tool_name_taken": "tools",
    "output_schema_unsupported": "response_format",
    "invalid_output_schema": "response_format",
    "carried_history_unsupported": "messages",
    "images_unsupported": "messages",
    "files_unsupported": "messages",
}
"""What admission refuses, and where this wire says it."""
_HARMLESS: Final = {"temperature": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """How a request wants its answer. `schema` is what it must fit; `call` the client's tool that the answer is a call of.

    A tool that must be called is a schema for the answer: the agent answers with the call's arguments.
    """

    tools: Sequence[ClientTool] = ()
    schema: dict[str, Any] | None = None
    call: str | None = None
    call_finish: str = "tool_calls"


def check(body: wire.ChatBody) -> None:
    """Refuse what this wire can say and no agent here would honour.

    Raises:
        Invalid: Naming the parameter.
    """
    for name, defaults in _DEFAULTS.items():
        value = getattr(body, name)
        if value is not None and not any(_same(value, default) for default in defaults):
            raise fault((name,), "this is not supported here; leave it out", code="unsupported_parameter")
    if body.stream_options is not None and not body.stream:
        raise fault(("stream_options",), "this goes with `stream: true` only")
    for index, message in enumerate(body.messages):
        if isinstance(message, wire.FunctionMessage):
            raise fault(("messages", index, "role"), "use the role `tool`", code="unsupported_parameter")


def wanted(body: wire.ChatBody) -> Wanted:
    """Return how the answer shall be.

    Raises:
        Invalid: The request asks for a choice of tools that an agent cannot be held to.
    """
    tools = [_tool(tool.function) for tool in body.tools or ()]
    schema = _schema(body.response_format)
    if body.parallel_tool_calls is False and tools and body.tool_choice in (None, "auto"):
        said = "an agent cannot be held to one call at a time; leave it out"
        raise fault(("parallel_tool_calls",), said, code="unsupported_parameter")
    match body.tool_choice:
        case None | "auto":
            return Wanted(tools=tools, schema=schema)
        case "none":
            return Wanted(schema=schema)
        case "required":
            if len(tools) != 1:
                said = "an agent can be made to call a tool only where there is one; name it"
                raise fault(("tool_choice",), said, code="unsupported_parameter")
            return Wanted(schema=tools[0].parameters, call=tools[0].name)
        case wire.NamedChoice(function=chosen):
            for tool in tools:
                if tool.name == chosen.name:
                    return Wanted(schema=tool.parameters, call=tool.name, call_finish="stop")
            raise fault(("tool_choice", "function", "name"), "there is no such tool in `tools`")


def settings(body: wire.ChatBody, info: AgentInfo | None) -> dict[str, Any]:
    """Return the run's settings. A default that a client always sends is left out where the agent takes no such setting.

    Raises:
        Invalid: The agent does not take a setting that was asked for.
    """
    taken = info.settings if info is not None else ("max_tokens", "temperature")
    asked = {
        "max_completion_tokens": ("max_tokens", body.max_completion_tokens),
        "max_tokens": ("max_tokens", body.max_tokens),
        "temperature": ("temperature", body.temperature),
    }
    found: dict[str, Any] = {}
    for param, (name, value) in asked.items():
        if value is None or name in found or (name not in taken and value == _HARMLESS.get(name)):
            continue
        if name not in taken:
            said = f"the model {body.model!r} does not take it; leave it out"
            raise fault((param,), said, code="unsupported_parameter")
        found[name] = value
    return found


def carried(want: Wanted, history: Sequence[CarriedMessage] = ()) -> Carried | None:
    """Return what the run carries along, if anything."""
    if not want.tools and want.schema is None and not history:
        return None
    return Carried(tools=tuple(want.tools), output_schema=want.schema, history=tuple(history))


def named(error: LandlineError, want: Wanted) -> LandlineError:
    """Return what admission refused with the parameter that asked for it."""
    param = _PARAMS.get(error.code)
    if param == "response_format" and want.call is not None:
        param = "tool_choice"  # what must be called is a schema for the answer
    return error if param is None or error.errors else fault((param,), error.detail, code=error.code)


def idempotency(key: str | None, *, thread: str | None, body: Any) -> IdempotencyKey | None:
    """Return the key with the fingerprint of the body it came with; how the answer is read may differ."""
    if key is None:
        return None
    asked = {name: value for name, value in body.items() if name not in _HOW_NOT_WHAT}
    body_hash = fingerprint(strict_json.canonical([thread, asked]))
    return IdempotencyKey(key=key, route="POST /v1/chat/completions", body_hash=body_hash)


def _same(value: Any, default: Any) -> bool:
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def _tool(function: wire.Function) -> ClientTool:
    return ClientTool(
        name=function.name,
        description=function.description,
        parameters=function.parameters or _NO_PARAMETERS,
    )


def _schema(asked: Any) -> dict[str, Any] | None:
    match asked:
        case wire.JsonSchemaFormat(json_schema=described):
            return described.schema_
        case wire.JsonObjectFormat():
            return _ANY_OBJECT
        case _:
            return None
