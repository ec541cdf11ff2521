"""FastAgency's messages: what a workflow says, as events and questions of ours. Pure functions."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from landline.adapters.remote.failures import failed
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Custom,
    Event,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
)
from landline.model.ids import new_id
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished

__all__ = ["Message", "Told", "decode", "question_of", "reply_to", "tell"]

_FAILED = "Unhandled exception occurred when executing the workflow"
"""How a workflow that raised reports its result: it completes all the same."""

_NOT_RUN = ErrorInfo(code="not_run", message="The remote workflow did not run this call.")


class Message(msgspec.Struct):
    """One message: its fields beside the common ones are in `content`."""

    type: str = "text_message"
    content: dict[str, Any] = {}

    @property
    def asks(self) -> bool:
        """Whether the workflow waits for an answer."""
        return self.type in ("text_input", "multiple_choice")


class Told(msgspec.Struct):
    """What a message is here."""

    events: Sequence[Event] = ()
    finished: Finished | None = None


def decode(text: str | bytes) -> Message:
    """Return a message.

    Raises:
        AgentFailed: It is none.
    """
    try:
        return msgspec.json.decode(text, type=Message)
    except msgspec.MsgspecError:
        raise failed("invalid_response") from None


def question_of(said: Message, *, key: str) -> Ask:
    """Return an asking message as a question."""
    prompt = _text(said.content.get("prompt")) or "The remote workflow needs an answer."
    if said.type == "multiple_choice":
        return Ask(key=key, kind="choice", prompt=prompt, choices=_texts(said.content.get("choices")))
    return Ask(key=key, kind="input", prompt=prompt)


def reply_to(said: Message, answer: Answer) -> str:
    """Return an answer as the workflow reads it: one text; nobody's answer is the default, or nothing."""
    if answer.approve is False or answer.value is None:
        return _text(said.content.get("default"))
    return ", ".join(_texts(answer.value)) or str(answer.value)


def tell(said: Message, prefix: str, calls: list[str]) -> Told:
    """Return what a message is here; `calls` are the tool calls that run, by id.

    Raises:
        AgentFailed: The workflow raised.
    """
    content = said.content
    told = Told()
    match said.type:
        case "text_message":
            told = Told(_message(_body(content.get("body"))))
        case "suggested_function_call":
            told = Told(_called(content, prefix, calls))
        case "function_call_execution":
            call_id = prefix + _text(content.get("call_id"))
            if call_id in calls:
                calls.remove(call_id)
                told = Told([ToolCompleted(call_id=call_id, result=content.get("retval"))])
            else:
                told = Told([Custom(name="remote.function", data=content)])
        case "workflow_completed":
            result = content.get("result")
            if isinstance(result, str) and result.startswith(_FAILED):
                raise failed("unavailable")
            left = [ToolFailed(call_id=call_id, error=_NOT_RUN) for call_id in calls]
            finished = Finished(output=result if result is not None else "")
            told = Told([*left, *_message(_text(result))], finished)
        case "error":
            told = Told([Custom(name="remote.error", data={"message": _text(content.get("short"))})])
        case "system_message":
            told = Told([Custom(name="remote.system", data=content.get("message"))])
        case _:
            pass
    return told


def _called(content: dict[str, Any], prefix: str, calls: list[str]) -> list[Event]:
    call_id = prefix + (_text(content.get("call_id")) or new_id())
    if call_id in calls:
        return []
    calls.append(call_id)
    name = _text(content.get("function_name")) or "function"
    return [ToolCalled(call_id=call_id, name=name, arguments=content.get("arguments") or {})]


def _message(text: str) -> list[Event]:
    if not text:
        return []
    id_ = new_id()
    return [
        MessageStarted(message_id=id_, role="assistant"),
        TextDelta(message_id=id_, delta=text),
        MessageCompleted(message_id=id_, text=text),
    ]


def _body(body: Any) -> str:
    """Return a body, which may be a list of parts, as text."""
    if isinstance(body, list):
        parts = cast("list[Any]", body)
        return "".join(_text(cast("dict[str, Any]", p).get("text")) for p in parts if isinstance(p, dict))
    return _text(body)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [str(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []
