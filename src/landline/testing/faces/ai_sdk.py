"""The grammar of a UI message stream of the AI SDK, checked strictly, and the message that its client builds from it.

    message = check_stream(read_frames(response.content))

Stricter than the SDK's own reader, which lets much pass: every chunk is of a known shape, parts and steps that start end,
tool inputs add up to the JSON they are, results follow calls, and exactly one terminal chunk is last.
"""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Chunk", "Message", "StreamError", "check_stream", "read_frames", "shape_of"]

Chunk = dict[str, Any]

_ANY: Final = object

_SHAPES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "start": ({"messageId": str}, {"messageMetadata": dict}),
    "start-step": ({}, {}),
    "finish-step": ({}, {}),
    "reset-step": ({}, {}),
    "text-start": ({"id": str}, {}),
    "text-delta": ({"id": str, "delta": str}, {}),
    "text-end": ({"id": str}, {}),
    "reasoning-start": ({"id": str}, {}),
    "reasoning-delta": ({"id": str, "delta": str}, {}),
    "reasoning-end": ({"id": str}, {}),
    "tool-input-start": ({"toolCallId": str, "toolName": str}, {}),
    "tool-input-delta": ({"toolCallId": str, "inputTextDelta": str}, {}),
    "tool-input-available": ({"toolCallId": str, "toolName": str, "input": _ANY}, {}),
    "tool-approval-request": ({"approvalId": str, "toolCallId": str}, {"reason": str}),
    "tool-approval-response": ({"approvalId": str, "approved": bool}, {"reason": str}),
    "tool-output-available": ({"toolCallId": str, "output": _ANY}, {}),
    "tool-output-error": ({"toolCallId": str, "errorText": str}, {}),
    "tool-output-denied": ({"toolCallId": str}, {}),
    "source-url": ({"sourceId": str, "url": str}, {"title": str, "providerMetadata": dict}),
    "source-document": ({"sourceId": str, "mediaType": str, "title": str}, {"providerMetadata": dict}),
    "file": ({"url": str, "mediaType": str}, {}),
    "finish": ({"finishReason": str}, {"messageMetadata": dict}),
    "abort": ({}, {"reason": str}),
    "error": ({"errorText": str}, {}),
}
_DATA: Final[tuple[dict[str, Any], dict[str, Any]]] = ({"data": _ANY}, {"id": str, "transient": bool})
_REASONS: Final = frozenset(
    {"stop", "length", "content-filter", "tool-calls", "error", "interrupted", "other"}
)
_TERMINAL: Final = frozenset({"finish", "abort", "error"})
_SETTLED: Final = frozenset({"output-available", "output-error", "output-denied"})
_BOUNDARY: Final = {"type": "step-start"}


class StreamError(AssertionError):
    """The stream breaks the grammar; the text says at which chunk and how."""


@dataclass
class Message:
    """An assistant message as the client's reader builds it, and how the stream that told it ended."""

    id: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    ended: str | None = None
    finish_reason: str | None = None
    error: str | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    def tool(self, call_id: str) -> dict[str, Any]:
        """Return the part of a call."""
        return next(part for part in self.parts if part.get("toolCallId") == call_id)

    def data(self, kind: str) -> list[Any]:
        """Return what the `data-` parts of one kind hold."""
        return [part["data"] for part in self.parts if part["type"] == f"data-{kind}"]


def read_frames(body: bytes) -> list[Chunk]:
    """Return the chunks of a whole answer's body.

    Raises:
        StreamError: A frame is no `data:` line of JSON, or `[DONE]` is not once and last.
    """
    text = body.decode()
    if text and not text.endswith("\n\n"):
        raise StreamError("the last frame is cut")
    chunks: list[Chunk] = []
    done = False
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith((":", "retry: "))]
        if not lines:
            continue
        if done:
            raise StreamError(f"a frame after [DONE]: {block!r}")
        if len(lines) != 1 or not lines[0].startswith("data: "):
            raise StreamError(f"this is no frame of one data line: {block!r}")
        data = lines[0].removeprefix("data: ")
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        if not isinstance(chunk, dict):
            raise StreamError(f"a chunk is an object, not {data!r}")
        chunks.append(chunk)  # pyright: ignore[reportUnknownArgumentType] - shapes are checked one by one
    if not done:
        raise StreamError("[DONE] is missing")
    return chunks


