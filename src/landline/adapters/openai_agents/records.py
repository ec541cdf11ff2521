"""What the log is told of calls that failed or did not run, and the questions about them."""

import inspect
from typing import Any

from agents import FunctionTool, ModelBehaviorError, ToolTimeoutError
from agents.tool_context import ToolContext

from landline.adapters.openai_agents.journal import Halted
from landline.model.errors import AgentFailed, Unsupported
from landline.model.runs import Answer
from landline.ports.adapter import Ask, ToolCall, ToolPolicy

__all__ = ["GIVEN_UP", "Refused", "approval", "denial", "doubt", "failure_of", "settled"]

_DENIED = "A human did not allow this call."


class Refused(Exception):
    """A call that did not run, or whose result nobody gets; the text is what the model is told."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


GIVEN_UP = Refused(
    "outcome_unknown", "Whether this call ran is not known, and it was decided not to run it again."
)


def denial(answer: Answer) -> Refused:
    """Return what a human's no means."""
    return Refused("denied", answer.reason or _DENIED)


def failure_of(error: Exception) -> tuple[str, str] | None:
    """Record only words of our own or of guards; any exception's text stays out of the log."""
    match error:
        case Refused():
            return error.code, str(error)
        case Halted():
            return "guard_tripped", "A guard stopped the run."
        case ToolTimeoutError():
            return "tool_timeout", "The tool took longer than it may."
        case ModelBehaviorError():
            return "model_retry", "The model called the tool with arguments it does not take."
        case AgentFailed() | Unsupported():
            return error.code, error.detail
        case _:
            return None


async def settled(tool: FunctionTool, ctx: ToolContext[Any], error: Exception) -> tuple[bool, str | None]:
    """Return (whether the failure is of a kind with rules of its own, what the model is told then; None ends the run)."""
    if isinstance(error, AgentFailed | Unsupported | Halted):
        return True, None
    if not isinstance(error, ToolTimeoutError) or tool.timeout_seconds is None:
        return False, None
    if tool.timeout_behavior == "raise_exception":
        return True, None
    if tool.timeout_error_function is None:
        return True, f"Tool '{tool.name}' timed out after {tool.timeout_seconds:g} seconds."
    text = tool.timeout_error_function(ctx, error)
    return True, await text if inspect.isawaitable(text) else text


def approval(key: str, name: str, arguments: Any, policy: ToolPolicy) -> Ask:
    """Return the question whether a call may run."""
    return Ask(
        key=key,
        kind="approval",
        prompt=f"Allow the tool {name} to run?",
        tool=name,
        call_id=key,
        arguments=arguments,
        approvers=policy.approvers,
        expires_s=policy.expires_s,
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
