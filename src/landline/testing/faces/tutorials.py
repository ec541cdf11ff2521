"""The grammar of the tutorials' streams, checked strictly (FACE-17); each check returns what the stream said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from landline.testing.grammar import GrammarError

__all__ = [
    "Asked",
    "Said",
    "SseFrame",
    "check_deltas",
    "check_indexed",
    "check_lesson",
    "check_queries",
    "check_socket",
    "check_tokens",
    "sse_frames",
]


@dataclass(frozen=True, kw_only=True)
class SseFrame:
    """One frame of an event stream; `event` is "" where it has no name."""

    event: str
    data: str
    id: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        """The data as a JSON object."""
        try:
            found: Any = json.loads(self.data)
        except ValueError:
            raise GrammarError(f"this is no JSON: {self.data!r}") from None
        if not isinstance(found, dict):
            raise GrammarError(f"this is no JSON object: {self.data!r}")
        return cast("dict[str, Any]", found)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a text stream said: `error` is the body of its error frame, None when it ended well."""

    text: str
    pieces: Sequence[str]
    error: Mapping[str, Any] | None = None
    session_id: str | None = None
    tokens_used: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a stream of queries said: the tokens of each message by id, in order."""

    user_message_id: str
    messages: Mapping[str, Sequence[str]] = field(default_factory=dict[str, list[str]])
    error: Mapping[str, Any] | None = None


def sse_frames(body: str, content_type: str) -> list[SseFrame]:
    """Return the frames of a whole event stream, as the specification reads them; comments are none."""
    if content_type.partition(";")[0].strip() != "text/event-stream":
        raise GrammarError(f"the content type is {content_type!r}")
    if "\r" in body:
        raise GrammarError("a carriage return ends a line, whatever was meant by it")
    if body and not body.endswith("\n\n"):
        raise GrammarError("the last frame has no end")
    found: list[SseFrame] = []
    for block in body.split("\n\n")[:-1]:
        fields: dict[str, list[str]] = {}
        for line in filter(None, block.split("\n")):
            name, _, value = line.partition(":")
            if name not in {"", "event", "data", "id", "retry"}:
                raise GrammarError(f"a line that is no field: {line!r}")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields:
            found.append(
                SseFrame(
                    event=fields.get("event", [""])[-1],
                    data="\n".join(fields["data"]),
                    id=fields["id"][-1] if "id" in fields else None,
                )
            )
    return found


def check_lesson(body: str, content_type: str = "text/event-stream") -> Said:
    """Check `session`, `token`*, then `done` or `error`."""
    frames = sse_frames(body, content_type)
    if not frames or frames[0].event != "session" or not frames[0].data:
        raise GrammarError("the first event is not session")
    *tokens, last = frames[1:] or [frames[0]]
    for frame in tokens:
        if frame.event != "token" or not frame.data:
            raise GrammarError(f"no token: {frame}")
    text = "".join(frame.data for frame in tokens)
    pieces = [frame.data for frame in tokens]
    if last.event == "error":
        return Said(text=text, pieces=pieces, error=_error(last.json), session_id=frames[0].data)
    if last.event != "done" or not last.data.isdecimal():
        raise GrammarError(f"the stream has no end: {last}")
    return Said(text=text, pieces=pieces, session_id=frames[0].data, tokens_used=int(last.data))


def check_deltas(body: str, content_type: str = "text/event-stream") -> Said:
    """Check `{delta}`*, then `{done, final, session_id}`, to which the deltas add up, or `{error, detail}`."""
    last, pieces = _unnamed(body, content_type, {"delta"})
    text = "".join(pieces)
    if set(last) == {"error", "detail"}:
        return Said(text=text, pieces=pieces, error=_error(last))
    if set(last) != {"done", "final", "session_id"} or last["done"] is not True:
        raise GrammarError(f"the stream has no end: {last}")
    if last["final"] != text:
        raise GrammarError(f"the deltas add up to {text!r}, the final text is {last['final']!r}")
    return Said(text=text, pieces=pieces, session_id=last["session_id"])


def check_tokens(body: str, content_type: str = "text/event-stream") -> Said:
    """Check `{token}`*, then `{done: true}` or `{error, type}`."""
    last, pieces = _unnamed(body, content_type, {"token"})
    if set(last) == {"error", "type"}:
        return Said(text="".join(pieces), pieces=pieces, error=last)
    if last != {"done": True}:
        raise GrammarError(f"the stream has no end: {last}")
    return Said(text="".join(pieces), pieces=pieces)


def _unnamed(body: str, content_type: str, keys: set[str]) -> tuple[dict[str, Any], list[str]]:
    frames = sse_frames(body, content_type)
    if named := [frame for frame in frames if frame.event]:
        raise GrammarError(f"a frame with a name: {named[0]}")
    if not frames:
        raise GrammarError("the stream has no end")
    pieces: list[str] = []
    (key,) = keys
    for frame in frames[:-1]:
        said = frame.json
        if set(said) != keys or not isinstance(said[key], str) or not said[key]:
            raise GrammarError(f"no {key}: {frame}")
        pieces.append(said[key])
    return frames[-1].json, pieces


def check_indexed(body: str, content_type: str = "text/event-stream", *, after: int = -1) -> Said:
    """Check `{token, index}`*, whose index rises by one from `after`, then an event `done` or `error`."""
    frames = sse_frames(body, content_type)
    if not frames or frames[-1].event not in {"done", "error"}:
        raise GrammarError("the stream has no end")
    pieces: list[str] = []
    for place, frame in enumerate(frames[:-1], start=after + 1):
        said = frame.json
        if frame.event or set(said) != {"token", "index"}:
            raise GrammarError(f"no token: {frame}")
        if said["index"] != place:
            raise GrammarError(f"the index should be {place}: {frame}")
        if not (frame.id or "").endswith(f":{place}"):
            raise GrammarError(f"the id does not end with the index: {frame}")
        pieces.append(said["token"])
    last = frames[-1]
    if last.event == "error":
        return Said(text="".join(pieces), pieces=pieces, error=_error(last.json))
    if last.json != {"index": after + len(frames)}:
        raise GrammarError(f"the last index is wrong: {last}")
    return Said(text="".join(pieces), pieces=pieces)


def check_queries(body: str, content_type: str = "text/event-stream", *, structured: bool = False) -> Asked:
    """Check `message_created`, then messages that start, grow and complete, then `done` or `error`.

    With `structured` each token is the JSON of the whole answer so far.
    """
    frames = sse_frames(body, content_type)
    said = [frame.json for frame in frames]
    for frame, each in zip(frames, said, strict=True):
        if each.get("event") != frame.event:
            raise GrammarError(f"the name in the frame is not the one in its JSON: {frame}")
    if not said or said[0].get("message", {}).get("role") != "user" or set(said[0]) != {"event", "message"}:
        raise GrammarError("the first event is not message_created with the user's message")
    messages: dict[str, list[str]] = {}
    asked = Asked(user_message_id=said[0]["message"]["id"], messages=messages)
    open_: set[str] = set()
    for place, each in enumerate(said[1:], start=2):
        match each["event"], each.get("message_id"):
            case "message_started", str(id_) if id_ not in messages:
                messages[id_] = []
                open_.add(id_)
            case "text_delta", str(id_) if id_ in open_:
                messages[id_].append(_token(each, structured=structured))
            case "message_complete", str(id_) if id_ in open_:
                open_.remove(id_)
            case "done", None if place == len(said) and not open_:
                return asked
            case "error", None if place == len(said):
                return Asked(
                    user_message_id=asked.user_message_id,
                    messages=messages,
                    error=_error({name: value for name, value in each.items() if name != "event"}),
                )
            case _:
                raise GrammarError(f"not here: {each}")
    raise GrammarError("the stream has no end")


def _token(said: Mapping[str, Any], *, structured: bool) -> str:
    token = said.get("token")
    if not isinstance(token, str) or not token:
        raise GrammarError(f"no token: {said}")
    if structured:
        try:
            json.loads(token)
        except ValueError:
            raise GrammarError(f"the token is no JSON: {said}") from None
    return token


def check_socket(messages: Sequence[str]) -> Said:
    """Check one turn on the socket: `{type: token}`*, then `{type: complete}`, to which they add up, or `{type: error}`."""
    *tokens, last = [json.loads(message) for message in messages] or [{}]
    pieces: list[str] = []
    for said in tokens:
        if set(said) != {"type", "content"} or said["type"] != "token" or not said["content"]:
            raise GrammarError(f"no token: {said}")
        pieces.append(said["content"])
    text = "".join(pieces)
    if last.get("type") == "error":
        return Said(text=text, pieces=pieces, error=_error({k: v for k, v in last.items() if k != "type"}))
    if set(last) != {"type", "full_response"} or last["type"] != "complete":
        raise GrammarError(f"the turn has no end: {last}")
    if last["full_response"] != text:
        raise GrammarError(f"the tokens add up to {text!r}, the full response is {last['full_response']!r}")
    return Said(text=text, pieces=pieces)


def _error(body: Mapping[str, Any]) -> Mapping[str, Any]:
    if set(body) != {"error", "detail"} or not isinstance(body["error"], str) or not body["error"]:
        raise GrammarError(f"no error body: {dict(body)}")
    return body
