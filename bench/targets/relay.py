"""The limit: a raw ASGI application that hands the model's tokens on, over bare asyncio streams, and nothing else."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import uvicorn

__all__ = ["app"]

_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_UPSTREAM = urlsplit(os.environ["BENCH_UPSTREAM"])
_free: list[_Connection] = []


async def app(scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
    if scope["type"] != "http":
        return
    if scope["method"] == "GET":
        await _reply(send, {"status": "ok"})
        return
    body = json.loads(await _read(receive))
    pieces = _ask(body["input"])
    if body["mode"] == "wait":
        await _reply(send, {"output": b"".join([piece async for piece in pieces]).decode()})
        return
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for piece in pieces:
        data = b'data: {"delta":"%s"}\n\n' % piece
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _ask(text: str) -> AsyncIterator[bytes]:
    """Yield the text of the answer as it arrives, one piece for all that has arrived at once."""
    order = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": text}]}
    data = json.dumps(order).encode()
    connection = _free.pop() if _free else await _connect()
    reader, writer = connection
    whole = False
    try:
        writer.write(
            b"POST %s/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (_UPSTREAM.path.encode(), len(data), data)
        )
        rest = b""
        while not whole:
            got = await reader.read(65536)
            if not got:
                raise ConnectionError("the model hung up")
            lines = (rest + got).split(b"\n\n")
            rest = lines.pop()
            whole = rest.endswith(b"0\r\n\r\n")
            said = b"".join(
                [line.split(b'"content":"')[1].split(b'"', 1)[0] for line in lines if b'"content":"' in line]
            )
            if said:
                yield said
    finally:
        if whole:
            _free.append(connection)
        else:
            writer.close()


async def _connect() -> _Connection:
    return await asyncio.open_connection(_UPSTREAM.hostname, _UPSTREAM.port)


async def _read(receive: _Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _reply(send: _Send, value: dict[str, str]) -> None:
    data = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": False})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off"
    )
