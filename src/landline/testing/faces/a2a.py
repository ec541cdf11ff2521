"""The grammar of an A2A stream, checked strictly (FACE-17), and the task that its frames add up to.

A stream is well-formed when it begins with the task, every frame is one StreamResponse of that task in the protocol's own
definition, pieces are appended only to artifacts that are open, every artifact has its last chunk, states follow each
other as the protocol's do, and the last frame, and no other, brings a state that ends the stream. Numbers of the wire's own
there are none.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

from google.protobuf.json_format import ParseDict, ParseError

__all__ = ["A2AError", "Told", "check_a2a_stream", "check_a2a_task", "read_a2a_frames"]

_ENDS = {"COMPLETED", "FAILED", "CANCELED", "REJECTED"}
_STOPS = {*_ENDS, "INPUT_REQUIRED", "AUTH_REQUIRED"}
_FOLLOWS = {
    "SUBMITTED": {"WORKING", *_ENDS},
    "WORKING": {"WORKING", *_STOPS},
    "INPUT_REQUIRED": {"WORKING", *_ENDS},
}


class A2AError(AssertionError):
    """The stream breaks the grammar; the text says at which frame and how."""


def read_a2a_frames(
    body: bytes, content_type: str, *, wire: Literal["jsonrpc", "rest"], id_: Any = None
) -> list[dict[str, Any]]:
    """Return the StreamResponses of a stream. Raises A2AError for a wrong envelope or an error instead of one."""
    if content_type.partition(";")[0] != "text/event-stream":
        raise A2AError(f"the content type is {content_type!r}")
    text = body.decode()
    if text and not text.endswith("\n\n"):
        raise A2AError("the stream ends within a frame")
    found: list[dict[str, Any]] = []
    for number, block in enumerate(filter(None, text.split("\n\n"))):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        if len(lines) != 1 or not lines[0].startswith("data: "):
            raise A2AError(f"frame {number}: not one line of data: {lines}")
        data = json.loads(lines[0].removeprefix("data: "))
        if wire == "jsonrpc":
            if data.get("jsonrpc") != "2.0" or data.get("id") != id_ or "result" not in data:
                raise A2AError(f"frame {number}: not the result of call {id_!r}: {data}")
            data = data["result"]
        found.append(data)
    return found


class Told:
    """What a reader knows after the frames it was told."""

    def __init__(self) -> None:
        self.task: dict[str, Any] | None = None
        self.state = ""
        self.artifacts: dict[str, list[dict[str, Any]]] = {}
        self.open: set[str] = set()
        self.closed: set[str] = set()

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self.task["id"]) if self.task else ""

    @property
    def begun(self) -> str:
        """The text that was there at the first frame."""
        parts = [part for one in (self.task or {}).get("artifacts", ()) for part in one["parts"]]
        return "".join(str(part.get("text", "")) for part in parts)

    @property
    def text(self) -> str:
        """All text, artifact after artifact."""
        return "".join(part.get("text", "") for parts in self.artifacts.values() for part in parts)

    @property
    def data(self) -> list[Any]:
        """The data parts."""
        return [part["data"] for parts in self.artifacts.values() for part in parts if "data" in part]

    def take(self, frame: dict[str, Any]) -> None:
        """Take a frame in. Raises A2AError when it cannot come here."""
        _check_shape(frame)
        if self.state in _ENDS:
            raise A2AError("it comes after the end")
        (kind,) = frame
        if (self.task is None) != (kind == "task"):
            raise A2AError(f"{kind} comes at the wrong place: the task is first, and once")
        if kind == "task":
            self._begin(frame["task"])
            return
        if kind == "message":
            raise A2AError("a message has no place in the stream of a task")
        update = frame[kind]
        assert self.task is not None
        if (update["taskId"], update["contextId"]) != (self.task["id"], self.task["contextId"]):
            raise A2AError("it is of another task")
        if kind == "statusUpdate":
            self._turn(update["status"])
        else:
            self._add(update)

    def _begin(self, task: dict[str, Any]) -> None:
        check_a2a_task(task)
        self.task, self.state = task, task["status"]["state"].removeprefix("TASK_STATE_")
        for artifact in task.get("artifacts", ()):
            self.artifacts[artifact["artifactId"]] = list(artifact["parts"])

    def _turn(self, status: dict[str, Any]) -> None:
        state = status["state"].removeprefix("TASK_STATE_")
        if state not in _FOLLOWS.get(self.state, set()):
            raise A2AError(f"{state} cannot follow {self.state}")
        if state in _ENDS and self.open:
            raise A2AError(f"artifacts have no last chunk: {sorted(self.open)}")
        self.state = state

    def _add(self, update: dict[str, Any]) -> None:
        id_, parts = update["artifact"]["artifactId"], update["artifact"]["parts"]
        if update.get("append"):
            if id_ not in self.artifacts or id_ in self.closed:
                raise A2AError("a piece is appended to an artifact that is not open")
            self.artifacts[id_] = [*self.artifacts[id_], *parts]
        else:
            self.artifacts[id_] = list(parts)
            self.closed.discard(id_)
        if update.get("lastChunk"):
            self.open.discard(id_)
            self.closed.add(id_)
        else:
            self.open.add(id_)


def check_a2a_stream(frames: Sequence[dict[str, Any]], *, whole: bool = True) -> Told:
    """Check a stream from its first frame on and return what it told; `whole` ones have their end.

    Raises:
        A2AError: Naming the first frame that breaks the grammar.
    """
    told = Told()
    for number, frame in enumerate(frames):
        if number and told.state in _STOPS and "statusUpdate" in frames[number - 1]:
            raise A2AError(f"frame {number}: the stream goes on after {told.state}")
        try:
            told.take(frame)
        except A2AError as error:
            raise A2AError(f"frame {number} {json.dumps(frame)[:300]}: {error}") from error
    if whole and told.state not in _STOPS:
        raise A2AError(f"the stream ends at {told.state or 'nothing'}")
    return told


def check_a2a_task(task: dict[str, Any]) -> None:
    """Check one task. Raises A2AError."""
    from a2a.types import Task

    _parsed(task, Task())
    for name in ("id", "contextId", "status"):
        if not task.get(name):
            raise A2AError(f"the task has no {name}")
    ids = [artifact["artifactId"] for artifact in task.get("artifacts", ())]
    if len(set(ids)) != len(ids):
        raise A2AError("two artifacts have one id")
    for artifact in task.get("artifacts", ()):
        _check_parts(artifact["parts"])
    for message in task.get("history", ()):
        if message["role"] not in ("ROLE_USER", "ROLE_AGENT") or not message["messageId"]:
            raise A2AError("a message of the history has no role or id")
        _check_parts(message["parts"])


def _check_shape(frame: dict[str, Any]) -> None:
    from a2a.types import StreamResponse

    if len(frame) != 1:
        raise A2AError(f"it is not one thing: {sorted(frame)}")
    _parsed(frame, StreamResponse())
    (value,) = frame.values()
    if "artifact" in value:
        _check_parts(value["artifact"]["parts"])
    if "status" in value and not value["status"].get("timestamp", "Z").endswith("Z"):
        raise A2AError("a time is not in UTC")


def _check_parts(parts: list[dict[str, Any]]) -> None:
    if not parts:
        raise A2AError("there are no parts")
    for part in parts:
        if len({"text", "raw", "url", "data"} & set(part)) != 1:
            raise A2AError(f"a part is not one of text, raw, url and data: {sorted(part)}")


def _parsed(value: dict[str, Any], message: Any) -> None:
    try:
        ParseDict(value, message)
    except ParseError as error:
        raise A2AError(f"it does not fit the protocol's definition: {error}") from error
