"""The other server, for one turn: requests through the egress policy, with failures in Landline's codes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import httpx
import msgspec

from landline.adapters.remote.agent import RemoteAgent
from landline.adapters.remote.failures import broken, failed, refused
from landline.adapters.remote.sse import Frame, frames
from landline.model.errors import LandlineError
from landline.ports.egress import Egress

__all__ = ["Answer", "Peer", "open_peer"]

MAX_JSON = 8 * 1024 * 1024


class Answer:
    """A whole answer."""

    def __init__(self, status: int, headers: httpx.Headers, body: bytes, *, model: bool) -> None:
        self.status, self.headers, self._body, self._model = status, headers, body, model

    def json(self) -> Any:
        """Return the body as JSON. Raises AgentFailed when it is none."""
        try:
            return msgspec.json.decode(self._body)
        except msgspec.DecodeError:
            raise failed("invalid_response", model=self._model) from None

    def object(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises AgentFailed when it is none."""
        found = self.json()
        if not isinstance(found, dict):
            raise failed("invalid_response", model=self._model)
        return cast("dict[str, Any]", found)

    def problem_code(self) -> str:
        """Return the `code` of a problem body, or ''."""
        try:
            found = msgspec.json.decode(self._body)
        except msgspec.DecodeError:
            return ""
        return str(cast("dict[str, Any]", found).get("code", "")) if isinstance(found, dict) else ""

    def check(self) -> "Answer":
        """Return itself when it is a success. Raises AgentFailed otherwise."""
        if not 200 <= self.status < 300:
            raise refused(self.status, self.headers, model=self._model)
        return self


class Peer:
    """One remote agent's server."""

    def __init__(self, agent: RemoteAgent, egress: Egress, client: httpx.AsyncClient) -> None:
        self.agent, self.egress, self._client = agent, egress, client
        self._model = agent.protocol.startswith("openai")

    @property
    def pause(self) -> Callable[[float], Awaitable[None]]:
        """Wait before another try."""
        return self.egress.pause

    def _url(self, path: str) -> str:
        """Return the address of a path below the agent's; a whole address is taken if it is of the agent's origin."""
        if path.startswith("/"):
            return self.agent.base + path
        if (httpx.URL(path).raw_host, httpx.URL(path).port) != (
            httpx.URL(self.agent.origin).raw_host,
            httpx.URL(self.agent.origin).port,
        ):
            raise failed("invalid_response")
        return path

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status.

        Raises:
            AgentFailed: It could not be reached, or the answer is too large.
        """
        try:
            async with self._client.stream(
                method, self._url(path), **_content(body, content, headers)
            ) as got:
                return Answer(got.status_code, got.headers, await _read(got), model=self._model)
        except (httpx.HTTPError, LandlineError) as error:
            raise broken(error, model=self._model) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator["Stream"]:
        """Open an answer of server-sent events; leaving closes the connection.

        Raises:
            httpx.HTTPError: It could not be reached, or broke off (from the frames too).
            LandlineError: The egress policy refuses.
        """
        async with self._client.stream(
            method,
            self._url(path),
            **_content(body, None, {"accept": "text/event-stream", **(headers or {})}),
            extensions={"landline.stream": True},
        ) as got:
            yield Stream(got, model=self._model)


class Stream:
    """An answer that is being read."""

    def __init__(self, got: httpx.Response, *, model: bool) -> None:
        self._got, self._model = got, model
        self.status, self.headers = got.status_code, got.headers

    @property
    def is_events(self) -> bool:
        """Whether it is a success with frames."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.status == 200 and kind == "text/event-stream"

    async def whole(self) -> Answer:
        """Read all of it, when it is no stream after all."""
        return Answer(self.status, self.headers, await _read(self._got), model=self._model)

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield its frames."""
        pieces = cast("AsyncGenerator[bytes]", self._got.aiter_raw())
        async with aclosing(pieces), aclosing(cast("Any", frames(pieces, model=self._model))) as found:
            async for frame in found:
                yield frame


def _content(body: Any, content: bytes | None, headers: Mapping[str, str] | None) -> dict[str, Any]:
    given = dict(headers or {})
    if content is not None:
        return {"content": content, "headers": {"content-type": "application/octet-stream", **given}}
    if body is None:
        return {"headers": given}
    return {"content": msgspec.json.encode(body), "headers": {"content-type": "application/json", **given}}


async def _read(got: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in got.aiter_raw():
        body += piece
        if len(body) > MAX_JSON:
            raise failed("invalid_response")
    return bytes(body)


@asynccontextmanager
async def open_peer(agent: RemoteAgent, egress: Egress) -> AsyncGenerator[Peer]:
    """Open the way to an agent's server; the origin its owner named is allowed, its redirects are not."""
    client: httpx.AsyncClient = egress.client(
        trusted=[agent.origin],
        headers={"accept": "application/json", **agent.headers},
        silence_s=agent.silence_s,
        max_bytes=2**40,  # streams are bounded frame by frame, and whole answers where they are read
    )
    try:
        yield Peer(agent, egress, client)
    finally:
        # Closing must not wait for a server that does not answer.
        async with asyncio.timeout(1.0):
            await client.aclose()
