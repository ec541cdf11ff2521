"""A run's events as what a tool call says: progress while it goes on, and what is known of it at its end. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from mcp_types import CallToolResult, ContentBlock, TextContent

from landline.model.events import (
    AgentChanged,
    Custom,
    FileAdded,
    MessageRetracted,
    MessageStarted,
    QuestionAsked,
    RunResumed,
    SourceAdded,
    Stamped,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
)
from landline.model.runs import Question, Run

__all__ = ["ANSWER_TOOL", "Heard", "data_result", "meta_of", "run_data", "run_result"]

ANSWER_TOOL: Final = "landline_answer"
_EVERY_CHARS: Final = 500
_MOST_SAID: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class HeardFile:
    """A file of a message that counts."""

    message_id: str
    file_id: str
    name: str
    media_type: str


class Heard:
    """What a reader of a run's log has heard so far; the same log gives the same, whenever it is read."""

    def __init__(self) -> None:
        self.seq = 0
        self._texts: dict[str, list[str]] = {}
        self._files: list[HeardFile] = []
        self._sources: list[SourceAdded] = []
        self._tools: dict[str, str] = {}
        self._told = 0

    @property
    def text(self) -> str:
        """The text of the messages that count, one after the other."""
        return "\n\n".join(text for deltas in self._texts.values() if (text := "".join(deltas)))

    @property
    def files(self) -> list[HeardFile]:
        """The files of the messages that count."""
        return list(self._files)

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The sources of the messages that count."""
        return [{"title": source.title, "url": source.url, "quote": source.quote} for source in self._sources]

    def hear(self, stamped: Stamped) -> str | None:
        """Take one event in, and return what to tell of it as progress, if anything."""
        self.seq = stamped.seq
        match stamped.event():
            case MessageStarted(message_id=id_, role="assistant"):
                self._texts[id_] = []
                return "Writing"
            case TextDelta(message_id=id_, delta=delta):
                self._texts.setdefault(id_, []).append(delta)
                return self._so_far()
            case MessageRetracted(message_id=id_):
                self._forget(id_)
                return "Writing it again"
            case RunResumed(drop_message_id=dropped):
                self._forget(dropped)
                return "Going on"
            case FileAdded(message_id=id_, file_id=file_id, name=name, media_type=media_type):
                self._files.append(
                    HeardFile(message_id=id_, file_id=file_id, name=name, media_type=media_type)
                )
                return f"File: {_short(name)}"
            case SourceAdded() as source:
                self._sources.append(source)
                return f"Source: {_short(source.title)}"
            case event:
                return self._step(event)

    def _step(self, event: object) -> str | None:
        match event:
            case ToolCalled(call_id=call_id, name=name):
                self._tools[call_id] = name
                return f"Calling {_short(name)}"
            case ToolProgress() | ToolCompleted() | ToolFailed():
                return self._tool(event)
            case Custom(name="progress", data=data) if isinstance(data, dict):
                return _custom_progress(cast("dict[str, Any]", data))
            case AgentChanged(target=target):
                return f"{_short(target)} goes on"
            case QuestionAsked(prompt=prompt):
                return f"Asking: {_short(prompt)}"
            case _:
                return None

    def _tool(self, event: ToolProgress | ToolCompleted | ToolFailed) -> str:
        name = _short(self._tools.get(event.call_id, "The tool"))
        if isinstance(event, ToolProgress):
            return _progress(event.message or name, event.fraction)
        return (
            f"{name} failed: {_short(event.error.message)}"
            if isinstance(event, ToolFailed)
            else f"{name} is done"
        )

    def _so_far(self) -> str | None:
        chars = sum(len(delta) for deltas in self._texts.values() for delta in deltas)
        if chars - self._told < _EVERY_CHARS:
            return None
        self._told = chars
        return f"Writing: {chars} characters so far"

    def _forget(self, message_id: str | None) -> None:
        if message_id is None:
            return
        self._texts.pop(message_id, None)
        self._files = [file for file in self._files if file.message_id != message_id]
        self._sources = [source for source in self._sources if source.message_id != message_id]
        self._told = 0


def run_data(run: Run, heard: Heard | None = None) -> dict[str, Any]:
    """Return what a result says of a run as data; it fits the output schema of every agent's tool."""
    data: dict[str, Any] = {"status": run.status, "run_id": run.id, "thread_id": run.thread_id}
    if run.output is not None:
        data["output"] = run.output
    if run.error is not None:
        data["error"] = {"code": run.error.code, "message": run.error.message}
    if run.status == "waiting":
        data["questions"] = [question_data(question) for question in open_of(run)]
    if heard is not None and heard.sources:
        data["sources"] = heard.sources
    return data


