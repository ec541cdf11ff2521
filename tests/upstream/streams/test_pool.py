"""Our pool under real clients: what fails, what is sent, and what it leaves to the core."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from landline.upstream.streams import fit
from tests.upstream.streams.pooled import ANSWER, BOUND_S, LIBRARIES, answers, places, pooled
from tests.upstream.streams.provider import provider


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Any:
    return LIBRARIES[request.param]


async def test_nobody_there_is_a_connect_error(library: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with pooled(library) as client:
            with pytest.raises(library.ConnectError, match="All connection attempts failed"):
                await client.get(f"http://127.0.0.1:{taken.getsockname()[1]}/")
            with pytest.raises(library.ConnectError):
                await client.get("http://nobody.invalid/")
            assert places(client)._taken == 0


async def test_a_certificate_that_nobody_vouches_for_is_a_connect_error(library: Any) -> None:
    async with (
        provider(answers, tls=True) as upstream,
        library.AsyncClient(trust_env=False) as client,
        asyncio.timeout(BOUND_S),
    ):
        fit(client)
        with pytest.raises(library.ConnectError, match="certificate verify failed"):
            await client.get(upstream.url)
        assert places(client)._taken == 0


async def test_a_handshake_that_never_ends_is_a_connect_timeout(library: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with pooled(library, timeout=library.Timeout(10, connect=0.2)) as client:
            with pytest.raises(library.ConnectTimeout):
                await client.get(f"https://127.0.0.1:{silent.getsockname()[1]}/")
            assert places(client)._taken == 0


async def test_a_server_that_does_not_listen_is_a_write_timeout(library: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with pooled(library, timeout=library.Timeout(10, write=0.2)) as client:
            with pytest.raises(library.WriteTimeout):
                await client.post(f"http://127.0.0.1:{silent.getsockname()[1]}/", content=b"x" * 30_000_000)
            assert places(client)._taken == 0


async def test_a_server_that_does_not_answer_is_a_read_timeout(library: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with pooled(library, timeout=library.Timeout(10, read=0.2)) as client:
            with pytest.raises(library.ReadTimeout):
                await client.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")
            assert places(client)._taken == 0


@pytest.mark.parametrize("ends", [True, False], ids=["and hangs up", "and stays"])
async def test_an_answer_before_the_body_was_taken_is_the_answer(library: Any, ends: bool) -> None:
    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        if not ends:
            await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(impatient, "127.0.0.1", 0)
    async with pooled(library, timeout=library.Timeout(10, write=1)) as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            response = await client.post(url, content=b"x" * 30_000_000)
            assert (response.status_code, response.text) == (413, "no")
        except library.ReadError:
            # What was not read turns the end into a reset, which may overtake the answer.
            assert ends
        assert places(client)._taken == 0
    over.set()
    server.close()


async def test_a_body_in_pieces_goes_out_in_chunks(library: Any) -> None:
    seen: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(ANSWER)
        writer.close()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b""
        yield b"two"

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with pooled(library) as client:
        await client.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", content=pieces())
    server.close()
    assert seen[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


@pytest.mark.parametrize(("length", "error"), [("2", "Too much data"), ("9", "Too little data")])
async def test_a_body_of_another_length_is_not_sent_as_if_it_were(
    library: Any, length: str, error: str
) -> None:
    async with provider(answers) as upstream, pooled(library) as client:
        with pytest.raises(library.LocalProtocolError, match=error):
            await client.post(upstream.url, content=b"four", headers={"content-length": length})
        assert places(client)._taken == 0


UNUSUAL: dict[str, Callable[[Any, str], Any]] = {
    "method": lambda client, url: client.put(url, content=b"x"),
    "trace": lambda client, url: client.get(url, extensions={"trace": _traced}),
    "name for TLS": lambda client, url: client.get(url, extensions={"sni_hostname": "x"}),
    "upgrade": lambda client, url: client.get(url, headers={"connection": "upgrade", "upgrade": "x"}),
    "close": lambda client, url: client.get(url, headers={"connection": "close"}),
    "expect": lambda client, url: client.post(url, content=b"x", headers={"expect": "100-continue"}),
}


async def _traced(name: str, info: Any) -> None:
    assert name


@pytest.mark.parametrize("name", UNUSUAL)
async def test_what_is_not_plain_goes_the_cores_way(library: Any, name: str) -> None:
    async with provider(answers) as upstream, pooled(library) as client:
        response = await UNUSUAL[name](client, upstream.url)
        assert response.text == "ok"
        assert not places(client)._taken


@pytest.mark.parametrize("header", ["a\r\nx-more: b", "a\nb", " a", "a\x00b"])
async def test_a_header_cannot_become_two(library: Any, header: str) -> None:
    async with provider(answers) as upstream, pooled(library) as client:
        with pytest.raises(library.LocalProtocolError):
            await client.get(upstream.url, headers={"x-a": header})
        assert not upstream.requests


async def test_who_replaced_the_cores_way_to_send_is_asked(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(answers) as upstream, pooled(library) as client:
        inner: Any = client._transport._pool.inner.__class__
        original, seen = inner.handle_async_request, list[Any]()

        async def recorded(self: Any, request: Any) -> Any:
            seen.append(request)
            return await original(self, request)

        monkeypatch.setattr(inner, "handle_async_request", recorded)
        assert (await client.get(upstream.url)).text == "ok"
        assert len(seen) == 1


async def test_the_connection_is_known(library: Any) -> None:
    for tls in (False, True):
        async with provider(answers, tls=tls) as upstream, pooled(library) as client:
            response = await client.get(upstream.url)
            known = response.extensions["network_stream"].get_extra_info
            host, port = known("server_addr")
            assert f"//{host}:{port}/" in upstream.url
            assert known("client_addr")[0] == "127.0.0.1"
            assert (known("ssl_object") is not None) == tls
            assert known("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert known("anything") is None
