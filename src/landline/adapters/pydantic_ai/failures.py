"""What went wrong, in Landline's stable codes and in words that may be shown; the exception itself stays the cause."""

from typing import cast

from pydantic_ai import exceptions as errors
from pydantic_ai.messages import ModelResponse

from landline.adapters.pydantic_ai.mcp_failures import broken_by, unavailable
from landline.model.errors import AgentFailed

__all__ = ["agent_failed", "check_whole"]

_TRUNCATED = "The model's answer broke off before its end."

# First match wins, so a class stands before its base.
_CODES: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        errors.OutputTokenLimitExceeded,
        "model_truncated",
        "The model's answer reached its length limit before its end.",
    ),
    (errors.ContentFilterError, "model_refused", "The model provider's content filter stopped the answer."),
    (errors.UsageLimitExceeded, "usage_limit", "The run reached its usage limit."),
    (errors.ModelRateLimitError, "model_rate_limited", "The model provider's rate limit is reached."),
    (errors.ModelQuotaExceededError, "model_rate_limited", "The model provider's quota is used up."),
    (errors.ModelContextWindowExceededError, "context_window", "The conversation is too long for the model."),
    (
        errors.ModelAuthenticationError,
        "model_auth",
        "The model provider did not accept the server's credentials.",
    ),
    (errors.ModelTimeoutError, "model_timeout", "The model did not answer in time."),
    (errors.ModelRequestTimeout, "model_timeout", "The model did not answer in time."),
    (errors.ModelRequestRejectedError, "model_refused", "The model provider refused the request."),
    (errors.ModelUnavailableError, "model_unavailable", "The model is not available at the moment."),
    (errors.ModelServerError, "model_unavailable", "The model provider failed."),
    (errors.ModelConnectionError, "model_unavailable", "The model provider could not be reached."),
    (errors.ModelAPIError, "model_invalid_response", "The model provider's answer could not be read."),
    (errors.UnexpectedModelBehavior, "model_invalid_response", "The model's answer could not be used."),
    (errors.UserError, "agent_error", "The agent is not set up correctly. The log has the details."),
)


def agent_failed(error: Exception, *, speaking: bool) -> AgentFailed:
    """Return the failure that `error` stands for; `speaking`: part of an answer had already come."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        # A fallback model failed with all of its models: the last one tried speaks for them.
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[-1]
    if broken_by(cause) is not None:
        return unavailable()
    if (
        speaking
        and isinstance(cause, errors.ModelConnectionError)
        and not isinstance(cause, errors.ModelTimeoutError)
    ):
        return AgentFailed(_TRUNCATED, code="model_truncated")
    for kind, code, text in _CODES:
        if isinstance(cause, kind):
            retry_after = getattr(cause, "retry_after", None)
            return AgentFailed(
                text, code=code, retry_after_s=None if retry_after is None else int(retry_after) + 1
            )
    return AgentFailed("The agent failed. The log has the details.", code="agent_error")


def check_whole(response: ModelResponse) -> None:
    """Refuse a response that does not prove its end (RES-5).

    The framework completes a stream that ends without a finish reason; only the provider's raw reason, which every
    provider of it keeps in `provider_details`, tells. Test models have no provider's address and are believed.

    Raises:
        AgentFailed: The response is truncated.
    """
    raw = (response.provider_details or {}).get("finish_reason")
    silent = response.provider_url is not None and raw is None and response.finish_reason != "content_filter"
    if silent or response.state in ("incomplete", "interrupted"):
        raise AgentFailed(_TRUNCATED, code="model_truncated")
