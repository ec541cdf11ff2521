"""A run's log as an A2A task: pure. The task as it is, and the updates that lead there, come from the same fold.

So a reader who is given the state at one event and the updates after it has everything once, and the same log always
gives the same bytes.

| in the log | on the wire |
|---|---|
| `run.created` | the task, with the user's message as its history |
| `run.started`, `run.resumed` | status `WORKING` |
| `text.delta` … `message.completed` | an artifact per message: the first piece, appended pieces, and an empty last chunk |
| `message.retracted`, a dropped message | its artifacts are replaced by an empty text |
| `output.partial`, an output that is no text | an artifact with a data part; each one replaces the one before |
| `file`, `source` | an artifact with the bytes (a source may be a data URL), or with the address |
| `tool.progress` with a message | status `WORKING` with that message |
| `run.waiting` | status `INPUT_REQUIRED`, the questions as its message |
| the end | `COMPLETED`, `FAILED`, `REJECTED` or `CANCELED` |

What a model thinks, its tools, handoffs and usage are the agent's own affair on this wire and are not told.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec

from landline.faces.a2a import wire
from landline.faces.a2a.parts import asked, data_part, located, parts_of, reference
from landline.model.events import (
    Custom,
    FileAdded,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    QuestionAnswered,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunResumed,
    RunStarted,
    RunWaiting,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolProgress,
)
from landline.model.messages import Part
from landline.model.runs import Question

__all__ = ["DIRECT", "REFUSALS", "Frame", "Said", "TaskView"]

DIRECT: Final = "a2a.message"
"""The name of the custom event by which an agent says: answer with a message, and not with a task."""

Frame = dict[str, Any]
"""A StreamResponse: `task`, `statusUpdate` or `artifactUpdate`."""

REFUSALS: Final = frozenset({"rejected", "model_refused", "guard_blocked", "guard_tripped", "invalid_input"})
"""Failures by which an agent, its model or a guard declines the task."""


class Said(msgspec.Struct, frozen=True):
    """A message that the client sent to a waiting task, and the last event before it."""

    after: int
    message: dict[str, Any]


class TaskView:
    """The task after the events it has taken in."""

    def __init__(
        self, task_id: str, context_id: str, *, first_id: str | None = None, said: Sequence[Said] = ()
    ) -> None:
        self.seq = 0
        self.state: str = wire.SUBMITTED
        self.direct = False
        self._ids = {"taskId": task_id, "contextId": context_id}
        self._first_id = first_id
        self._said = sorted(said, key=lambda entry: entry.after)
        self._at = self._now = ""
        self._asked_at = 0
        self._message: dict[str, Any] | None = None
        self._questions: list[Question] = []
        self._history: list[dict[str, Any]] = []
        self._artifacts: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, list[str]] = {}
        self._owners: dict[str, str] = {}
        self._open: dict[str, None] = {}

    @property
    def context_id(self) -> str:
        """The task's context."""
        return self._ids["contextId"]

    def add(self, said: Said) -> None:
        """Add a message that the client just sent."""
        self._said.append(said)

    @property
    def terminal(self) -> bool:
        """Whether the task does not change any more."""
        return self.state in wire.TERMINAL_STATES

    def take(self, stamped: Stamped, *, raw: str | None = None) -> list[Frame]:
        """Take the next event in and return what to tell a reader who follows.

        `raw` is the file of a `file` event in base64; without it the file is told by name only.
        """
        self.seq, self._now = stamped.seq, stamped.at
        event = stamped.event()
        if isinstance(event, FileAdded):
            return self._file(event, raw)
        handle = self._HANDLERS.get(type(event))
        return handle(self, event) if handle else []

    def task(
        self, *, history: int | None = None, artifacts: bool = True, at: str | None = None
    ) -> dict[str, Any]:
        """Return the task as it is; `history` bounds its messages, the newest are kept; `at` is since when, if not by the log."""
        task: dict[str, Any] = {
            "id": self._ids["taskId"],
            "contextId": self._ids["contextId"],
            "status": self._status(at),
        }
        if artifacts and (shown := [self._artifact(id_) for id_ in self._artifacts]):
            task["artifacts"] = shown
        messages = self._messages()
        kept = messages if history is None else messages[max(0, len(messages) - history) :]
        if kept:
            task["history"] = kept
        return task

    def reply(self) -> dict[str, Any]:
        """Return what the agent said as one message of its own, for an agent that answers without a task."""
        parts = [part for id_ in self._artifacts for part in self._artifact(id_)["parts"]]
        return self._agent_message(parts or [{"text": ""}], task=False)

    # --- messages

    def _agent_message(self, parts: list[dict[str, Any]], *, task: bool = True) -> dict[str, Any]:
        ids = self._ids if task else {"contextId": self._ids["contextId"]}
        return {
            "messageId": f"{self._ids['taskId']}-{self.seq}",
            **ids,
            "role": "ROLE_AGENT",
            "parts": parts,
        }

    def _user_message(self, message_id: str, given: Sequence[Part]) -> dict[str, Any]:
        return {"messageId": message_id, **self._ids, "role": "ROLE_USER", "parts": parts_of(given)}

    def _messages(self) -> list[dict[str, Any]]:
        """Return the history with the client's messages among the questions they came after."""
        told: list[tuple[int, int, dict[str, Any]]] = []
        for number, message in enumerate(self._history):
            told.append((message["after"], number, message["message"]))
        told += [(entry.after, 10_000, entry.message) for entry in self._said if entry.after <= self.seq]
        asks = self.state == wire.INPUT_REQUIRED and self._message is not None
        current = self._message["messageId"] if asks and self._message else None
        answered = asks and any(entry.after >= self._asked_at for entry in self._said)
        return [
            message
            for _, _, message in sorted(told, key=lambda entry: entry[:2])
            # What is asked now is in the status; it joins the history with its first answer.
            if answered or message["messageId"] != current
        ]

    def _keep(self, message: dict[str, Any]) -> None:
        self._history.append({"after": self.seq, "message": message})

    # --- status

    def _status(self, at: str | None = None) -> dict[str, Any]:
        status: dict[str, Any] = {"state": self.state, "timestamp": at or self._at}
        return status if self._message is None else {**status, "message": self._message}

    def _turn(self, state: str, message: dict[str, Any] | None = None) -> list[Frame]:
        self.state, self._message, self._at = state, message, self._now
        return [{"statusUpdate": {**self._ids, "status": self._status()}}]

    def _created(self, event: RunCreated) -> list[Frame]:
        self._at = self._now
        message_id = self._first_id or event.message_id
        if message_id is not None and event.input:
            self._keep(self._user_message(message_id, event.input))
        return [{"task": self.task()}]

    def _received(self, event: InputReceived) -> list[Frame]:
        self._keep(self._user_message(event.message_id, event.input))
        return []

    def _working(self, event: RunStarted | RunResumed) -> list[Frame]:
        self._questions = []
        dropped = event.drop_message_id if isinstance(event, RunResumed) else None
        return [*(self._retract(dropped) if dropped else []), *self._turn(wire.WORKING)]

    def _progress(self, event: ToolProgress) -> list[Frame]:
        if not event.message:
            return []
        return self._turn(wire.WORKING, self._agent_message([{"text": event.message}]))

    def _waiting(self, event: RunWaiting) -> list[Frame]:
        self._questions = list(event.questions)
        self._asked_at = self.seq
        message = self._agent_message(asked(self._questions))
        self._keep(message)
        return self._turn(wire.INPUT_REQUIRED, message)

    def _answered(self, event: QuestionAnswered) -> list[Frame]:
        left = [question for question in self._questions if question.question_id != event.question_id]
        if left and self._message is not None and self.state == wire.INPUT_REQUIRED:
            self._message = {**self._message, "parts": asked(left)}
        self._questions = left
        return []

    def _completed(self, event: RunCompleted) -> list[Frame]:
        frames = self._close()
        name = event.message_id or self._ids["taskId"]
        if event.output is not None and not isinstance(event.output, str):
            frames += self._replace(f"{name}.data", name, data_part(event.output), last=True)
        elif event.output and not any(map(any, self._texts.values())):
            frames += self._replace(name, name, {"text": event.output}, last=True)
        return [*frames, *self._turn(wire.COMPLETED)]

    def _failed(self, event: RunFailed) -> list[Frame]:
        state = wire.REJECTED if event.error.code in REFUSALS else wire.FAILED
        message = self._agent_message([{"text": event.error.message}])
        return [*self._close(), *self._turn(state, {**message, "metadata": {"code": event.error.code}})]

    def _cancelled(self, _: RunCancelled) -> list[Frame]:
        return [*self._close(), *self._turn(wire.CANCELED)]

    # --- artifacts

    def _artifact(self, id_: str) -> dict[str, Any]:
        artifact = self._artifacts[id_]
        return (
            {**artifact, "parts": [{"text": "".join(self._texts[id_])}]} if id_ in self._texts else artifact
        )

    def _update(self, artifact: dict[str, Any], *, append: bool, last: bool) -> list[Frame]:
        return [{"artifactUpdate": {**self._ids, "artifact": artifact, "append": append, "lastChunk": last}}]

    def _replace(
        self, id_: str, owner: str, part: dict[str, Any], *, last: bool, **extra: Any
    ) -> list[Frame]:
        self._texts.pop(id_, None)
        self._artifacts[id_] = {"artifactId": id_, **extra, "parts": [part]}
        self._owners[id_] = owner
        return self._update(self._artifacts[id_], append=False, last=last)

    def _started(self, event: MessageStarted) -> list[Frame]:
        self._open[event.message_id] = None
        return []

    def _delta(self, event: TextDelta) -> list[Frame]:
        if not event.delta:
            return []
        id_ = event.message_id
        pieces = self._texts.setdefault(id_, [])
        if not pieces:
            self._artifacts[id_] = {"artifactId": id_}
            self._owners[id_] = id_
        pieces.append(event.delta)
        piece = {"artifactId": id_, "parts": [{"text": event.delta}]}
        return self._update(piece, append=len(pieces) > 1, last=False)

    def _ended(self, event: MessageCompleted) -> list[Frame]:
        self._open.pop(event.message_id, None)
        return self._last(event.message_id)

    def _last(self, id_: str) -> list[Frame]:
        if id_ not in self._texts:
            return []
        return self._update({"artifactId": id_, "parts": [{"text": ""}]}, append=True, last=True)

    def _close(self) -> list[Frame]:
        """End what is still open, so that every artifact has its last chunk."""
        frames = [frame for id_ in self._open for frame in self._last(id_)]
        self._open.clear()
        return frames

    def _retracted(self, event: MessageRetracted) -> list[Frame]:
        return self._retract(event.message_id)

    def _retract(self, message_id: str) -> list[Frame]:
        self._open.pop(message_id, None)
        gone = [id_ for id_, owner in self._owners.items() if owner == message_id]
        frames: list[Frame] = []
        for id_ in gone:
            del self._artifacts[id_], self._owners[id_]
            self._texts.pop(id_, None)
            empty = {"artifactId": id_, "parts": [{"text": ""}], "metadata": {"retracted": True}}
            frames += self._update(empty, append=False, last=True)
        return frames

    def _partial(self, event: OutputPartial) -> list[Frame]:
        return self._replace(
            f"{event.message_id}.data", event.message_id, data_part(event.output), last=False
        )

    def _file(self, event: FileAdded, raw: str | None) -> list[Frame]:
        part: dict[str, Any] = {"filename": event.name, "mediaType": event.media_type}
        part = {"raw": raw, **part} if raw is not None else {**reference(event.file_id), **part}
        id_ = f"{event.message_id or self._ids['taskId']}.{self.seq}"
        return self._replace(id_, event.message_id, part, last=True, name=event.name)

    def _source(self, event: SourceAdded) -> list[Frame]:
        id_ = f"{event.message_id or self._ids['taskId']}.{self.seq}"
        extra: dict[str, Any] = {"name": event.title}
        if event.quote:
            extra["description"] = event.quote
        if event.url is None:
            return self._replace(
                id_, event.message_id, {"text": event.quote or event.title}, last=True, **extra
            )
        part = {**located(event.url), "filename": event.title}
        return self._replace(id_, event.message_id, part, last=True, **extra)

    def _custom(self, event: Custom) -> list[Frame]:
        self.direct = self.direct or event.name == DIRECT
        return []

    _HANDLERS: ClassVar[dict[type[Any], Callable[["TaskView", Any], list[Frame]]]] = {
        RunCreated: _created,
        InputReceived: _received,
        RunStarted: _working,
        RunResumed: _working,
        RunWaiting: _waiting,
        QuestionAnswered: _answered,
        MessageStarted: _started,
        TextDelta: _delta,
        MessageCompleted: _ended,
        MessageRetracted: _retracted,
        OutputPartial: _partial,
        SourceAdded: _source,
        ToolProgress: _progress,
        Custom: _custom,
        RunCompleted: _completed,
        RunFailed: _failed,
        RunCancelled: _cancelled,
    }
