"""What goes wrong with another server, in stable codes and safe words; what it said itself stays in our own log."""

import httpx

from landline.model.errors import AgentFailed, LandlineError

__all__ = ["broken", "failed", "refused"]

_TEXTS = {
    "unreachable": "The remote agent could not be reached.",
    "timeout": "The remote agent did not answer in time.",
    "auth": "The remote agent did not accept this server's credentials.",
    "not_found": "The remote server has no such agent.",
    "rate_limited": "The remote agent's rate limit is reached.",
    "refused": "The remote agent refused the request.",
    "unavailable": "The remote agent is not available at the moment.",
    "redirected": "The remote agent answered with a redirect, which is not followed.",
    "invalid_response": "The remote agent's answer could not be read.",
    "truncated": "The remote agent's answer broke off before its end.",
    "lost": "The connection to the remote agent was lost, and it cannot be taken up again.",
    "busy": "The remote agent's thread is busy.",
    "cancelled": "The remote agent's run was cancelled there.",
}


def failed(what: str, *, model: bool = False, retry_after_s: int | None = None) -> AgentFailed:
    """Return the failure; `model`: the other side is a model, whose codes begin with `model_`."""
    text = _TEXTS[what].replace("remote agent", "model") if model else _TEXTS[what]
    code = f"{'model' if model else 'remote'}_{what}"
    return AgentFailed(text, code=code, retry_after_s=retry_after_s)


def broken(error: Exception, *, model: bool = False) -> LandlineError:
    """Return what an exception of the client means; a refusal of the egress policy keeps its code."""
    if isinstance(error, AgentFailed):
        return error
    if isinstance(error, LandlineError):
        return AgentFailed(error.detail, code=error.code)
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return failed("timeout", model=model)
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return failed("truncated", model=model)
    return failed("unreachable", model=model)


def refused(status: int, headers: httpx.Headers, *, model: bool = False) -> AgentFailed:
    """Return what a status means that is no success."""
    after = headers.get("retry-after", "")
    seconds = int(after) if after.isascii() and after.isdecimal() and len(after) < 6 else None
    match status:
        case 401 | 403:
            what = "auth"
        case 404:
            what = "not_found"
        case 429:
            what = "rate_limited"
        case _ if 300 <= status < 400:
            what = "redirected"
        case _ if 400 <= status < 500:
            what = "refused"
        case _:
            what = "unavailable"
    return failed(what, model=model, retry_after_s=seconds)
