"""The strict checker of Chat Completions streams (FACE-17): what OpenAI's clients rely on, and more.

A stream is well-formed when all of its chunks are of one completion, the role comes first and once, each tool call begins
with its id and name and its arguments add up to a JSON object, one chunk says why it ended, usage comes where it was asked
for and nowhere else, and `[DONE]` or one error is last.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

__all__ = ["ChatStreamError", "ToldCall", "Transcript", "check_chat", "check_completion"]

_SAME = ("id", "object", "created", "model")
_REASONS = ("stop", "tool_calls")
_FIELDS = frozenset({*_SAME, "choices", "usage"})
_DELTAS = frozenset({"role", "content", "refusal", "reasoning_content", "tool_calls", "annotations"})


class ChatStreamError(AssertionError):
    """The stream breaks the grammar; the text says where and how."""


@dataclass(kw_only=True)
class ToldCall:
    """A tool call as its deltas add up."""

    id: str
    name: str
    arguments: str


@dataclass(kw_only=True)
class Transcript:
    """What a stream adds up to; `error` is the body of the error that ended it, if one did."""

    head: dict[str, Any] = field(default_factory=dict[str, Any])
    content: str = ""
    reasoning: str = ""
    calls: list[ToldCall] = field(default_factory=list[ToldCall])
    citations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    error: dict[str, Any] | None = None
    done: bool = False
    role: bool = False


def check_chat(
    body: bytes | str, *, content_type: str | None = None, include_usage: bool = False, whole: bool = True
) -> Transcript:
    """Return what the stream adds up to.

    Args:
        body: All that was sent.
        content_type: The response's, looked at when it is given.
        include_usage: Whether the request asked for the usage chunk.
        whole: The stream has ended; otherwise it may stop anywhere.

    Raises:
        ChatStreamError: It is not well-formed.
    """
    if content_type is not None and content_type.partition(";")[0].strip() != "text/event-stream":
        raise ChatStreamError(f"the content type is {content_type}")
    text = body.decode() if isinstance(body, bytes) else body
    *blocks, rest = text.split("\n\n")
    if whole and rest:
        raise ChatStreamError(f"the last frame is cut: {rest[:100]!r}")
    told = Transcript()
    for number, block in enumerate(blocks, start=1):
        try:
            _frame(told, block, include_usage=include_usage)
        except ChatStreamError as error:
            raise ChatStreamError(f"frame {number} {block[:300]!r}: {error}") from None
    if whole:
        _ended(told, include_usage=include_usage)
    return told


def check_completion(body: Mapping[str, Any]) -> Transcript:
    """Return what a whole completion says. Raises ChatStreamError when it is not well-formed."""
    told = Transcript(head={key: body.get(key) for key in _SAME}, role=True)
    if body.get("object") != "chat.completion" or not isinstance(body.get("created"), int):
        raise ChatStreamError("it is no chat.completion")
    (choice,) = body["choices"]
    message = choice["message"]
    if (choice["index"], message["role"]) != (0, "assistant"):
        raise ChatStreamError("its choice is not the assistant's first")
    told.content, told.reasoning = message["content"] or "", message.get("reasoning_content", "")
    for call in message.get("tool_calls", ()):
        if call["type"] != "function":
            raise ChatStreamError("a call is of no function")
        told.calls.append(ToldCall(id=call["id"], **call["function"]))
    told.citations = message.get("annotations", [])
    told.finish_reason = choice["finish_reason"]
    _usage(told, body["usage"])
    _closed(told)
    return told


def _frame(told: Transcript, block: str, *, include_usage: bool) -> None:
    lines = [line for line in block.split("\n") if not line.startswith(":")]
    if not lines:
        return
    if len(lines) != 1 or not lines[0].startswith("data: "):
        raise ChatStreamError("a frame is one line of data")
    if told.done or told.error is not None:
        raise ChatStreamError("something follows the end")
    data = lines[0].removeprefix("data: ")
    if data == "[DONE]":
        told.done = True
        return
    chunk = json.loads(data)
    if "error" in chunk:
        if set(chunk) != {"error"} or set(chunk["error"]) != {"message", "type", "param", "code"}:
            raise ChatStreamError("the error is not in OpenAI's envelope")
        told.error = chunk["error"]
        return
    _chunk(told, chunk, include_usage=include_usage)


def _chunk(told: Transcript, chunk: Mapping[str, Any], *, include_usage: bool) -> None:
    if unknown := set(chunk) - _FIELDS:
        raise ChatStreamError(f"it has fields of nobody's: {sorted(unknown)}")
    head = {key: chunk.get(key) for key in _SAME}
    if head["object"] != "chat.completion.chunk" or not isinstance(head["created"], int):
        raise ChatStreamError("it is no chat.completion.chunk")
    if told.head and told.head != head:
        raise ChatStreamError("it is of another completion")
    told.head = head
    if ("usage" in chunk) != include_usage:
        raise ChatStreamError("usage is there exactly when it is asked for")
    if not chunk["choices"]:
        if told.finish_reason is None or not include_usage or told.usage is not None:
            raise ChatStreamError("a chunk without a choice is the one with the usage, after the end")
        _usage(told, chunk["usage"])
        return
    if chunk.get("usage") is not None:
        raise ChatStreamError("usage comes in a chunk of its own")
    (choice,) = chunk["choices"]
    if choice["index"] != 0 or set(choice) != {"index", "delta", "logprobs", "finish_reason"}:
        raise ChatStreamError("it has not the one choice")
    if told.finish_reason is not None:
        raise ChatStreamError("a delta follows the finish")
    _delta(told, choice["delta"])
    if choice["finish_reason"] is not None:
        told.finish_reason = choice["finish_reason"]
        if choice["delta"]:
            raise ChatStreamError("the finish has a delta")
        _closed(told)


def _delta(told: Transcript, delta: Mapping[str, Any]) -> None:
    if unknown := set(delta) - _DELTAS:
        raise ChatStreamError(f"the delta has fields of nobody's: {sorted(unknown)}")
    if ("role" in delta) == told.role:
        raise ChatStreamError("the role comes first and once")
    if "role" in delta:
        if delta["role"] != "assistant":
            raise ChatStreamError("the role is not the assistant's")
        told.role = True
    told.content += delta.get("content", "")
    told.reasoning += delta.get("reasoning_content", "")
    told.citations += delta.get("annotations", ())
    for call in delta.get("tool_calls", ()):
        _call(told, call)


def _call(told: Transcript, call: Mapping[str, Any]) -> None:
    index, function = int(call["index"]), cast("dict[str, str]", call["function"])
    if index == len(told.calls):
        if call.get("type") != "function" or not call.get("id") or not function.get("name"):
            raise ChatStreamError("a call begins with its id, type and name")
        told.calls.append(ToldCall(id=call["id"], name=function["name"], arguments=function["arguments"]))
    elif index == len(told.calls) - 1:
        if "id" in call or "name" in function:
            raise ChatStreamError("a call's id and name come once")
        told.calls[index].arguments += function["arguments"]
    else:
        raise ChatStreamError("the numbers of calls rise by one")


def _closed(told: Transcript) -> None:
    if told.finish_reason not in _REASONS:
        raise ChatStreamError(f"the reason {told.finish_reason!r} is none of {_REASONS}")
    if told.finish_reason == "tool_calls" and not told.calls:
        raise ChatStreamError("it ends with tool calls and has none")
    if len({call.id for call in told.calls}) != len(told.calls):
        raise ChatStreamError("two calls have the same id")
    for cited in told.citations:
        place = cited["url_citation"]
        if not 0 <= place["start_index"] < place["end_index"] <= len(told.content):
            raise ChatStreamError(f"the citation of {place['url']} is of no part of the answer")
    for call in told.calls:
        try:
            arguments = json.loads(call.arguments)
        except ValueError:
            raise ChatStreamError(f"the arguments of {call.name} are no JSON: {call.arguments!r}") from None
        if not isinstance(arguments, dict):
            raise ChatStreamError(f"the arguments of {call.name} are no object")


def _usage(told: Transcript, usage: Mapping[str, Any]) -> None:
    counts: dict[str, Any] = {
        key: usage.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ChatStreamError("usage counts tokens")
    told.usage = counts


def _ended(told: Transcript, *, include_usage: bool) -> None:
    if told.error is not None:
        return
    if not told.done:
        raise ChatStreamError("it does not end with [DONE] or an error")
    if told.finish_reason is None:
        raise ChatStreamError("it ends without a reason")
    if include_usage and told.usage is None:
        raise ChatStreamError("the usage is missing")
