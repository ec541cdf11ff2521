"""Hostile requests from a seed: broken HTTP, broken JSON, broken paths, wrong types, over every route (TRU-11).

A request is the bytes of one connection. Whatever they are, the server has to answer below 500 or hang up, soon.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

ID = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"

ROUTES = (
    ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/simple"),
    ("GET", "/api/v1/agents"), ("GET", "/api/v1/agents/echo"), ("GET", "/api/v1/approvals"),
    ("POST", "/api/v1/threads"), ("GET", "/api/v1/threads"), ("GET", f"/api/v1/threads/{ID}"),
    ("PATCH", f"/api/v1/threads/{ID}"), ("DELETE", f"/api/v1/threads/{ID}"),
    ("GET", f"/api/v1/threads/{ID}/messages"), ("POST", f"/api/v1/threads/{ID}/fork"),
    ("POST", f"/api/v1/threads/{ID}/runs"), ("POST", "/api/v1/runs"), ("GET", "/api/v1/runs"),
    ("GET", f"/api/v1/runs/{ID}"), ("GET", f"/api/v1/runs/{ID}/events"), ("POST", f"/api/v1/runs/{ID}/cancel"),
    ("POST", f"/api/v1/runs/{ID}/answers"), ("POST", "/api/v1/files"), ("GET", f"/api/v1/files/{ID}"),
    ("GET", "/api/v1/ws"),
)  # fmt: skip

GOOD: dict[str, Any] = {
    "agent": "echo", "input": "hi", "mode": "wait", "settings": {}, "metadata": {"a": 1}, "on_busy": "reject",
    "deadline_s": 5, "title": "t", "message_id": ID, "head_id": ID, "pinned": True,
    "answers": [{"question_id": ID, "approve": True}],
}  # fmt: skip

ODD_JSON = (
    b"", b"{", b"}", b"[", b'"', b"nul", b"NaN", b"-Infinity", b"1e999", b"-0", b"01", b"'a'", b"{,}", b'{"a":1,}',
    b'{"a":1,"a":2}', b'{"agent":"echo","input":"\\ud800"}', b'{"agent":"echo","input":"\\u0000"}',
    b'{"agent":"echo","input":"\xff\xfe"}', b"\xef\xbb\xbf{}", b'{"agent":"echo","input":"\xed\xa0\x80"}',
    b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100, b'{"deadline_s":' + b"9" * 5_000 + b"}",
    b'{"metadata":{"a":' + b"1" * 4_400 + b"}}", b'{"deadline_s":1e-999}', b'{"agent":"echo","input":1e400}',
    b'{"input":"' + b"a" * 300_000 + b'","agent":"echo"}', b'{"agent":"echo","input":"\x00"}', b"\x00" * 50,
    b'{"agent":"echo","input":"x"}{"agent":"echo"}', b'{"__proto__":{}}', b'"\\', b'{"a":"\\u12', b"\xff" * 1000,
)  # fmt: skip

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 2**64, -(2**63) - 1, 10**400, "", " ", "a" * 1_000, "\ud83d\ude00", "\u202e", "\\",
    "' OR 1=1 --", "%s%n", "../../etc/passwd", "${jndi:ldap://x}", [], {}, [[]], [None], {"": {}}, {"type": "text"},
    [{"type": "text"}], [{"type": "tool_result", "call_id": "x", "name": "y"}], [{"type": "file", "file_id": ID}],
    [{"type": "image", "file_id": "../x"}], [{"type": "text", "text": "x"}] * 100, {"a": [0] * 2_000}, "wait", "NaN",
    {"type": [], "text": {}}, ["a"] * 65, "\x7f", "a\nb", "\u0085", "0193A6F2-7C1E-7D42-9A53-0C6F2A7E4B10",
)  # fmt: skip

ODD_PATHS = (
    "//", "/..", "/../../etc/passwd", "/api/v1/../../x", "/api/v1/runs/..%2f..%2fetc", "/%00", "/api/v1/runs/%00",
    "/api/v1/runs/%ff%fe", "/api/v1/runs/%ed%a0%80", "/api/v1/threads/" + "a" * 8_000, "/api//v1//runs", "/api/v1/runs/",
    "/API/V1/RUNS", "/api/v1/runs?" + "a=b&" * 2_000, "/api/v1/runs?limit=", "/api/v1/runs?limit=-1", "/api/v1/runs?limit=1e9",
    "/api/v1/runs?limit=99999999999999999999", "/api/v1/runs?cursor=%00", "/api/v1/runs?cursor=AAAA", "/api/v1/runs?cursor=%ff",
    "/api/v1/threads?q=%22", "/api/v1/threads?q=*", "/api/v1/threads?q=a%20AND%20(", "/api/v1/threads?q=NEAR(", "/api/v1/threads?q=-",
    "/api/v1/threads?q=%00", "/api/v1/threads?metadata.=x", "/api/v1/threads?metadata.a%22=x", "/api/v1/threads?metadata.%27=x",
    "/api/v1/threads?metadata.a=%ed%a0%80", "/api/v1/threads?archived=maybe", "/api/v1/runs?status=x", "/api/v1/runs?thread_id=%F0%9F",
    "/api/v1/runs?created_after=9999-99-99T99:99:99Z", f"/api/v1/runs/{ID}/events?after=-1", f"/api/v1/runs/{ID}/events?after=1e5",
    f"/api/v1/runs/{ID}/events?after=" + "9" * 400, "/api/v1/agents/%2e%2e", "/api/v1/agents/%F0%9F%92%A9", "*", "http://x/",
    "http://127.0.0.1@evil/api/v1/runs", "/api/v1/runs#x", "/api/v1/runs;x=1", "/\x80\x81", "/ a b", "/api/v1/files/../../x", "",
    "/docs", "/redoc", "/static/../../x", "/simple/../x", "/simple/%2e%2e/%2e%2e/etc/passwd", "/api/v1/runs?api_key=x",
)  # fmt: skip

ODD_HEADERS = (
    "Host: ", "Host: a, b", "Host: evil.example", "Host: 127.0.0.1\r\nHost: 127.0.0.1", "Content-Length: -1", "Content-Length: 1e3",
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked\r\nContent-Length: 3", "Connection: \x00", "X: " + "y" * 60_000,
    "\r\nX: y", " folded: x", "X : y", "No-Colon", "X:\x01\x02", "\xff\xfe: x", "Cookie: " + "a=b; " * 500, "Accept: " + "*/*," * 500,
    "Range: bytes=" + "0-1," * 900, "Authorization: Bearer", "Authorization: Basic x", "Authorization: Bearer " + "x" * 9_000,
    "X-API-Key: ", "X-API-Key: \xff", "X-API-Key: a\r\nAuthorization: Bearer b", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=x",
    "Idempotency-Key: ", "Idempotency-Key: " + "k" * 300, "Idempotency-Key: \xe9", "Last-Event-ID: -1", "Last-Event-ID: \xb2",
    "Expect: 100-continue", "Expect: 200-ok", "Upgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: x", "TE: trailers",
    "Content-Encoding: gzip", "Accept-Encoding: gzip;q=x", "Origin: null", "Origin: http://[", "Content-Type: \xff",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip

TYPES = (
    "application/json", "application/json", "application/json", "application/problem+json", "text/plain", "", "application/xml",
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=utf-16",
    "multipart/form-data; boundary=" + "b" * 300, "application/json;;;", "a/b/c",
)  # fmt: skip

ODD_FORMS = (
    b"--x\r\n\r\n\r\n--x--\r\n", b"--x--", b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../x"\r\n\r\nhi\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="\x00"\r\n\r\nhi\r\n--x--\r\n', b"--x\r\nContent-Disposition",
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\xff"\r\nContent-Type: \xff\r\n\r\nhi\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno name\r\n--x--\r\n', b"a=b&c=%ff", b"\r\n" * 500,
)  # fmt: skip


class Fuzzer:
    """Requests in a row that a seed determines."""

    def __init__(self, seed: int, port: int) -> None:
        self._chance, self._port = random.Random(seed), port
        self._kinds: tuple[Callable[[], bytes], ...] = (
            self._noise, self._bent, self._odd_json, self._odd_json, self._odd_value, self._odd_value, self._odd_value,
            self._odd_path, self._odd_header, self._odd_header, self._odd_form, self._chunked, self._mutated_json,
        )  # fmt: skip

    def request(self) -> tuple[str, bytes]:
        """Return the next request and what kind it is."""
        kind = self._chance.choice(self._kinds)
        return kind.__name__.strip("_"), kind()

    def _route(self) -> tuple[str, str]:
        return self._chance.choice(ROUTES)

    def _posting(self) -> tuple[str, str]:
        return self._chance.choice([route for route in ROUTES if route[0] in ("POST", "PATCH")])

    def _built(
        self, method: str, path: str, *headers: str, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", "Connection: close"]
        if body:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1", "replace") + body

    def _noise(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((1, 10, 200, 5_000))) + b"\r\n\r\n"

    def _bent(self) -> bytes:
        """A good request with a few bytes changed, dropped or doubled."""
        raw = bytearray(self._built(*self._posting(), body=json.dumps(GOOD).encode()))
        for _ in range(self._chance.randint(1, 8)):
            at = self._chance.randrange(len(raw))
            match self._chance.randrange(3):
                case 0:
                    raw[at] = self._chance.randrange(256)
                case 1:
                    del raw[at]
                case _:
                    raw[at:at] = raw[at : at + self._chance.randint(1, 30)]
        return bytes(raw)

    def _odd_json(self) -> bytes:
        return self._built(
            *self._posting(), body=self._chance.choice(ODD_JSON), kind=self._chance.choice(TYPES)
        )

    def _odd_value(self) -> bytes:
        body = {key: GOOD[key] for key in self._chance.sample(sorted(GOOD), self._chance.randint(1, 5))}
        body |= {"agent": "echo", "input": "hi"} if self._chance.random() < 0.5 else {}
        for key in self._chance.sample(sorted(body), self._chance.randint(1, min(2, len(body)))):
            body[key] = self._chance.choice(ODD_VALUES)
        if self._chance.random() < 0.3:
            body = {
                "answers": [
                    {"question_id": ID, **{k: self._chance.choice(ODD_VALUES) for k in ("approve", "value")}}
                ]
            }
        return self._built(*self._posting(), body=json.dumps(body).encode("utf-8", "surrogatepass"))

    def _mutated_json(self) -> bytes:
        raw = bytearray(json.dumps(GOOD).encode())
        for _ in range(self._chance.randint(1, 4)):
            raw[self._chance.randrange(len(raw))] = self._chance.randrange(256)
        return self._built(*self._posting(), body=bytes(raw))

    def _odd_path(self) -> bytes:
        return self._built(
            self._chance.choice(("GET", "GET", "POST", "DELETE", "BREW", "OPTIONS", "HEAD")),
            self._chance.choice(ODD_PATHS),
        )

    def _odd_header(self) -> bytes:
        method, path = self._route()
        headers = [self._chance.choice(ODD_HEADERS) for _ in range(self._chance.randint(1, 3))]
        return self._built(
            method, path, *headers, body=b'{"agent":"echo","input":"hi"}' if method == "POST" else b""
        )

    def _odd_form(self) -> bytes:
        kind = self._chance.choice(
            ("multipart/form-data; boundary=x", "multipart/form-data; boundary=x", *TYPES)
        )
        path = self._chance.choice(("/api/v1/files", "/api/v1/files", "/api/v1/runs"))
        return self._built("POST", path, body=self._chance.choice(ODD_FORMS), kind=kind)

    def _chunked(self) -> bytes:
        """A chunked body with wrong sizes, extensions, trailers, or no end."""
        method, path = self._posting()
        head = self._built(method, path, "Content-Type: application/json", "Transfer-Encoding: chunked")
        piece = b'{"agent":"echo","input":"hi"}'
        size = self._chance.choice(
            (b"%x" % len(piece), b"fffffffff", b"-1", b"0x5", b"1", b"", b"zz", b"%x;a=b" % len(piece))
        )
        end = self._chance.choice(
            (b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"0", b"0\r\n" + b"X: y\r\n" * 5_000 + b"\r\n")
        )
        return head + size + b"\r\n" + piece + b"\r\n" + end
