"""HTTP under the MCP client: a failure of one request stays that request's own and says whether it was sent.

The client's transport ends as a whole when a request raises, and every other call on it with it. So nothing is raised
here: a request that failed is answered by a JSON-RPC error with a code of ours.
"""

from collections.abc import AsyncIterator

import httpx2

__all__ = ["BODY_BYTES", "LOST", "NOT_SENT", "REFUSED", "TOO_LONG", "Telling"]

NOT_SENT, LOST, REFUSED = -32951, -32952, -32953
"""Codes of our own, outside those that JSON-RPC and MCP reserve."""

BODY_BYTES = 8 * 1024 * 1024
"""The longest answer that is read."""

TOO_LONG = "byte limit"
"""In the words of the client's own limit for an event, and so in ours."""

_NEVER_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class Telling(httpx2.AsyncBaseTransport):
    """A transport that tells by its answers what became of a request."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request; every failure comes back as an answer."""
        try:
            response = await self._inner.handle_async_request(request)
        except _NEVER_LEFT:
            return _error(NOT_SENT, "the server cannot be reached")
        except httpx2.TransportError:
            return _error(LOST, "the connection broke")
        as_json = response.headers.get("content-type", "").lower().startswith("application/json")
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            # The protocol's way to say that it has forgotten the connection, as after a restart.
            return await _instead(response, NOT_SENT, "the server does not know this connection")
        if response.status_code >= 500 and not as_json:
            # A gateway may say this of a request that it has passed on.
            return await _instead(response, LOST, "the server failed")
        if response.status_code in (401, 403):
            return await _instead(response, REFUSED, "the server did not accept the credentials")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream, events=not as_json)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body that breaks as the client expects it to, and has an end."""

    def __init__(self, inner: httpx2.AsyncByteStream, *, events: bool) -> None:
        self._inner, self._events = inner, events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        try:
            async for chunk in self._inner:
                # A stream of events may last for days; the client bounds each event.
                seen += 0 if self._events else len(chunk)
                if seen > BODY_BYTES:
                    raise httpx2.StreamError(f"The answer exceeded the {BODY_BYTES} {TOO_LONG}.")
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError("the connection broke") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _instead(response: httpx2.Response, code: int, message: str) -> httpx2.Response:
    await response.aclose()
    return _error(code, message)


def _error(code: int, message: str) -> httpx2.Response:
    # The client puts the request's id in the place of null.
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(503, json=body)
