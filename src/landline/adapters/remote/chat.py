"""The wire of POST /chat/completions, streamed: what is sent, and what a chunk says."""

from collections.abc import Mapping
from typing import Any

import msgspec

from landline.adapters.remote.failures import failed
from landline.adapters.remote.spoken import Spoken, Tokens

__all__ = ["PATH", "body", "take"]

PATH = "/chat/completions"


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def body(
    model: str,
    conversation: list[dict[str, Any]],
    settings: dict[str, Any],
    schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the request; `schema` is the one that the answer must fit."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": conversation,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if schema is not None:
        form = {"name": "answer", "schema": dict(schema)}
        asked["response_format"] = {"type": "json_schema", "json_schema": form}
    return {**asked, **settings}


def take(data: str, spoken: Spoken) -> tuple[str, str] | None:
    """Take one chunk in.

    Raises:
        AgentFailed: It cannot be read, or reports an error.
    """
    if data.strip() == "[DONE]":
        spoken.ended = True
        return None
    try:
        chunk = _decode(data)
    except (msgspec.MsgspecError, ValueError):
        raise failed("invalid_response", model=True) from None
    if chunk.error is not None:
        raise failed("unavailable", model=True)
    spoken.model = chunk.model or spoken.model
    if chunk.usage is not None:
        spoken.usage = Tokens(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    first = next((choice for choice in chunk.choices if choice.index == 0), None)
    if first is None:
        return None
    told = _delta(first.delta, spoken) if first.delta is not None else None
    if first.finish_reason is not None:
        spoken.reason = spoken.reason or first.finish_reason
    return told


def _delta(delta: _Delta, spoken: Spoken) -> tuple[str, str] | None:
    if delta.tool_calls or delta.function_call:
        spoken.reason = "tool_calls"
    if delta.refusal:
        spoken.reason = "refusal"
    if thought := delta.reasoning_content or delta.reasoning or "":
        return spoken.think(thought)
    return spoken.say(delta.content or "")
