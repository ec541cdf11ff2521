"""The capability that asks humans: approvals and questions of all parallel calls go to the line in one batch (ADP-3)."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import CapabilityOrdering
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, RunContext, ToolApproved, ToolDenied

from landline.adapters.pydantic_ai.journal import Journal
from landline.model.errors import Unsupported
from landline.model.runs import Answer
from landline.ports.adapter import Ask, ToolPolicy, Turn

__all__ = ["Approvals"]

_DENIED = "A human did not allow this call."
_NO_ANSWER = "Nobody answered."


class Approvals(AbstractCapability[Any]):
    """Resolves what the agent's own handlers leave open, by asking through the line."""

    def __init__(self, turn: Turn, journal: Journal) -> None:
        self._line, self._policies, self._journal = turn.line, turn.spec.tools, journal

    def get_ordering(self) -> CapabilityOrdering:
        """Ask last: a handler of the agent's own that can decide goes first."""
        return CapabilityOrdering(position="innermost")

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Return the humans' decisions.

        Raises:
            Suspended: Not all are given (raised by the line).
            Unsupported: A call waits for a result from outside the agent.
        """
        for call in requests.calls:
            if requests.kind(call.tool_call_id) == "external":
                raise Unsupported(
                    f"The tool {call.tool_name} is run by the client, which Landline cannot do.",
                    code="external_tool",
                )
        doubtful = self._journal.take_doubtful()
        asks = [self._approval(call, requests) for call in requests.approvals]
        asks += [_question(call, requests) for call in requests.calls]
        answers = (await self._line.ask(*doubtful, *asks))[len(doubtful) :]
        approvals, questions = answers[: len(requests.approvals)], answers[len(requests.approvals) :]
        results = DeferredToolResults()
        for call, answer in zip(requests.approvals, approvals, strict=True):
            results.approvals[call.tool_call_id] = _decision(answer)
        for call, answer in zip(requests.calls, questions, strict=True):
            if answer.approve is False:
                results.calls[call.tool_call_id] = ToolFailed(answer.reason or _NO_ANSWER)
            else:
                results.calls[call.tool_call_id] = answer.value
                self._journal.answers[call.tool_call_id] = answer.value
        return results

    def _approval(self, call: ToolCallPart, requests: DeferredToolRequests) -> Ask:
        policy = self._policies.get(call.tool_name, ToolPolicy())
        said = _first_text(requests.metadata.get(call.tool_call_id), "prompt", "reason", "message")
        return Ask(
            key=call.tool_call_id,
            kind="approval",
            prompt=said or f"Allow the tool {call.tool_name} to run?",
            tool=call.tool_name,
            call_id=call.tool_call_id,
            arguments=call.args_as_dict(),
            approvers=policy.approvers,
            expires_s=policy.expires_s,
        )


def _decision(answer: Answer) -> ToolApproved | ToolDenied:
    if answer.approve:
        return ToolApproved(override_args=answer.arguments)
    return ToolDenied(answer.reason or _DENIED)


def _question(call: ToolCallPart, requests: DeferredToolRequests) -> Ask:
    arguments = call.args_as_dict()
    metadata = requests.metadata.get(call.tool_call_id)
    choices = _texts((metadata or {}).get("choices")) or _texts(arguments.get("choices"))
    prompt = _first_text(metadata, "question", "prompt", "message") or _first_text(
        arguments, "question", "prompt", "message"
    )
    return Ask(
        key=call.tool_call_id,
        kind="choice" if choices else "input",
        prompt=prompt or f"The tool {call.tool_name} needs an answer.",
        tool=call.tool_name,
        call_id=call.tool_call_id,
        arguments=arguments,
        choices=choices,
    )


def _first_text(values: Mapping[str, Any] | None, *names: str) -> str | None:
    found = (value for name in names if isinstance(value := (values or {}).get(name), str) and value)
    return next(found, None)


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in cast("list[Any]", value)):
        return cast("list[str]", value)
    return None