def shape_of(chunk: Mapping[str, Any]) -> str:
    """Return a chunk's type, once its fields are known to be of the right shape.

    Raises:
        StreamError: A field is missing, of another type, or not known.
    """
    kind = chunk.get("type")
    if not isinstance(kind, str):
        raise StreamError("a chunk has a type")
    found = _DATA if kind.startswith("data-") else _SHAPES.get(kind)
    if found is None:
        raise StreamError(f"no chunk is called {kind}")
    needed, allowed = found
    for name, type_ in needed.items():
        if name not in chunk:
            raise StreamError(f"{kind} has no {name}")
        if type_ is not _ANY and type(chunk[name]) is not type_:
            raise StreamError(f"{name} of {kind} is no {type_.__name__}")
    for name in chunk.keys() - needed.keys() - {"type"}:
        if name not in allowed:
            raise StreamError(f"{kind} has a field {name}")
        if type(chunk[name]) is not allowed[name]:
            raise StreamError(f"{name} of {kind} is no {allowed[name].__name__}")
    return kind


class _Reader:
    def __init__(self, before: Message | None) -> None:
        self.message = deepcopy(before) if before else Message()
        self.message.ended = self.message.error = self.message.finish_reason = None
        self.continues = before is not None
        self.started = self.in_step = False
        self.open: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()
        self.inputs: dict[str, str] = {}

    def take(self, chunk: Chunk) -> None:
        kind = shape_of(chunk)
        if self.message.ended:
            raise StreamError(f"a chunk after {self.message.ended}")
        if self.started == (kind == "start"):
            raise StreamError("start is the first chunk and no other")
        if kind in _TERMINAL:
            self._end(kind, chunk)
        elif kind == "start":
            self._start(chunk)
        elif kind.endswith("-step"):
            self._step(kind)
        elif kind.startswith(("text-", "reasoning-")):
            what, _, verb = kind.partition("-")
            self._text(what, verb, chunk)
        elif kind.startswith("tool-input-"):
            self._input(kind, chunk)
        elif kind.startswith("tool-"):
            self._call(kind, chunk)
        elif kind.startswith("data-"):
            self._data(chunk)
        else:
            self._whole(kind, chunk)

    def _start(self, chunk: Chunk) -> None:
        self.started = True
        if not chunk["messageId"]:
            raise StreamError("a message has an id")
        if self.continues and chunk["messageId"] != self.message.id:
            raise StreamError("the message goes on under another id")
        self.message.id = chunk["messageId"]
        self.message.metadata |= chunk.get("messageMetadata", {})

    def _step(self, kind: str) -> None:
        if self.in_step == (kind == "start-step"):
            raise StreamError(f"{kind} {'inside' if self.in_step else 'outside'} a step")
        if self.open:
            raise StreamError(f"{kind} with a part open")
        if kind == "start-step":
            self.in_step = True
            self.message.parts.append(dict(_BOUNDARY))
        elif kind == "finish-step":
            self.in_step = False
        else:
            held = self._step_parts()
            if any("toolCallId" in part for part in held):
                raise StreamError("a step that holds a call is taken back")
            del self.message.parts[len(self.message.parts) - len(held) :]

    def _step_parts(self) -> list[dict[str, Any]]:
        parts = self.message.parts
        last = max((index for index, part in enumerate(parts) if part == _BOUNDARY), default=-1)
        return parts[last + 1 :]

    def _text(self, kind: str, verb: str, chunk: Chunk) -> None:
        place = f"{kind} {chunk['id']}"
        if verb == "start":
            self._inside(place)
            if place in self.used or self.open:
                raise StreamError(f"{place} starts twice, or inside another part")
            self.used.add(place)
            self.open[place] = {"type": kind, "text": "", "state": "streaming"}
            self.message.parts.append(self.open[place])
            return
        if place not in self.open:
            raise StreamError(f"{place} is not open")
        if verb == "delta":
            if not chunk["delta"]:
                raise StreamError("a delta is empty")
            self.open[place]["text"] += chunk["delta"]
        else:
            self.open.pop(place)["state"] = "done"

    def _inside(self, what: str) -> None:
        if not self.in_step:
            raise StreamError(f"{what} outside a step")

    def _input(self, kind: str, chunk: Chunk) -> None:
        call_id = chunk["toolCallId"]
        part = self._part(call_id)
        if kind == "tool-input-start":
            self._inside(kind)
            if part is not None:
                raise StreamError("the call was told already")
            self.inputs[call_id] = ""
            part = {"type": f"tool-{chunk['toolName']}", "toolCallId": call_id, "state": "input-streaming"}
            self.message.parts.append(part)
            return
        if part is None:
            raise StreamError("no such call has started")
        if kind == "tool-input-delta":
            if part["state"] != "input-streaming":
                raise StreamError("the input was whole already")
            self.inputs[call_id] += chunk["inputTextDelta"]
            return
        if part["type"] != f"tool-{chunk['toolName']}":
            raise StreamError("the call has another name")
        if part["state"] == "input-streaming":
            try:
                summed = json.loads(self.inputs[call_id])
            except ValueError:
                raise StreamError("the deltas of the input are no JSON") from None
            if summed != chunk["input"]:
                raise StreamError("the deltas do not add up to the input")
        elif part["state"] in _SETTLED or part not in self._step_parts():
            raise StreamError("the input of a call of an earlier step, or of one that is done, is told again")
        part |= {"state": "input-available", "input": chunk["input"]}

    def _call(self, kind: str, chunk: Chunk) -> None:
        if kind == "tool-approval-response":
            part = next(
                (p for p in self.message.parts if p.get("approval", {}).get("id") == chunk["approvalId"]),
                None,
            )
            if part is None:
                raise StreamError("nobody asked for this approval")
            part["state"] = "approval-responded"
            part["approval"] |= {name: chunk[name] for name in ("approved", "reason") if name in chunk}
            return
        part = self._part(chunk["toolCallId"])
        if part is None or part["state"] == "input-streaming":
            raise StreamError("no such call has a whole input")
        if kind == "tool-approval-request":
            part |= {"state": "approval-requested", "approval": {"id": chunk["approvalId"]}}
            return
        if part["state"] in _SETTLED and not self.continues:
            raise StreamError("the call has two results")
        if kind == "tool-output-denied" and part.get("approval", {}).get("approved") is not False:
            raise StreamError("a call was denied that nobody denied")
        part["state"] = kind.removeprefix("tool-")
        part |= {name: chunk[name] for name in ("output", "errorText") if name in chunk}

    def _part(self, call_id: str) -> dict[str, Any] | None:
        return next((part for part in self.message.parts if part.get("toolCallId") == call_id), None)

    def _data(self, chunk: Chunk) -> None:
        if chunk.get("transient"):
            return
        for part in self.message.parts:
            if "id" in chunk and (part["type"], part.get("id")) == (chunk["type"], chunk["id"]):
                part["data"] = chunk["data"]
                return
        self.message.parts.append(dict(chunk))

    def _whole(self, kind: str, chunk: Chunk) -> None:
        self._inside(kind)
        if kind.startswith("source-"):
            if (name := f"source {chunk['sourceId']}") in self.used:
                raise StreamError("two sources have one id")
            self.used.add(name)
        elif not chunk["url"].startswith("data:"):
            raise StreamError("a file is told as a data URL")
        self.message.parts.append(dict(chunk))

    def _end(self, kind: str, chunk: Chunk) -> None:
        if self.open or self.in_step:
            raise StreamError(f"{kind} with a part or a step open")
        self.message.ended = kind
        self.message.error = chunk.get("errorText")
        if kind == "finish":
            if chunk["finishReason"] not in _REASONS:
                raise StreamError(f"nothing finishes for the reason {chunk['finishReason']}")
            self.message.finish_reason = chunk["finishReason"]
            self.message.metadata |= chunk.get("messageMetadata", {})
            if chunk["finishReason"] == "stop":
                self._all_settled()

    def _all_settled(self) -> None:
        calls = [part for part in self.message.parts if "toolCallId" in part]
        if pending := [part["toolCallId"] for part in calls if part["state"] not in _SETTLED]:
            raise StreamError(f"finished with calls under way: {pending}")
        if any("toolCallId" in part for part in self._step_parts()):
            raise StreamError("the last step holds calls, so clients would send it on by themselves")


def check_stream(chunks: Iterable[Chunk], *, before: Message | None = None, whole: bool = True) -> Message:
    """Return the message that `chunks` tell.

    Args:
        chunks: In the order they came, without `[DONE]`.
        before: The message so far, for a stream that goes on with it.
        whole: The stream came to its end, so the last chunk must be terminal; else it may stop anywhere.

    Raises:
        StreamError: They are no well-formed stream.
    """
    reader, count = _Reader(before), 0
    for count, chunk in enumerate(chunks, start=1):
        try:
            reader.take(chunk)
        except StreamError as error:
            raise StreamError(f"chunk {count} {chunk}: {error}") from None
    if whole and reader.message.ended is None:
        raise StreamError(f"the stream of {count} chunks has no terminal chunk")
    return reader.message
