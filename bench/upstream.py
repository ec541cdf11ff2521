"""The scripted model of the bench: OpenAI's chat completions, written straight to the socket.

`landline.testing.upstream` says the same but serves tests: it is a full ASGI server, and with the load generator on
the same core it cannot feed 500 streams. This one costs a few microseconds a token. The prompt orders the answer
(`tokens=400 interval_ms=20`), so one process serves all scenarios.

    python -m bench.upstream --port 9000
"""

import argparse
import asyncio
import heapq
import json
import re
import signal
import sys
from typing import cast

import uvloop

from bench.tokens import now_us, token

__all__ = ["main"]

_ORDER = re.compile(rb"tokens=(\d+) interval_ms=(\d+)")
_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n"
_FIXED = (
    '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
    '"service_tier":"default","system_fingerprint":"fp_bench","choices":['
)
_LEFT = f'data: {_FIXED}{{"index":0,"delta":{{"content":"'.encode()
_RIGHT = b'"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
_ROLE = (
    f'data: {_FIXED}{{"index":0,"delta":{{"role":"assistant","content":"","refusal":null}},"logprobs":null,'
    '"finish_reason":null}],"usage":null}\n\n'
).encode()
_STOP = f'data: {_FIXED}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}],"usage":null}}\n\n'


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens}


def _ending(tokens: int) -> bytes:
    usage = f'data: {_FIXED}],"usage":{json.dumps(_usage(tokens))}}}\n\n'
    return _chunk(_STOP.encode()) + _chunk(usage.encode()) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _whole(tokens: int) -> bytes:
    at = now_us()
    text = b"".join(token(place, at) for place in range(tokens)).decode()
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(tokens),
    }
    data = json.dumps(body).encode()
    return _HEAD % (b"application/json", b"content-length: %d" % len(data)) + data


class Wheel:
    """Writes every stream's next token when it is due, with one timer for all."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[tuple[float, int, Connection]] = []
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._number = 0
        self.messages = 0
        """How many of the user's messages the last request had, which `GET /v1/seen` tells."""

    def put(self, due: float, connection: "Connection") -> None:
        self._number += 1
        heapq.heappush(self._due, (due, self._number, connection))
        if self._timer is None or due < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._due:
            self._timer_at = self._due[0][0]
            self._timer = self._loop.call_at(self._timer_at, self._turn)

    def _turn(self) -> None:
        self._timer = None
        due, now = self._due, self._loop.time()
        while due and due[0][0] <= now:
            when, number, connection = due[0]
            if (later := connection.say(when)) is None:
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (later, number, connection))
        self._arm()


class Connection(asyncio.Protocol):
    """One client connection: a request, its answer, and so on."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._tokens = self._said = 0
        self._interval_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, gap, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        wanted = int(length[1]) if length else 0
        if not gap or len(body) < wanted:
            return
        self._buffer = body[wanted:]
        if head.startswith(b"GET /v1/seen"):
            told = b'{"messages": %d}' % self._wheel.messages
            self._write(_HEAD % (b"application/json", b"content-length: %d" % len(told)) + told)
            return
        self._answer(body[:wanted])

    def _answer(self, body: bytes) -> None:
        orders = _ORDER.findall(body)
        self._wheel.messages = len(orders) or self._wheel.messages
        self._tokens, interval_ms = (int(figure) for figure in orders[-1]) if orders else (1, 0)
        self._interval_s, self._said = interval_ms / 1000, 0
        loop = asyncio.get_running_loop()
        if not _STREAM.search(body):
            loop.call_later(self._tokens * self._interval_s, self._write, _whole(self._tokens))
            return
        head = _HEAD % (b"text/event-stream; charset=utf-8", b"transfer-encoding: chunked") + _chunk(_ROLE)
        if self._interval_s:
            self._write(head)
            self._wheel.put(loop.time(), self)
            return
        at = now_us()
        said = [_chunk(_LEFT + token(place, at) + _RIGHT) for place in range(self._tokens)]
        self._write(head + b"".join(said) + _ending(self._tokens))

    def say(self, due: float) -> float | None:
        """Write one token, and return when the next is due."""
        if self._transport is None:
            return None
        data = _chunk(_LEFT + token(self._said, now_us()) + _RIGHT)
        self._said += 1
        if self._said < self._tokens:
            self._transport.write(data)
            return due + self._interval_s
        self._transport.write(data + _ending(self._tokens))
        return None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    wheel = Wheel(loop)
    server = await loop.create_server(lambda: Connection(wheel), "127.0.0.1", port, backlog=2048)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1\n")
    sys.stdout.flush()
    await stop.wait()


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
