"""Whatever a server says, and however it hangs up, means the same to a client with our pool under it as with its own."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import httpx2
import pytest

from landline.upstream.streams import fit
from landline.upstream.streams.pool import Pool
from tests.upstream.streams.provider import Answer, provider

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKS = b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n"
LONG = b"content-length: 7\r\n\r\nabcdefg"

KEPT = {
    "length": OK + LONG,
    "chunks": OK + CHUNKS + b"0\r\n\r\n",
    "trailers": OK + CHUNKS + b"0\r\nx-after: 1\r\n\r\n",
    "nothing": OK + b"content-length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK + LONG,
    "names as sent": OK
    + b"X-MiXed:  a b \r\nx-mixed: c\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nx-empty:\r\n"
    + LONG,
    "high bytes": OK + b"x-name: \xe9\xff\r\n" + LONG,
    "no reason": b"HTTP/1.1 200\r\n" + LONG,
    "odd reason": b"HTTP/1.1 299 Quite  all right\r\n" + LONG,
    "an error": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3\r\n" + LONG,
    "line feeds": b"HTTP/1.1 200 OK\nx-a: b\ncontent-length: 7\n\nabcdefg",
    "length and chunks": OK + b"content-length: 70\r\n" + CHUNKS + b"0\r\n\r\n",
    "the same length twice": OK + b"content-length: 7, 7\r\n\r\nabcdefg",
    "a folded value": OK + b"x-a: b\r\n c\r\n" + LONG,
}
"""Answers after which the connection stays open."""
ENDED = {
    "until the end": OK + b"\r\nabcdefg",
    "nothing until the end": OK + b"\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nx: y\r\n\r\nabcdefg",
    "close": OK + b"connection: close\r\n" + LONG,
    "no answer": b"",
    "half a head": OK + b"content-le",
    "only an interim head": b"HTTP/1.1 100 Continue\r\n\r\n",
    "less than its length": OK + LONG[:-2],
    "half a chunk": OK + CHUNKS[:-4],
    "no last chunk": OK + CHUNKS,
    "half a last chunk": OK + CHUNKS + b"0\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "another HTTP": b"HTTP/x 200 OK\r\n\r\n",
    "a bad chunk": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "a bad length": OK + b"content-length: seven\r\n\r\nabcdefg",
    "two lengths": OK + b"content-length: 7\r\ncontent-length: 8\r\n\r\nabcdefg",
    "a bad name": OK + b"x y: z\r\n" + LONG,
    "another coding": OK + b"transfer-encoding: gzip\r\n\r\nabcdefg",
    "an endless head": OK + b"x: " + b"y" * 300_000,
    "a protocol unasked": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabcdefg",
    "too much": OK + LONG + b"and more",
    "a second answer": OK + LONG + OK + LONG,
}
"""Answers that a server ends, or that end the connection."""
STRICTER = {"the same length twice": "llhttp takes one number only, h11 the same one twice"}
"""Where we differ from h11, and why."""


async def outcome(client: Any, url: str) -> tuple[Any, ...]:
    """Return what a request comes to: the response, and which error ended what."""
    got: list[Any] = []
    try:
        async with asyncio.timeout(10), client.stream("POST", url, json={}) as response:
            extensions = response.extensions
            got += [response.status_code, response.headers.raw]
            got += [extensions["http_version"], extensions["reason_phrase"], b""]
            async for piece in response.aiter_raw():
                got[-1] += piece
    except Exception as error:  # whichever it is, it has to be the same
        got.append(type(error))
    return tuple(got)


async def both(library: Any, pieces: Sequence[bytes], *, end: bool, tls: bool) -> list[Any]:
    """Return what two requests, one after the other, come to with the client's own pool and with ours."""

    async def script(answer: Answer) -> None:
        for piece in pieces:
            await answer.raw(piece)
            await asyncio.sleep(0)
        if end:
            answer.writer.close()

    told: list[Any] = []
    for ours in (False, True):
        async with (
            provider(script, tls=tls) as upstream,
            library.AsyncClient(verify=False, trust_env=False) as client,
        ):
            if ours:
                fit(client)
                assert isinstance(client._transport._pool, Pool)
            outcomes = [await outcome(client, upstream.url) for _ in range(2)]
            told.append((outcomes, upstream.connections))
    return told


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("name", [*KEPT, *ENDED])
@pytest.mark.parametrize("library", LIBRARIES)
async def test_an_answer_means_the_same(library: str, name: str, tls: bool) -> None:
    said = (KEPT | ENDED)[name]
    cuts = [[said], [said[at : at + 1] for at in range(len(said))]]
    if len(said) > 1000:
        cuts = [[said], [said[at : at + 10_000] for at in range(0, len(said), 10_000)]]
    for pieces in cuts:
        core, ours = await both(LIBRARIES[library], pieces, end=name in ENDED, tls=tls)
        if name in STRICTER:
            assert core[0][0][0] == 200, f"no longer true: {STRICTER[name]}"
            assert ours[0][0] == (LIBRARIES[library].RemoteProtocolError,)
        elif name in KEPT:
            assert ours == core
        else:
            assert ours[0][0] == core[0][0]
            # The cores may send the second request where nobody listens any more, which depends on who is quicker.
            assert ours == ([ours[0][0]] * 2, 2)
