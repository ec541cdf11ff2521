"""The wire of POST /responses, streamed: what is sent, and what an event says."""

from collections.abc import Mapping
from typing import Any

import msgspec

from landline.adapters.remote.failures import failed
from landline.adapters.remote.spoken import Spoken, Tokens

__all__ = ["PATH", "body", "take"]

PATH = "/responses"
_NAMES = {"max_tokens": "max_output_tokens"}
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Item(msgspec.Struct):
    type: str = ""


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str = ""
    model: str | None = None
    usage: _Usage | None = None
    output: list[_Item] = []
    incomplete_details: _Incomplete | None = None


class _Event(msgspec.Struct):
    type: str
    delta: Any = None
    response: _Response | None = None
    item: _Item | None = None


_decode = msgspec.json.Decoder(_Event).decode


def body(
    model: str,
    conversation: list[dict[str, Any]],
    settings: dict[str, Any],
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the request; the endpoint is asked to keep nothing, the thread is here."""
    renamed = {_NAMES.get(name, name): value for name, value in settings.items()}
    if schema is not None:
        renamed["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": dict(schema)}}
    return {"model": model, "input": conversation, "stream": True, "store": False, **renamed}


def take(data: str, spoken: Spoken) -> tuple[str, str] | None:
    """Take one event in.

    Raises:
        AgentFailed: It cannot be read, or reports an error.
    """
    if data.strip() == "[DONE]":
        spoken.ended = True
        return None
    try:
        event = _decode(data)
    except (msgspec.MsgspecError, ValueError):
        raise failed("invalid_response", model=True) from None
    match event.type:
        case "response.output_text.delta" if isinstance(event.delta, str):
            return spoken.say(event.delta)
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" if isinstance(
            event.delta, str
        ):
            return spoken.think(event.delta)
        case "response.refusal.delta":
            spoken.reason = "refusal"
        case "response.failed" | "error":
            raise failed("unavailable", model=True)
        case "response.completed" | "response.incomplete" if event.response is not None:
            _end(event.response, spoken)
        case _:
            pass
    return None


def _end(response: _Response, spoken: Spoken) -> None:
    spoken.ended = True
    spoken.model = response.model or spoken.model
    if response.usage is not None:
        spoken.usage = Tokens(response.usage.input_tokens, response.usage.output_tokens)
    if any(item.type == "function_call" for item in response.output):
        spoken.reason = spoken.reason or "tool_calls"
    elif response.status == "completed":
        spoken.reason = spoken.reason or "stop"
    elif response.status == "incomplete":
        given = response.incomplete_details.reason if response.incomplete_details else None
        spoken.reason = spoken.reason or _REASONS.get(given or "", "length")
