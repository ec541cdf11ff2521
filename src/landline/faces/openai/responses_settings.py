"""What the options of a request mean here: settings of the agent, words to echo, and refusals that name the parameter."""

from collections.abc import Sequence
from typing import Any, Final, NoReturn, cast

from landline.faces.openai.responses_wire import FunctionTool, ResponseBody, TextFormat
from landline.model.agents import AgentInfo
from landline.model.carried import ClientTool
from landline.model.errors import FieldError, Invalid

__all__ = ["check_options", "client_tools", "echo_of", "must_call", "output_schema", "refuse", "settings_of"]

_SETTINGS: Final = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens"}
_INCLUDABLE: Final = frozenset(
    {
        "reasoning.encrypted_content",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    }
)


def refuse(param: str, message: str, *, code: str = "unsupported_parameter") -> NoReturn:
    """Refuse a parameter by name."""
    raise Invalid(message, code=code, errors=[FieldError(loc=["body", *param.split(".")], message=message)])


def check_options(body: ResponseBody) -> None:
    """Refuse every option that would not work, before anything is done. Raises Invalid."""
    if body.presence_penalty:
        refuse("presence_penalty", "no agent takes penalties; leave it out")
    if body.frequency_penalty:
        refuse("frequency_penalty", "no agent takes penalties; leave it out")
    if body.top_logprobs:
        refuse("top_logprobs", "probabilities of tokens are not known here")
    if body.parallel_tool_calls is False:
        refuse("parallel_tool_calls", "the agent decides how many calls it makes at once")
    if body.max_tool_calls is not None:
        refuse("max_tool_calls", "the agent's own limits hold")
    if body.service_tier not in {None, "auto", "default"}:
        refuse("service_tier", "there is one tier: default")
    if body.text is not None and body.text.verbosity not in {None, "medium"}:
        refuse("text.verbosity", "the agent decides how much it says")
    for name in body.include or ():
        if name not in _INCLUDABLE:
            refuse("include", f"{name[:64]!r} cannot be included")
    _check_together(body)
    _check_format(body.text.format if body.text else None)


def settings_of(body: ResponseBody, agent: AgentInfo | None) -> dict[str, Any]:
    """Return the settings for the model. Raises Invalid for one the agent does not take."""
    found: dict[str, Any] = {}
    for param, setting in _SETTINGS.items():
        value = getattr(body, param)
        if value is not None:
            _check_taken(agent, param, setting)
            found[setting] = value
    effort = body.reasoning.effort if body.reasoning else None
    if effort is not None:
        _check_taken(agent, "reasoning.effort", "reasoning_effort")
        found["reasoning_effort"] = effort
    return found


def client_tools(body: ResponseBody) -> list[ClientTool]:
    """Return the tools the agent is offered: with `none` none, of a named one or `allowed_tools` only those.

    Raises:
        Invalid: The choice is none of the wire's, or names a tool that is not there.
    """
    tools = body.tools or []
    match body.tool_choice:
        case None | "auto" | "required":
            chosen = tools
        case "none":
            chosen = []
        case {"type": "function", "name": str(name), **_more}:
            chosen = _named(tools, [name])
        case {"type": "allowed_tools", "mode": "auto" | "required", "tools": [*allowed], **_more}:
            given = cast("list[dict[str, Any]]", [tool for tool in allowed if isinstance(tool, dict)])
            chosen = _named(tools, [tool.get("name") for tool in given])
        case _:
            refuse("tool_choice", "this is auto, none, required, a function, or allowed_tools")
    return [
        ClientTool(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters or {"type": "object", "properties": {}},
        )
        for tool in chosen
    ]


def must_call(body: ResponseBody) -> bool:
    """Tell whether a response without a call of the client's tools is not what was asked for."""
    match body.tool_choice:
        case "required" | {"type": "function"} | {"type": "allowed_tools", "mode": "required"}:
            return True
        case _:
            return False


def output_schema(body: ResponseBody) -> dict[str, Any] | None:
    """Return the schema that the answer must fit."""
    wanted = body.text.format if body.text else None
    if wanted is None or wanted.type == "text":
        return None
    return {"type": "object"} if wanted.type == "json_object" else wanted.schema_


def echo_of(body: ResponseBody, conversation: str | None) -> dict[str, Any]:
    """Return the fields of a response that repeat its request."""
    wanted = body.text.format if body.text else None
    echo: dict[str, Any] = {
        "previous_response_id": body.previous_response_id,
        "instructions": body.instructions,
        "tools": [_tool(tool) for tool in body.tools or ()],
        "tool_choice": body.tool_choice or "auto",
        "parallel_tool_calls": True,
        "text": {"format": _format(wanted), "verbosity": "medium"},
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "reasoning": {
            "effort": body.reasoning.effort if body.reasoning else None,
            "summary": body.reasoning.summary if body.reasoning else None,
        },
        "truncation": body.truncation or "disabled",
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": None,
        "service_tier": "default",
        "metadata": body.metadata or {},
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }
    if conversation is not None:
        echo["conversation"] = {"id": conversation}
    if body.user is not None:
        echo["user"] = body.user
    return echo


def _named(tools: Sequence[FunctionTool], names: Sequence[Any]) -> list[FunctionTool]:
    known = {tool.name for tool in tools}
    for name in names:
        if name not in known:
            refuse("tool_choice", f"there is no tool {str(name)[:64]!r} in tools", code="invalid_request")
    return [tool for tool in tools if tool.name in names]


def _check_together(body: ResponseBody) -> None:
    if must_call(body) and not body.tools:
        refuse("tool_choice", "there are no tools to choose from", code="invalid_request")
    if body.background and body.store is False:
        refuse("background", "a response in the background must be stored", code="invalid_request")
    if body.conversation is not None and body.previous_response_id is not None:
        refuse("conversation", "not together with previous_response_id", code="invalid_request")


def _check_format(wanted: TextFormat | None) -> None:
    if wanted is None:
        return
    if wanted.type == "json_schema":
        if wanted.name is None or wanted.schema_ is None:
            refuse("text.format", "json_schema has a name and a schema", code="invalid_request")
    elif wanted.schema_ is not None:
        refuse("text.format.schema", "only json_schema has a schema", code="invalid_request")


def _check_taken(agent: AgentInfo | None, param: str, setting: str) -> None:
    if agent is not None and setting not in agent.settings:
        takes = ", ".join(agent.settings) or "none"
        refuse(param, f"the model {agent.name!r} takes no setting {setting!r}; it takes: {takes}")


def _tool(tool: FunctionTool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict if tool.strict is not None else False,
    }


def _format(wanted: TextFormat | None) -> dict[str, Any]:
    if wanted is None or wanted.type != "json_schema":
        return {"type": wanted.type if wanted else "text"}
    return {
        "type": "json_schema",
        "name": wanted.name,
        "description": wanted.description,
        "schema": wanted.schema_,
        "strict": bool(wanted.strict),
    }
