"""The egress policy (TRU-14): one way out for requests, with the address checked at the moment of connecting.

A name is resolved once per connection, every address it gave is judged, and the connection goes to one of those: a
name that answers differently the next time (DNS rebinding) finds the connection already made. TLS still proves the name.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from ipaddress import ip_address
from types import TracebackType
from typing import Any, cast

import httpcore
import httpx

from landline.ports.egress import EgressRefused, EgressTimedOut, EgressTooLarge, Fetched
from landline.upstream.addresses import Address, Allowed, Place, origin_of, place_of

__all__ = ["EgressPolicy", "Resolver", "resolve"]

CONNECT_S = 10.0
TOTAL_S = 300.0
"""How long an answer that is not a stream may take, slow bodies included."""
MAX_BYTES = 64 * 1024 * 1024
FETCH_BYTES = 25 * 1024 * 1024
FETCH_S = 60.0
REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to addresses, in the order they should be tried."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name.

    Raises:
        OSError: There are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class EgressPolicy:
    """What this server may call.

    Args:
        allow: Places that may be called though they are private: `host` or `host:port`.
        resolver: How names are resolved; the system's way without it.

    Raises:
        ValueError: An entry of `allow` is not of that form.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        resolver: Resolver = resolve,
        total_s: float = TOTAL_S,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._allowed = Allowed.of(allow)
        self._resolver, self._total_s, self._pause = resolver, total_s, pause

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The system's trust, read once: it takes milliseconds."""
        return ssl.create_default_context()

    @property
    def pause(self) -> Callable[[float], Awaitable[None]]:
        """Wait that many seconds before another try."""
        return self._pause

    def client(
        self,
        *,
        trusted: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        silence_s: float = 60.0,
        max_bytes: int | None = None,
    ) -> httpx.AsyncClient:
        """Return a client under the policy; see the port."""
        transport = _Transport(
            self, [origin_of(origin) for origin in trusted], max_bytes or MAX_BYTES, self._total_s
        )
        return httpx.AsyncClient(
            transport=transport,
            headers={"accept-encoding": "identity", **(headers or {})},
            timeout=httpx.Timeout(silence_s, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> Fetched:
        """Return what is at a URL that somebody else gave; see the port."""
        limit = FETCH_BYTES if max_bytes is None else max_bytes
        try:
            async with asyncio.timeout(FETCH_S), self.client(silence_s=15.0, max_bytes=limit) as client:
                return await self._follow(client, _parsed(url), dict(headers or {}))
        except TimeoutError:
            raise EgressTimedOut("The other server took too long.") from None

    async def _follow(self, client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str]) -> Fetched:
        first = (url.scheme, url.raw_host, url.port)
        for _ in range(REDIRECTS + 1):
            answer = await client.get(url, headers=headers)
            if answer.status_code not in _MOVED or "location" not in answer.headers:
                return Fetched(
                    status=answer.status_code,
                    url=str(url),
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=answer.content,
                )
            target = _parsed(answer.headers["location"], url)
            if url.scheme == "https" and target.scheme != "https":
                raise EgressRefused("The address leads from https to plain http.", code="egress_redirects")
            url = target
            if (url.scheme, url.raw_host, url.port) != first:
                headers = {}
                client.cookies.clear()
        raise EgressRefused("The address leads from one redirect to the next.", code="egress_redirects")

    async def connect(self, url: str, *, trusted: Sequence[str] = ()) -> socket.socket:
        """Return a connected socket; see the port."""
        try:
            place = origin_of(url)
        except ValueError as error:
            raise EgressRefused(f"This address may not be called: {error}.") from None
        failed: OSError | None = None
        for address in await self.addresses(place, [origin_of(origin) for origin in trusted]):
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                async with asyncio.timeout(CONNECT_S):
                    await asyncio.get_running_loop().sock_connect(sock, (str(address), place.port))
            except OSError as error:
                sock.close()
                failed = error
            except BaseException:  # a cancel too must not leave the socket open
                sock.close()
                raise
            else:
                return sock
        raise failed or OSError("the name has no address")

    async def addresses(self, place: Place, trusted: Sequence[Place] = ()) -> list[Address]:
        """Resolve a place and return where a connection may go.

        Raises:
            EgressRefused: One of its addresses may not be called; a mixed answer is a trick.
            OSError: The name does not resolve.
        """
        texts = await self._resolver(place.host, place.port)
        found: list[Address] = []
        for text in texts:
            try:
                address = ip_address(text)
            except ValueError:
                raise _refused(place) from None
            if not self._allowed.may_call(place, address, trusted):
                raise _refused(place)
            found.append(address)
        if not found:
            raise OSError("the name has no address")
        return found


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        parsed = httpx.URL(url) if base is None else base.join(url)
        assert isinstance(parsed.host, str)  # a name that is no IDNA is found out when it is read
    except (httpx.InvalidURL, ValueError):
        raise EgressRefused("This is no address that can be called.") from None
    else:
        return parsed


def _refused(place: Place) -> EgressRefused:
    return EgressRefused(f"This server may not call {place.host}.")


class _Network(httpcore.AsyncNetworkBackend):
    """Makes connections, to addresses that were judged."""

    def __init__(self, policy: EgressPolicy, trusted: Sequence[Place]) -> None:
        self._policy, self._trusted = policy, trusted
        self._wire = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the parent's argument
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        place = place_of(host, port)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._policy.addresses(place, self._trusted)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from None
        except OSError as error:
            raise httpcore.ConnectError("the name does not resolve") from error
        failed: Exception | None = None
        for address in addresses:
            try:
                return await self._wire.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the parent's argument
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise EgressRefused("This server calls no socket files.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Transport(httpx.AsyncBaseTransport):
    """Requests of one client; bodies are counted and, unless they are streams, timed as a whole."""

    def __init__(
        self, policy: EgressPolicy, trusted: Sequence[Place], max_bytes: int, total_s: float
    ) -> None:
        self._max_bytes, self._total_s = max_bytes, total_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=policy.tls,
            max_connections=None,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_Network(policy, trusted),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in ("http", "https") or url.userinfo:
            raise EgressRefused("This server calls http and https addresses only, without a user in them.")
        until = None
        if not request.extensions.get("landline.stream"):
            until = asyncio.get_running_loop().time() + self._total_s
        given = cast("Mapping[str, Any]", request.extensions)
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={k: v for k, v in given.items() if k != "landline.stream"},
        )
        with _NamedForHttpx():
            async with _within(until):
                got = await self._pool.handle_async_request(sent)
        body = _Body(cast("AsyncIterator[bytes]", got.stream), self._max_bytes, until)
        response = httpx.Response(
            status_code=got.status,
            headers=got.headers,
            stream=body,
            extensions=dict(cast("Mapping[str, Any]", got.extensions)),  # pyright: ignore[reportUnknownMemberType] - the library leaves the dict open
        )
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", ""):
            # A packed body can grow a thousandfold where nobody counts.
            await body.aclose()
            raise EgressRefused("The other server packed its answer unasked.", code="egress_encoded")
        return response

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def __aenter__(self) -> "_Transport":
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._pool.__aexit__(exc_type, exc_value, traceback)


class _Body(httpx.AsyncByteStream):
    def __init__(self, source: AsyncIterator[bytes], max_bytes: int, until: float | None) -> None:
        self._source, self._max_bytes, self._until = source, max_bytes, until

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        with _NamedForHttpx():
            source = aiter(self._source)
            while True:
                try:
                    async with _within(self._until):
                        piece = await anext(source)
                except StopAsyncIteration:
                    return
                taken += len(piece)
                if taken > self._max_bytes:
                    raise EgressTooLarge(f"The other server's answer has more than {self._max_bytes} bytes.")
                yield piece

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


@asynccontextmanager
async def _within(until: float | None) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError:
        raise EgressTimedOut("The other server took too long over its answer.") from None


class _NamedForHttpx:
    """Turn the transport's exceptions into the client's, as httpx does in a place that is its own."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not kind.__module__.startswith("httpcore"):
            return
        for cls in kind.__mro__:
            twin: Any = getattr(httpx, cls.__name__, None)
            if isinstance(twin, type) and issubclass(twin, httpx.TransportError):
                with suppress(TypeError):
                    raise twin(str(error)) from error
        raise httpx.TransportError(str(error)) from error
