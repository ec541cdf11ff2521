"""What went wrong, in Landline's stable codes and in words that may be shown; the exception itself stays the cause."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
from agents import exceptions as errors

from landline.model.errors import AgentFailed

__all__ = ["agent_failed", "answer_failed", "length_reached", "truncated"]


def truncated() -> AgentFailed:
    """Return the failure of an answer that does not prove its end."""
    return AgentFailed("The model's answer broke off before its end.", code="model_truncated")


def length_reached() -> AgentFailed:
    """Return the failure of an answer that was too long."""
    return AgentFailed("The model's answer reached its length limit before its end.", code="model_truncated")


def _refused() -> AgentFailed:
    return AgentFailed("The model provider's content filter stopped the answer.", code="model_refused")


_CONTEXT = ("context_window", "The conversation is too long for the model.")

# First match wins, so a class stands before its base.
_CODES: tuple[tuple[type[BaseException], str, str], ...] = (
    (openai.RateLimitError, "model_rate_limited", "The model provider's rate limit is reached."),
    (openai.AuthenticationError, "model_auth", "The model provider did not accept the server's credentials."),
    (
        openai.PermissionDeniedError,
        "model_auth",
        "The model provider did not accept the server's credentials.",
    ),
    (openai.APITimeoutError, "model_timeout", "The model did not answer in time."),
    (openai.APIConnectionError, "model_unavailable", "The model provider could not be reached."),
    (openai.InternalServerError, "model_unavailable", "The model provider failed."),
    (openai.APIStatusError, "model_refused", "The model provider refused the request."),
    (
        openai.APIResponseValidationError,
        "model_invalid_response",
        "The model provider's answer could not be read.",
    ),
    (openai.APIError, "model_unavailable", "The model provider failed."),
    (
        openai.OpenAIError,
        "agent_error",
        "The agent's model is not set up correctly. The log has the details.",
    ),
    (errors.ModelTimeoutError, "model_timeout", "The model did not answer in time."),
    (errors.MaxTurnsExceeded, "usage_limit", "The run reached its limit of model calls."),
    (errors.ModelRefusalError, "model_refused", "The model refused to answer."),
    (errors.ModelBehaviorError, "model_invalid_response", "The model's answer could not be used."),
    (json.JSONDecodeError, "model_invalid_response", "The model provider's answer could not be read."),
    (httpx2.TimeoutException, "model_timeout", "The model did not answer in time."),
)
_BROKEN = (openai.APIConnectionError, httpx2.TransportError)


def agent_failed(error: BaseException, *, speaking: bool) -> AgentFailed:
    """Return the failure that `error` stands for; `speaking`: part of an answer had already come."""
    if isinstance(error, AgentFailed):
        return error
    if isinstance(error, openai.APIStatusError) and error.code == "context_length_exceeded":
        return AgentFailed(_CONTEXT[1], code=_CONTEXT[0])
    if isinstance(error, openai.APIStatusError) and error.code == "content_filter":
        return _refused()
    timeout = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException)
    if isinstance(error, _BROKEN) and not timeout and (speaking or isinstance(error, httpx2.TransportError)):
        return truncated()
    for kind, code, text in _CODES:
        if isinstance(error, kind):
            return AgentFailed(text, code=code, retry_after_s=_retry_after(error))
    return AgentFailed("The agent failed. The log has the details.", code="agent_error")


def _retry_after(error: BaseException) -> int | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        return int(float(error.response.headers.get("retry-after", ""))) + 1
    except ValueError:
        return None


def answer_failed(event: Any) -> AgentFailed | None:
    """Return what an event that ends a response badly means, or None for any other event."""
    match event.type:
        case "response.incomplete":
            details = getattr(event.response, "incomplete_details", None)
            if getattr(details, "reason", None) == "content_filter":
                return _refused()
            return length_reached()
        case "response.failed":
            return _by_code(getattr(getattr(event.response, "error", None), "code", None))
        case "error" | "response.error":
            return _by_code(getattr(event, "code", None))
        case _:
            return None


def _by_code(code: str | None) -> AgentFailed:
    if code == "rate_limit_exceeded":
        return AgentFailed("The model provider's rate limit is reached.", code="model_rate_limited")
    if code == "context_length_exceeded":
        return AgentFailed(_CONTEXT[1], code=_CONTEXT[0])
    return AgentFailed("The model provider failed.", code="model_unavailable")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it came from."""
    seen: set[int] = set()
    left: BaseException | None = error
    while left is not None and id(left) not in seen:
        seen.add(id(left))
        yield left
        left = left.__cause__
