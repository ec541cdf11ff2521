"""From a run's events to FastAgency's messages: a fold of the log, the same for every reader."""

from typing import Any, Final
from uuid import UUID

import msgspec

from landline.faces.fastagency.decode import APPROVE, DENY
from landline.model.agents import AgentInfo
from landline.model.events import (
    AgentChanged,
    Custom,
    FileAdded,
    MessageCompleted,
    MessageStarted,
    QuestionAsked,
    RunCancelled,
    RunCompleted,
    RunFailed,
    SourceAdded,
    Stamped,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
)
from landline.model.runs import Question

__all__ = ["Speech", "asking", "error"]

_TOLD_AS_IT_IS: Final = frozenset(
    {"system_message", "error", "suggested_function_call", "function_call_execution", "workflow_started"}
)
"""Custom events of workflows that are FastAgency's own messages."""

_ABOUT: Final = ("sender", "recipient", "auto_reply")

Message = dict[str, Any]


class Speech:
    """Tells the log of one run. A message that was cut off or retracted is not told: it is told when it is complete."""

    def __init__(self, workflow_uuid: UUID, agent: AgentInfo) -> None:
        self._uuid, self._agent = workflow_uuid.hex, agent
        self._sender = agent.title
        self._roles: dict[str, str] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, str] = {}

    def begun(self, params: dict[str, Any]) -> Message:
        """Return the first message."""
        about = {"name": self._agent.name, "description": self._agent.description or "", "params": params}
        return self.message("workflow_started", about, uuid=self._uuid)

    def message(
        self, kind: str, content: dict[str, Any], *, uuid: str, about: dict[str, Any] | None = None
    ) -> Message:
        """Return an envelope; `uuid` is the same whenever the log is read again."""
        facts = about or {}
        return {
            "workflow_uuid": self._uuid,
            "sender": facts.get("sender") or self._sender,
            "recipient": facts.get("recipient") or "User",
            "auto_reply": bool(facts.get("auto_reply")),
            "uuid": uuid.replace("-", ""),
            "type": kind,
            "content": content,
        }

    def tell(self, stamped: Stamped) -> list[Message]:  # noqa: C901, PLR0911 - one arm per kind of event
        """Return the messages that an event is; questions are asked by `asking` once the run waits for them."""
        uuid = f"{stamped.run_id}{stamped.seq:x}"
        match stamped.event():
            case MessageStarted(message_id=id_, role=role):
                self._roles[id_] = role
            case Custom(name="text_message", data=data):
                self._facts[str(_fields(data).get("message_id"))] = _fields(data)
            case Custom(name=name, data=data) if name in _TOLD_AS_IT_IS:
                about = _fields(data)
                content = {key: value for key, value in about.items() if key not in _ABOUT}
                return [self.message(name, content, uuid=uuid, about=about)]
            case MessageCompleted(message_id=id_, text=text) if text and self._roles.get(id_) != "user":
                return [self.message("text_message", {"body": text}, uuid=id_, about=self._facts.get(id_))]
            case ToolCalled(call_id=call_id, name=name, arguments=arguments):
                self._calls[call_id] = name
                content = {"function_name": name, "call_id": call_id, "arguments": _object(arguments)}
                return [self.message("suggested_function_call", content, uuid=uuid)]
            case ToolCompleted(call_id=call_id, result=result):
                return [self._ended(call_id, _text(result), uuid)]
            case ToolFailed(call_id=call_id, error=failed):
                return [self._ended(call_id, failed.message, uuid)]
            case AgentChanged(target=target):
                self._sender = target
            case SourceAdded(title=title, url=url):
                return [self.message("system_message", {"message": {"source": title, "url": url}}, uuid=uuid)]
            case FileAdded(file_id=file_id, name=name):
                return [
                    self.message("system_message", {"message": {"file": name, "file_id": file_id}}, uuid=uuid)
                ]
            case RunCompleted(output=output):
                return [self.message("workflow_completed", {"result": _text(output)}, uuid=uuid)]
            case RunFailed(error=failed):
                told = error(self, failed.code, failed.message, uuid=uuid)
                return [told, self.message("workflow_completed", {"result": failed.message}, uuid=uuid)]
            case RunCancelled():
                return [self.message("workflow_completed", {"result": "The run was cancelled."}, uuid=uuid)]
            case _:
                pass
        return []

    def _ended(self, call_id: str, retval: str, uuid: str) -> Message:
        name = self._calls.get(call_id)
        content = {"function_name": name, "call_id": call_id, "retval": retval}
        return self.message("function_call_execution", content, uuid=uuid)


def asking(speech: Speech, question: Question | QuestionAsked) -> Message:
    """Return the message that asks a question; a client reads the answer from its human and sends it as text."""
    about = _fields(question.arguments) if question.kind != "approval" else {}
    uuid = question.question_id
    if question.kind == "approval":
        prompt = question.prompt
        if question.tool:
            prompt = f"{prompt or 'Allow this call?'} {question.tool}({_text(question.arguments)})"
        content = {"prompt": prompt, "choices": [APPROVE, DENY], "default": DENY, "single": True}
        return speech.message("multiple_choice", content, uuid=uuid)
    if question.kind == "choice":
        content = {
            "prompt": question.prompt,
            "choices": list(question.choices or ()),
            "default": about.get("default"),
            "single": about.get("single", True),
        }
        return speech.message("multiple_choice", content, uuid=uuid, about=about)
    content = {
        "prompt": question.prompt,
        "suggestions": about.get("suggestions", []),
        "password": about.get("password", False),
    }
    return speech.message("text_input", content, uuid=uuid, about=about)


def error(speech: Speech, code: str, message: str, *, uuid: str) -> Message:
    """Return an error: `short` is its code, `long` a sentence that is safe to show."""
    return speech.message("error", {"short": code, "long": message}, uuid=uuid)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fields(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}  # pyright: ignore[reportUnknownVariableType] - any JSON


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"input": value}  # pyright: ignore[reportUnknownVariableType] - any JSON
