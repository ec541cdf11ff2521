"""Questions as the line takes them: approvals of calls, inputs, and calls whose outcome nobody knows."""

from typing import Any

import pydantic_core
from ag2.events import HumanInputRequest, ToolCallEvent

from landline.adapters.ag2.results import arguments_of
from landline.model.runs import Answer
from landline.ports.adapter import Ask, ToolCall, ToolPolicy

__all__ = ["approval", "doubt", "question", "said"]

_FRAMEWORKS_OWN = "Agent wants to call the tool:"


def approval(event: ToolCallEvent, policy: ToolPolicy, request: HumanInputRequest | None = None) -> Ask:
    """Return the question whether a call may run; `request` is the framework's, with its words and its patience."""
    said_by_owner = request is not None and not request.content.startswith(_FRAMEWORKS_OWN)
    return Ask(
        key=event.id,
        kind="approval",
        prompt=request.content if request and said_by_owner else f"Allow the tool {event.name} to run?",
        tool=event.name,
        call_id=event.id,
        arguments=arguments_of(event),
        approvers=policy.approvers,
        expires_s=policy.expires_s or (request.timeout if request else None),
    )


def question(request: HumanInputRequest, *, key: str, event: ToolCallEvent | None) -> Ask:
    """Return a question for words; `event` is the call in which it came up."""
    return Ask(
        key=key,
        kind="input",
        prompt=request.content,
        tool=event.name if event else None,
        call_id=event.id if event else None,
        expires_s=request.timeout,
    )


def doubt(tool: ToolCall, *, key: str) -> Ask:
    """Return the question about a call whose outcome nobody knows."""
    return Ask(
        key=key,
        kind="approval",
        prompt=(
            f"The server stopped while the tool {tool.name} was running. It may or may not have done its work. "
            "Run it again?"
        ),
        tool=tool.name,
        call_id=tool.call_id,
        arguments=tool.arguments,
    )


def said(answer: Answer) -> str:
    """Return an input as the text that AG2 gives to whoever asked."""
    value: Any = answer.value
    return value if isinstance(value, str) else pydantic_core.to_json(value).decode()
