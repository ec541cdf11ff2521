"""What went wrong, in Landline's stable codes and in words that may be shown; the exception itself stays the cause.

The clients of model providers are no part of the framework, so their errors are known by name and status only.
"""

from collections.abc import Iterator
from typing import Any, cast

from langchain_core.messages import AIMessage
from langgraph.errors import GraphRecursionError

from landline.model.errors import AgentFailed, LandlineError

__all__ = ["agent_failed", "check_whole"]

_TRUNCATED = "The model's answer broke off before its end."
_INVALID = "The model provider's answer could not be read."

_BY_STATUS = {
    400: ("model_refused", "The model provider refused the request."),
    401: ("model_auth", "The model provider did not accept the server's credentials."),
    403: ("model_auth", "The model provider did not accept the server's credentials."),
    404: ("model_refused", "The model provider refused the request."),
    408: ("model_timeout", "The model did not answer in time."),
    413: ("context_window", "The conversation is too long for the model."),
    422: ("model_refused", "The model provider refused the request."),
    429: ("model_rate_limited", "The model provider's rate limit is reached."),
}
_ENDS = ("finish_reason", "stop_reason", "done_reason", "status", "stopReason")
_SERVER = 500


def agent_failed(error: BaseException, model_errors: list[BaseException], *, speaking: bool) -> LandlineError:
    """Return the failure that `error` stands for; `model_errors`: what requests to models raised."""
    if isinstance(error, LandlineError):
        return error
    if isinstance(error, GraphRecursionError):
        return AgentFailed("The agent took more steps than it may.", code="usage_limit")
    if not any(cause in model_errors for cause in _causes(error)):
        return AgentFailed("The agent failed. The log has the details.", code="agent_error")
    return _model_failed(error, speaking=speaking)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _model_failed(error: BaseException, *, speaking: bool) -> AgentFailed:
    names = {cls.__name__ for cause in _causes(error) for cls in type(cause).__mro__}
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        if getattr(error, "code", None) == "context_length_exceeded" or "ContextOverflowError" in names:
            status = 413
        code, text = _BY_STATUS.get(status, ("model_unavailable", "The model provider failed."))
        if status >= _SERVER:
            code, text = "model_unavailable", "The model is not available at the moment."
        return AgentFailed(text, code=code, retry_after_s=_retry_after(error))
    if names & {"TimeoutException", "APITimeoutError", "StreamChunkTimeoutError"}:
        return AgentFailed("The model did not answer in time.", code="model_timeout")
    if names & {"TransportError", "APIConnectionError"}:
        if speaking:
            return AgentFailed(_TRUNCATED, code="model_truncated")
        return AgentFailed("The model provider could not be reached.", code="model_unavailable")
    if "APIError" in names:
        return AgentFailed("The model provider failed.", code="model_unavailable")
    return AgentFailed(_INVALID, code="model_invalid_response")


def _retry_after(error: BaseException) -> int | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    told = headers.get("retry-after") if headers is not None else None
    try:
        return None if told is None else int(float(told)) + 1
    except ValueError:
        return None


def check_whole(message: AIMessage) -> None:
    """Refuse a response that does not prove its end (RES-5).

    The framework completes a stream that ends without a finish reason. Every provider's client names its provider in a
    message's metadata and the reason beside it; test models name none and are believed.

    Raises:
        AgentFailed: The response is truncated.
    """
    metadata = cast("dict[str, Any]", message.response_metadata)
    silent = "model_provider" in metadata and not any(metadata.get(name) for name in _ENDS)
    if silent or metadata.get("status") in ("incomplete", "in_progress", "failed"):
        raise AgentFailed(_TRUNCATED, code="model_truncated")