def open_of(run: Run) -> list[Question]:
    """Return the questions that nobody has answered yet."""
    return [question for question in run.questions if question.outcome is None]


def question_data(question: Question) -> dict[str, Any]:
    """Return a question as a client needs it to answer."""
    shown = {
        "question_id": question.question_id,
        "kind": question.kind,
        "prompt": question.prompt,
        "tool": question.tool,
        "arguments": question.arguments,
        "choices": None if question.choices is None else list(question.choices),
        "expires_at": question.expires_at,
    }
    return {name: value for name, value in shown.items() if value is not None}


def run_result(
    run: Run, heard: Heard, files: Sequence[ContentBlock] = (), *, may_answer: bool = True
) -> CallToolResult:
    """Return a run that has ended, or waits for what this client could not answer, as the result of a call."""
    said = _said(run, heard, may_answer=may_answer)
    content: list[ContentBlock] = [TextContent(type="text", text=said)] if said or not files else []
    return CallToolResult(
        content=[*content, *files],
        structured_content=run_data(run, heard),
        is_error=run.status in {"failed", "cancelled"},
        _meta=meta_of(run),
    )


def meta_of(run: Run) -> dict[str, Any]:
    """Return where a result came from."""
    return {"landline/run_id": run.id, "landline/thread_id": run.thread_id}


def data_result(data: Mapping[str, Any], *, said: str | None = None) -> CallToolResult:
    """Return data as the result of a call, also as JSON text for clients that read text only."""
    return CallToolResult(
        content=[TextContent(type="text", text=said if said is not None else _json(data))],
        structured_content=dict(data),
    )


def _said(run: Run, heard: Heard, *, may_answer: bool) -> str:
    match run.status:
        case "completed":
            if isinstance(run.output, str):
                return run.output
            return heard.text if run.output is None else _json(run.output)
        case "failed":
            error = run.error
            why = f"{error.message} ({error.code})" if error else "it gave no reason"
            return _after(heard.text, f"The agent failed: {why}")
        case "cancelled":
            return _after(heard.text, "The run was cancelled.")
        case "waiting":
            return _after(heard.text, _waiting(run, may_answer=may_answer))
        case _:
            return f"Run {run.id} is {run.status}."


def _waiting(run: Run, *, may_answer: bool) -> str:
    lines = [f"The agent needs an answer before it can go on; run {run.id} waits for it and is not done."]
    for question in open_of(run):
        lines.append(f"- {question.kind} {question.question_id}: {question.prompt or '(no words)'}")
        if question.tool:
            lines.append(f"  It would call {question.tool} with {_json(question.arguments)}.")
        if question.choices:
            lines.append(f"  One of: {', '.join(question.choices)}.")
    lines.append(
        f"Ask the user, then pass on what they say with {ANSWER_TOOL}. Do not answer for them."
        if may_answer
        else "This credential may not answer; somebody who may has to, at this server."
    )
    return "\n".join(lines)


def _after(text: str, last: str) -> str:
    return f"{text}\n\n{last}" if text else last


def _custom_progress(data: Mapping[str, Any]) -> str | None:
    message, fraction = data.get("message"), data.get("fraction")
    return _progress(
        message if isinstance(message, str) else "Going on",
        float(fraction) if isinstance(fraction, int | float) else None,
    )


def _progress(message: str, fraction: float | None) -> str:
    return _short(message) if fraction is None else f"{_short(message)} ({fraction:.0%})"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
