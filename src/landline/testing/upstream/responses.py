"""The wire of POST /v1/responses: a plan as events or as one body. Pure: no sockets, no clock."""

import json
from typing import Any

from landline.testing.upstream.chat import CREATED
from landline.testing.upstream.frames import Frame
from landline.testing.upstream.plan import Part, Plan
from landline.testing.upstream.replies import Usage
from landline.testing.upstream.request import Request

__all__ = ["broken_event", "failed_event", "frames", "index_of", "response"]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def frames(plan: Plan, request: Request) -> list[Frame]:
    """Encode the whole event sequence, from `response.created` to `response.completed` (or `.incomplete`)."""
    events = _Events()
    opening = _response(plan, request, status="in_progress", output=[])
    events.add("response.created", response=opening)
    events.add("response.in_progress", response=opening)
    items: list[dict[str, Any]] = []
    for index, part in enumerate(plan.parts):
        item_id = _item_id(part, index, request)
        events.add("response.output_item.added", output_index=index, item=_item(part, item_id, done=False))
        _SPEAK[part.kind](events, part, {"item_id": item_id, "output_index": index})
        items.append(_item(part, item_id, done=True))
        events.add("response.output_item.done", output_index=index, item=items[-1])
    status = _status(plan)
    events.add(f"response.{status}", response=_response(plan, request, status=status, output=items))
    return events.frames


def response(plan: Plan, request: Request) -> dict[str, Any]:
    """Build the body of an answer that is not streamed."""
    items = [_item(part, _item_id(part, n, request), done=True) for n, part in enumerate(plan.parts)]
    if plan.finish is None:
        items = [{**item, "status": "incomplete"} for item in items]
    return _response(plan, request, status=_status(plan), output=items)


def broken_event(request: Request) -> bytes:
    """An event whose JSON breaks off."""
    kind = "response.output_text.delta"
    return f'event: {kind}\ndata: {{"type":"{kind}","item_id":"msg_{request.index:06}\n\n'.encode()


def failed_event(plan: Plan, request: Request, message: str) -> bytes:
    """`response.failed`: an error reported after the response has begun."""
    events = _Events(start=plan.tokens + 100)
    failed = _response(plan, request, status="failed", output=[])
    events.add("response.failed", response={**failed, "error": {"code": "server_error", "message": message}})
    return events.frames[0].data


def index_of(response_id: str) -> int | None:
    """Tell which request a response id answered, for `previous_response_id`."""
    number = response_id.removeprefix("resp_")
    return int(number) if number.isdecimal() and number.isascii() and number != response_id else None


class _Events:
    """Numbers events as they are added; `tokens` is the short way for the many deltas of one part."""

    def __init__(self, start: int = 0) -> None:
        self.frames: list[Frame] = []
        self._next = start

    def add(self, kind: str, **fields: Any) -> None:
        data = json.dumps({"type": kind, "sequence_number": self._next, **fields})
        self.frames.append(Frame(f"event: {kind}\ndata: {data}\n\n".encode()))
        self._next += 1

    def tokens(self, kind: str, pieces: tuple[str, ...], **fields: Any) -> None:
        left = f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":'
        middle = f',{json.dumps(fields)[1:-1]},"delta":'
        for number, piece in enumerate(pieces, self._next):
            self.frames.append(Frame(f"{left}{number}{middle}{json.dumps(piece)}}}\n\n".encode(), True))
        self._next += len(pieces)


def _speak_text(events: _Events, part: Part, at: dict[str, Any]) -> None:
    at = {**at, "content_index": 0}
    events.add("response.content_part.added", **at, part=_content(""))
    events.tokens("response.output_text.delta", part.pieces, **at, logprobs=[])
    events.add("response.output_text.done", **at, text=part.whole, logprobs=[])
    events.add("response.content_part.done", **at, part=_content(part.whole))


def _speak_reasoning(events: _Events, part: Part, at: dict[str, Any]) -> None:
    at = {**at, "summary_index": 0}
    events.add("response.reasoning_summary_part.added", **at, part=_summary(""))
    events.tokens("response.reasoning_summary_text.delta", part.pieces, **at)
    events.add("response.reasoning_summary_text.done", **at, text=part.whole)
    events.add("response.reasoning_summary_part.done", **at, part=_summary(part.whole))


def _speak_call(events: _Events, part: Part, at: dict[str, Any]) -> None:
    events.tokens("response.function_call_arguments.delta", part.pieces, **at)
    events.add("response.function_call_arguments.done", **at, arguments=part.whole)


_SPEAK = {"text": _speak_text, "reasoning": _speak_reasoning, "call": _speak_call}
_PREFIX = {"text": "msg", "reasoning": "rs", "call": "fc"}


def _item_id(part: Part, index: int, request: Request) -> str:
    return f"{_PREFIX[part.kind]}_{request.index:06}_{index}"


def _item(part: Part, item_id: str, *, done: bool) -> dict[str, Any]:
    said = part.whole if done else ""
    status = "completed" if done else "in_progress"
    if part.kind == "call":
        call = {"type": "function_call", "call_id": part.call_id, "name": part.name, "arguments": said}
        return {"id": item_id, **call, "status": status}
    if part.kind == "reasoning":
        return {"id": item_id, "type": "reasoning", "summary": [_summary(said)] if done else []}
    content = [_content(said)] if done else []
    return {"id": item_id, "type": "message", "role": "assistant", "content": content, "status": status}


def _content(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def _status(plan: Plan) -> str:
    if plan.finish is None:
        return "in_progress"
    return "incomplete" if plan.finish in _INCOMPLETE else "completed"


def _response(plan: Plan, request: Request, *, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    reason = _INCOMPLETE.get(plan.finish or "") if status == "incomplete" else None
    return {
        "id": f"resp_{request.index:06}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": plan.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": request.body.get("previous_response_id"),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(plan.usage) if status in ("completed", "incomplete") else None,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
