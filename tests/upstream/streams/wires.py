"""Streams in the shapes that providers send them, written by hand after their references, and ways to cut them."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

__all__ = ["PIECES", "WIRES", "anthropic", "chat", "cuts", "google", "responses"]

HARD = (
    "\ud83d",
    "\ude00",
    '"quoted"',
    "back\\slash",
    "tab\t",
    "\n\n",
    "  ",
    "",
    "é",
    "日本",
    "😀",
    "<think>",
    "</think>",
)
"""Pieces that break what is careless: half an emoji, an escape, white space alone, tags that frameworks look for."""
PIECES = st.lists(st.one_of(st.sampled_from(HARD), st.text(max_size=6)), max_size=14)


def _event(data: Any, name: str | None = None, *, ascii_only: bool = True) -> bytes:
    text = json.dumps(data, ensure_ascii=ascii_only, separators=(",", ":"))
    try:
        body = text.encode()
    except UnicodeEncodeError:
        # Half an emoji has no UTF-8: it can be sent as an escape only.
        body = json.dumps(data, separators=(",", ":")).encode()
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + body + b"\n\n"


def chat(
    text: Sequence[str], thought: Sequence[str], arguments: Sequence[str], *, ascii_only: bool = True
) -> list[bytes]:
    """Return OpenAI's Chat Completions: reasoning, text with its filler, two tools at once, usage, the end."""
    number = 0

    def chunk(delta: Any, reason: str | None = None, **more: Any) -> bytes:
        nonlocal number
        number += 1
        data = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_790_000_000,
            "model": "gpt-6",
            "service_tier": "default",
            "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
            "usage": None,
        }
        return _event(data | more, ascii_only=ascii_only)

    def arguing(index: int, piece: str) -> bytes:
        return chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    def called(index: int) -> bytes:
        function = {"name": f"tool_{index}", "arguments": ""}
        call: dict[str, Any] = {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": function,
        }
        return chunk({"tool_calls": [call]})

    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({"content": None, "reasoning_content": piece}) for piece in thought]
    events += [chunk({"content": piece}, obfuscation="x" * (number % 7)) for piece in text]
    events += [called(0), *(arguing(0, piece) for piece in arguments)]
    events += [called(1), *(arguing(place % 2, piece) for place, piece in enumerate(arguments))]
    events.append(chunk({}, "tool_calls"))
    usage = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
    events.append(chunk({}, choices=[], usage=usage))
    return [*events, b"data: [DONE]\n\n"]


def responses(
    text: Sequence[str], thought: Sequence[str], arguments: Sequence[str], *, ascii_only: bool = True
) -> list[bytes]:
    """Return OpenAI's Responses: a reasoning item, a message, a call, each told again as a whole when it is done."""
    events: list[bytes] = []

    def say(kind: str, **more: Any) -> None:
        data = {"type": kind, "sequence_number": len(events), **more}
        events.append(_event(data, kind, ascii_only=ascii_only))

    answer: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "in_progress",
        "model": "gpt-6",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    say("response.created", response=answer)
    summary = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    thinking: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": []}
    say("response.output_item.added", output_index=0, item=thinking)
    say("response.reasoning_summary_part.added", **summary, part={"type": "summary_text", "text": ""})
    for piece in thought:
        say(
            "response.reasoning_summary_text.delta",
            **summary,
            delta=piece,
            obfuscation="o" * (len(events) % 5),
        )
    say("response.reasoning_summary_text.done", **summary, text="".join(thought))
    thinking = thinking | {"summary": [{"type": "summary_text", "text": "".join(thought)}]}
    say("response.output_item.done", output_index=0, item=thinking)
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    say("response.output_item.added", output_index=1, item=message)
    say("response.content_part.added", **place, part=part)
    for piece in text:
        say(
            "response.output_text.delta",
            **place,
            delta=piece,
            logprobs=[],
            obfuscation="o" * (len(events) % 5),
        )
    said = part | {"text": "".join(text)}
    say("response.output_text.done", **place, text="".join(text), logprobs=[])
    say("response.content_part.done", **place, part=said)
    message = message | {"status": "completed", "content": [said]}
    say("response.output_item.done", output_index=1, item=message)
    call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "tool_0", "arguments": ""}
    say("response.output_item.added", output_index=2, item=call)
    for piece in arguments:
        say("response.function_call_arguments.delta", item_id="fc_1", output_index=2, delta=piece)
    whole = "".join(arguments)
    say(
        "response.function_call_arguments.done",
        item_id="fc_1",
        output_index=2,
        name="tool_0",
        arguments=whole,
    )
    call = call | {"arguments": whole}
    say("response.output_item.done", output_index=2, item=call)
    usage = {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 2}}
    done = answer | {"status": "completed", "output": [thinking, message, call], "usage": usage}
    say("response.completed", response=done)
    return events


def anthropic(
    text: Sequence[str], thought: Sequence[str], arguments: Sequence[str], *, ascii_only: bool = True
) -> list[bytes]:
    """Return Anthropic's Messages: a block of thinking with its signature, one of text, one of a tool, a ping between."""
    events: list[bytes] = []

    def say(kind: str, **more: Any) -> None:
        events.append(_event({"type": kind, **more}, kind, ascii_only=ascii_only))

    def block(index: int, start: Any, deltas: Iterable[Any]) -> None:
        say("content_block_start", index=index, content_block=start)
        for delta in deltas:
            say("content_block_delta", index=index, delta=delta)
        say("content_block_stop", index=index)

    usage = {"input_tokens": 3, "output_tokens": 1}
    head: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-9",
        "content": [],
        "usage": usage,
    }
    say("message_start", message=head | {"stop_reason": None, "stop_sequence": None})
    thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in thought]
    signed = {"type": "signature_delta", "signature": "c2ln"}
    block(0, {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed])
    say("ping")
    block(1, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in text])
    tool: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "tool_0", "input": {}}
    block(2, tool, [{"type": "input_json_delta", "partial_json": piece} for piece in arguments])
    say("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9})
    say("message_stop")
    return events


def google(
    text: Sequence[str], thought: Sequence[str], arguments: Sequence[str], *, ascii_only: bool = True
) -> list[bytes]:
    """Return Gemini's streamGenerateContent: lines end in CR LF, and each event counts the tokens so far."""
    events: list[bytes] = []

    def say(part: Any, **more: Any) -> None:
        content = {"parts": [part], "role": "model"}
        count = len(events)
        usage = {"promptTokenCount": 3, "candidatesTokenCount": count, "totalTokenCount": 3 + count}
        usage |= {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]}
        data = {
            "candidates": [{"content": content, "index": 0, **more}],
            "usageMetadata": usage,
            "modelVersion": "gemini-4",
            "responseId": "r1",
        }
        events.append(_event(data, ascii_only=ascii_only).replace(b"\n", b"\r\n"))

    for piece in thought:
        say({"text": piece, "thought": True})
    for piece in text:
        say({"text": piece})
    for _ in arguments[:2]:
        say({"functionCall": {"name": "tool_0", "args": {"n": len(events)}}})
    say({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP")
    return events


Wire = Callable[..., list[bytes]]
WIRES: dict[str, Wire] = {"anthropic": anthropic, "chat": chat, "google": google, "responses": responses}


def cuts(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut `data` at each of `places`."""
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    return [piece for piece in pieces if piece]
