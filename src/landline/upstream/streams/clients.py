"""Clients of httpx2 and httpx whose streams are merged: one of each for the whole process, so that connections are reused."""

from typing import TYPE_CHECKING, Any

from landline.upstream.streams.fitting import fit

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["http_client", "legacy_http_client"]

_CONNECT_S = 5.0
_READ_S = 600.0
"""What OpenAI's and Anthropic's clients wait for the next byte; they give each request a time of its own besides."""
_MOST_CONNECTIONS = 2000
_KEPT_CONNECTIONS = 500
_KEPT_S = 30.0

_shared: dict[str, Any] = {}


def http_client() -> "httpx2.AsyncClient":
    """Return this process's client of httpx2, for SDKs that take one: `AsyncOpenAI(http_client=…)`.

    What a model streams (OpenAI Chat Completions and Responses, Anthropic Messages, Gemini) passes token by token while
    the program keeps up. When several deltas of the same text, reasoning or tool arguments have arrived before the program
    came to read them, it gets them as one: the texts joined, all else the same, of `sequence_number` and of token counts the last.
    No token waits for another. All other responses and events pass as they are.

    One that was closed is replaced by a new one. Use it in one event loop at a time.

    Raises:
        ImportError: httpx2 is not installed.
    """
    import httpx2

    return _client("httpx2", httpx2)


def legacy_http_client() -> "httpx.AsyncClient":
    """Return this process's client of httpx, for SDKs that are not on httpx2 yet; else as `http_client`."""
    import httpx

    return _client("httpx", httpx)


def _client(name: str, library: Any) -> Any:
    client = _shared.get(name)
    if client is None or client.is_closed:
        limits = library.Limits(
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_S,
        )
        timeout = library.Timeout(_READ_S, connect=_CONNECT_S)
        client = _shared[name] = library.AsyncClient(limits=limits, timeout=timeout, follow_redirects=True)
        fit(client)
    return client
