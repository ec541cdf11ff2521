"""The way out: how adapters and the engine reach other servers, under one policy (TRU-14).

The policy itself is in `landline.upstream`; a server's composition root hands it to whoever takes it (`TakesEgress`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from landline.model.errors import Forbidden, TooLarge, Unavailable

__all__ = [
    "Egress",
    "EgressRefused",
    "EgressTimedOut",
    "EgressTooLarge",
    "Fetched",
    "TakesEgress",
]


class EgressRefused(Forbidden):
    """The server may not call this address; says nothing of what the name resolved to."""

    code = "egress_refused"


class EgressTooLarge(TooLarge):
    """The other server's answer is larger than was agreed to be read."""

    code = "egress_too_large"


class EgressTimedOut(Unavailable):
    """The other server took longer over its whole answer than was agreed to wait."""

    code = "egress_timed_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A whole answer; `url` is the last one after redirects, header names are lower case."""

    status: int
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class Egress(Protocol):
    """What may be called, and how."""

    def client(
        self,
        *,
        trusted: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        silence_s: float = 60.0,
        max_bytes: int | None = None,
    ) -> Any:
        """Return an `httpx.AsyncClient` under the policy; who asked closes it.

        It follows no redirect, uses no proxy and no netrc of the environment, and asks for bodies as they are.

        Args:
            trusted: Origins (`https://host[:port]`) that the owner of the server named: allowed though private.
            headers: Sent with each request; the client is for one server only.
            silence_s: Longest wait for the next bytes of an answer.
            max_bytes: Longest body of one answer; the policy's own limit without it.

        Raises, from its requests:
            EgressRefused: The address may not be called.
            EgressTooLarge: The body went over the limit.
            EgressTimedOut: A request that is not a stream (`extensions={"landline.stream": True}`) took too long.
        """
        ...

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> Fetched:
        """Return what is at `url`, for a URL that somebody else gave; each redirect is checked like the first.

        `headers` are sent to the first origin only: no credential follows a redirect to another.

        Raises:
            EgressRefused, EgressTooLarge, EgressTimedOut: See there.
            httpx.HTTPError: The server could not be reached or broke off.
        """
        ...

    async def connect(self, url: str, *, trusted: Sequence[str] = ()) -> Any:
        """Return a connected TCP `socket.socket` to the host of a `ws`, `wss`, `http` or `https` URL; no TLS yet.

        Raises:
            EgressRefused: The address may not be called.
            OSError, TimeoutError: It could not be reached.
        """
        ...

    @property
    def pause(self) -> Callable[[float], Awaitable[None]]:
        """Wait that many seconds before another try."""
        ...


class TakesEgress(Protocol):
    """An adapter that calls other servers."""

    def with_egress(self, egress: Egress) -> Any:
        """Return the same adapter, calling through `egress`; the one it was asked of is unchanged."""
        ...
