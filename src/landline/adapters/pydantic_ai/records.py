"""What the journal writes and reads: responses, failures and deferrals as JSON, and the events that come of them."""

from collections.abc import Mapping
from typing import Any, cast

import pydantic_core
from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    ToolCallPart,
    ToolReturnPart,
)

from landline.adapters.pydantic_ai.brought import BroughtFailed
from landline.adapters.pydantic_ai.results import dump_result
from landline.model.errors import AgentFailed
from landline.model.events import Event, ToolCalled, ToolCompleted, UsageReported
from landline.ports.adapter import REFUSALS, Ask, ToolCall, ToolRaised

__all__ = [
    "SETTLED",
    "as_it_was",
    "doubt",
    "dump_deferral",
    "failure_of",
    "load_deferral",
    "load_response",
    "provider_tools",
    "refused",
    "text_of_return",
    "usage_of",
]

_WAITS = "The call stopped to wait for an answer."

SETTLED = {"denied": "denied", "retried": "model_retry", "failed": "tool_failed"}


def refused(key: str, call: ToolCallPart, *, idempotent: bool) -> ToolCall:
    """Return a call as the line takes it, for a tool that is not run."""
    return ToolCall(
        call_id=key, name=call.tool_name, arguments=call.args_as_dict(), idempotent=idempotent, refused=True
    )


def text_of_return(part: ToolReturnPart) -> str:
    """Return what a tool's return tells the model, as one line."""
    content = cast("Any", part.content)
    if isinstance(content, list):
        return "; ".join(_error_line(error) for error in cast("list[Any]", content))
    return str(content)


def _error_line(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    details = cast("Mapping[str, Any]", error)
    return f"{'.'.join(str(at) for at in details.get('loc', ()))}: {details.get('msg', '')}"


def load_response(stored: bytes) -> ModelResponse:
    """Return a recorded response.

    Raises:
        ModelRetry: The request was answered so.
    """
    kept = pydantic_core.from_json(stored)
    if isinstance(kept, dict):
        raise ModelRetry(str(cast("dict[str, Any]", kept)["retry"]))
    (response,) = ModelMessagesTypeAdapter.validate_json(stored)
    assert isinstance(response, ModelResponse)
    return response


def usage_of(response: ModelResponse) -> Event:
    """Return the event of a response's usage."""
    usage = response.usage
    cost = usage.cost
    return UsageReported(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        cost_usd=None if cost is None else float(cost),
        model=response.model_name,
    )


def provider_tools(response: ModelResponse) -> list[Event]:
    """Tools that the provider ran itself within the response, such as its web search."""
    events: list[Event] = []
    returns = {part.tool_call_id: part for part in response.parts if isinstance(part, NativeToolReturnPart)}
    for part in response.parts:
        if isinstance(part, NativeToolCallPart) and (end := returns.get(part.tool_call_id)) is not None:
            events.append(
                ToolCalled(call_id=part.tool_call_id, name=part.tool_name, arguments=part.args_as_dict())
            )
            events.append(ToolCompleted(call_id=part.tool_call_id, result=dump_result(end.content)[0]))
    return events


def failure_of(error: Exception) -> tuple[str, str] | None:
    """Record only words that are meant for the model; any other exception's text stays out of the log."""
    match error:
        case ToolRetryError() | ModelRetry() | ValidationError():
            return "model_retry", str(error)
        case ToolFailedError(__cause__=BroughtFailed() as failed):
            return failed.code, str(failed)
        case ToolFailedError() | ToolFailed():
            return "tool_failed", str(error)
        case ApprovalRequired() | CallDeferred():
            return "deferred", _WAITS
        case AgentFailed():
            return error.code, str(error)
        case _:
            return None


def as_it_was(raised: ToolRaised) -> Exception:
    """Return the exception a recorded failure stands for; what it meant to the model it means again."""
    match raised.code:
        case "model_retry":
            return ModelRetry(raised.message)
        case "tool_failed" | "outcome_unknown":
            return ToolFailed(raised.message)
        case "mcp_unavailable":
            return AgentFailed(raised.message, code=raised.code)
        case code if code.startswith("mcp_") or code in REFUSALS:
            return ToolFailed(raised.message)
        case _:
            return raised


def dump_deferral(deferral: ApprovalRequired | CallDeferred) -> bytes:
    """Return why a call stopped to ask, as JSON."""
    kind = deferral.kind if isinstance(deferral, CallDeferred) else "approval"
    return pydantic_core.to_json({"kind": kind, "metadata": deferral.metadata}, fallback=str)


def load_deferral(stored: bytes) -> ApprovalRequired | CallDeferred:
    """Return what `dump_deferral` kept."""
    kept = pydantic_core.from_json(stored)
    if kept["kind"] == "approval":
        return ApprovalRequired(kept["metadata"])
    return CallDeferred(kept["metadata"], kind=kept["kind"])


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
