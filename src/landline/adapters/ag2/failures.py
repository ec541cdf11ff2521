"""What went wrong, in Landline's stable codes and in words that may be shown; the exception itself stays the cause."""

from typing import Any

from ag2.events import ModelResponse
from ag2.exceptions import (
    AG2Error,
    ConfigNotProvidedError,
    HumanInputError,
    UnsupportedInputError,
)
from pydantic import ValidationError

from landline.model.errors import AgentFailed
from landline.ports.adapter import ToolRaised

__all__ = ["agent_failed", "check_whole", "failure_of"]

_TRUNCATED = ("model_truncated", "The model's answer broke off before its end.")
_INVALID = ("model_invalid_response", "The model's answer could not be used.")

_BY_CLASS: tuple[tuple[type[BaseException], str, str], ...] = (
    (HumanInputError, "no_answer", "A question of the agent was not answered."),
    (UnsupportedInputError, "unsupported_input", "The model cannot take an input of this kind."),
    (ConfigNotProvidedError, "agent_error", "The agent is not set up correctly. The log has the details."),
    (AG2Error, "agent_error", "The agent failed. The log has the details."),
)

# The providers' clients share these names and no class; AG2 lets their exceptions through as they are.
_BY_NAME = {
    "APITimeoutError": ("model_timeout", "The model did not answer in time."),
    "TimeoutException": ("model_timeout", "The model did not answer in time."),
    "RateLimitError": ("model_rate_limited", "The model provider's rate limit is reached."),
    "AuthenticationError": ("model_auth", "The model provider did not accept the server's credentials."),
    "PermissionDeniedError": ("model_auth", "The model provider did not accept the server's credentials."),
    "InternalServerError": ("model_unavailable", "The model provider failed."),
    "BadRequestError": ("model_refused", "The model provider refused the request."),
    "APIStatusError": ("model_refused", "The model provider refused the request."),
    "APIConnectionError": ("model_unavailable", "The model provider could not be reached."),
    "TransportError": ("model_unavailable", "The model provider could not be reached."),
    "APIResponseValidationError": _INVALID,
    "APIError": ("model_unavailable", "The model provider failed."),
    "JSONDecodeError": _INVALID,
}
_CUT = {"APIConnectionError", "TransportError"}
_CONTEXT = "context_length_exceeded"


def agent_failed(error: Exception, *, speaking: bool) -> AgentFailed:
    """Return the failure that `error` stands for; `speaking`: part of an answer had already come."""
    for kind, code, text in _BY_CLASS:
        if isinstance(error, kind):
            return AgentFailed(text, code=code)
    names = [cls.__name__ for cls in type(error).__mro__ if _is_library(cls)]
    name = next((name for name in names if name in _BY_NAME), None)
    if name is None:
        return AgentFailed("The agent failed. The log has the details.", code="agent_error")
    code, text = _BY_NAME[name]
    if getattr(error, "code", None) == _CONTEXT:
        code, text = "context_window", "The conversation is too long for the model."
    elif speaking and name in _CUT and "APITimeoutError" not in names:
        code, text = _TRUNCATED
    return AgentFailed(text, code=code, retry_after_s=_retry_after(error))


def _is_library(cls: type[Any]) -> bool:
    library = cls.__module__.partition(".")[0]
    return library in {"openai", "anthropic", "httpx", "httpx2", "json", "mistralai", "groq"}


def _retry_after(error: Exception) -> int | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    said = None if headers is None else headers.get("retry-after")
    try:
        return None if said is None else int(float(said)) + 1
    except ValueError:
        return None


def check_whole(response: ModelResponse) -> None:
    """Refuse a response that does not prove its end (RES-5).

    AG2's clients complete a stream that ends without a finish reason. Its test clients name no provider and are believed.

    Raises:
        AgentFailed: The response is truncated, or was stopped by the provider.
    """
    if response.provider is None:
        return
    if response.finish_reason is None or response.finish_reason in ("incomplete", "in_progress"):
        raise AgentFailed(_TRUNCATED[1], code=_TRUNCATED[0])
    if response.finish_reason == "failed":
        raise AgentFailed("The model provider failed.", code="model_unavailable")
    if response.finish_reason == "content_filter" and not response.content:
        raise AgentFailed("The model provider's content filter stopped the answer.", code="model_refused")


def failure_of(error: Exception) -> tuple[str, str] | None:
    """Record only words that are meant for the model; any other exception's text stays out of the log."""
    if isinstance(error, ValidationError):
        return "model_retry", str(error)
    if isinstance(error, ToolRaised):
        return error.code, error.message
    return None
