"""The wire of POST /v1/chat/completions: a plan as chunks or as one body. Pure: no sockets, no clock."""

import json
from typing import Any

from landline.testing.upstream.frames import Frame
from landline.testing.upstream.plan import Part, Plan
from landline.testing.upstream.replies import Usage
from landline.testing.upstream.request import Request

__all__ = ["CREATED", "broken_chunk", "completion", "error_chunk", "frames"]

CREATED = 1_700_000_000  # a fixed time: the same request gives the same bytes


def frames(plan: Plan, request: Request) -> list[Frame]:
    """Encode a stream, chunk by chunk, up to `[DONE]`.

    A chunk's text is put together from strings encoded once per stream, not built as an object per token: the
    server has to feed hundreds of streams from one core.
    """
    options: dict[str, Any] = request.body.get("stream_options") or {}
    with_usage = options.get("include_usage") is True
    head, tail = _envelope(plan, request, with_usage=with_usage)
    start, end = head + '"choices":[{"index":0,"delta":', ',"logprobs":null,"finish_reason":null}]' + tail
    out = [_frame(f'{start}{{"role":"assistant","content":"","refusal":null}}{end}')]
    calls = 0
    for part in plan.parts:
        if part.kind == "call":
            function = {"name": part.name, "arguments": ""}
            opening = {"index": calls, "id": part.call_id, "type": "function", "function": function}
            out.append(_frame(f'{start}{{"tool_calls":[{json.dumps(opening)}]}}{end}'))
            left = f'{start}{{"tool_calls":[{{"index":{calls},"function":{{"arguments":'
            right = "}}]}" + end
            calls += 1
        else:
            name = "content" if part.kind == "text" else "reasoning_content"
            left, right = f'{start}{{"{name}":', "}" + end
        out.extend(_frame(f"{left}{json.dumps(piece)}{right}", token=True) for piece in part.pieces)
    reason = json.dumps(_finish_reason(plan))
    out.append(_frame(f'{start}{{}},"logprobs":null,"finish_reason":{reason}}}]{tail}'))
    if with_usage:
        out.append(_frame(f'{head}"choices":[],"usage":{json.dumps(_usage(plan.usage))}}}'))
    out.append(_frame("[DONE]"))
    return out


def completion(plan: Plan, request: Request) -> dict[str, Any]:
    """Build the body of an answer that is not streamed."""
    spoken, thought = _joined(plan, "text"), _joined(plan, "reasoning")
    calls = [part for part in plan.parts if part.kind == "call"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not spoken else spoken,
        "refusal": None,
    }
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = [_whole_call(part) for part in calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(plan)}
    return {
        "id": _id(request),
        "object": "chat.completion",
        "created": CREATED,
        "model": plan.model,
        "choices": [choice],
        "usage": _usage(plan.usage),
    }


def broken_chunk(request: Request) -> bytes:
    """A chunk whose JSON breaks off."""
    return _frame(
        f'{{"id":"{_id(request)}","object":"chat.completion.chunk","choices":[{{"delta":{{"content":"lost'
    ).data


def error_chunk(message: str) -> bytes:
    """An error reported after the response has begun."""
    return _frame(
        json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
    ).data


def _envelope(plan: Plan, request: Request, *, with_usage: bool) -> tuple[str, str]:
    # The real API sends a null usage on every chunk but the last when usage was asked for.
    fixed = {"id": _id(request), "object": "chat.completion.chunk", "created": CREATED, "model": plan.model}
    return json.dumps(fixed)[:-1] + ",", ',"usage":null}' if with_usage else "}"


def _frame(data: str, *, token: bool = False) -> Frame:
    return Frame(f"data: {data}\n\n".encode(), token)


def _id(request: Request) -> str:
    return f"chatcmpl-{request.index:06}"


def _finish_reason(plan: Plan) -> str | None:
    calls = any(part.kind == "call" for part in plan.parts)
    return "tool_calls" if calls and plan.finish == "stop" else plan.finish


def _joined(plan: Plan, kind: str) -> str:
    return "".join(part.whole for part in plan.parts if part.kind == kind)


def _whole_call(part: Part) -> dict[str, Any]:
    return {"id": part.call_id, "type": "function", "function": {"name": part.name, "arguments": part.whole}}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
