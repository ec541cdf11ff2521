"""The ASGI application: routes, reads, asks the script, and hands the answer to a line."""

import json
from typing import Any

from starlette.types import Receive, Scope, Send

from landline.testing.upstream import chat, responses
from landline.testing.upstream.faults import (
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    Partial,
    Stall,
    Status,
    StreamError,
)
from landline.testing.upstream.frames import spoil
from landline.testing.upstream.journal import Journal
from landline.testing.upstream.line import Line
from landline.testing.upstream.plan import Defaults, Plan, Script, ScriptExhausted, choose, make_plan, resolve
from landline.testing.upstream.request import Api, InvalidBody, Request, parse

__all__ = ["App"]

_ROUTES: dict[str, Api] = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}
_JSON = "application/json"
# Told to clients that a retry is of no use: a script that fails would only fail again, slowly.
_NO_RETRY = ("x-should-retry", "false")


class App:
    """An upstream without a server, for those who bring their own (or an in-process client).

    Args:
        script: Replies by turn of a conversation, or a callable; the echo when None.
        journal: Where requests and outcomes are written.
        defaults: For what replies leave open.
    """

    def __init__(self, script: Script, journal: Journal, defaults: Defaults) -> None:
        self._script = script
        self._journal = journal
        self._defaults = defaults
        self._lines: set[Line] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if method == "GET" and path == "/v1/models":
            model = {"id": self._defaults.model or "scripted", "object": "model", "created": chat.CREATED}
            await _reply(send, 200, {"object": "list", "data": [{**model, "owned_by": "landline"}]})
            return
        api = _ROUTES.get(path)
        if api is None or method != "POST":
            await _reply(
                send, 404 if api is None else 405, _error(f"no route for {method} {path}", "not_found")
            )
            return
        raw = await _read(receive)
        if raw is None:
            return
        try:
            body = parse(raw, api=api)
        except InvalidBody as error:
            await _reply(send, 400, _error(str(error), "invalid_body"))
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        line = Line(self._journal.begin(api, headers, raw, body), self._journal, receive, send)
        self._lines.add(line)
        try:
            await self._answer(line)
        finally:
            self._lines.discard(line)
            line.close()

    def hang_up(self) -> None:
        """Break off every response that is still going on."""
        for line in self._lines:
            line.hang_up()

    async def _answer(self, line: Line) -> None:
        request = line.exchange.request
        try:
            fault, reply = resolve(choose(self._script, request), request)
            plan = make_plan(reply, request, defaults=self._defaults, fault=fault)
        except ScriptExhausted as error:
            await line.body(400, _JSON, _encode(_error(str(error), "script_exhausted")))
            return
        except Exception as error:  # noqa: BLE001  what a test's own script raises must reach the test
            failure = _error(f"the script failed: {error!r}", "script_error")
            await line.body(500, _JSON, _encode(failure), headers=[_NO_RETRY])
            return
        if isinstance(fault, Status):
            await _refuse(line, fault)
        elif isinstance(fault, Html):
            await line.body(200, "text/html; charset=utf-8", fault.page.encode())
        elif request.stream:
            await _stream(line, plan, fault)
        else:
            await _whole(line, plan, fault)


async def _stream(line: Line, plan: Plan, fault: Fault | None) -> None:
    request = line.exchange.request
    message = fault.message if isinstance(fault, StreamError) else ""
    if request.api == "chat":
        frames, broken, error = (
            chat.frames(plan, request),
            chat.broken_chunk(request),
            chat.error_chunk(message),
        )
    else:
        frames, broken = responses.frames(plan, request), responses.broken_event(request)
        error = responses.failed_event(plan, request, message)
    sent, ending = spoil(frames, fault, broken=broken, error=error)
    outcome = "faulted" if isinstance(fault, Partial) else "completed"
    await line.stream(sent, ending, outcome, first_s=plan.first_token_after_s, interval_s=plan.interval_s)


async def _whole(line: Line, plan: Plan, fault: Fault | None) -> None:
    request = line.exchange.request
    if isinstance(fault, Stall):
        await line.silence()
        return
    if not await line.pause(plan.first_token_after_s + plan.interval_s * plan.tokens):
        return
    if isinstance(fault, StreamError):
        await line.body(500, _JSON, _encode(_error(fault.message, "server_error")))
        return
    if isinstance(fault, CutClean):
        plan = plan.broken_off(fault.after_tokens)
    data = _encode(_body(plan, request))
    if isinstance(fault, Cut):
        await line.half_body(_JSON, data)
    elif isinstance(fault, Malformed):
        await line.body(200, _JSON, data[: len(data) // 2])
    else:
        await line.body(200, _JSON, data, outcome="faulted" if isinstance(fault, Partial) else "completed")


async def _refuse(line: Line, fault: Status) -> None:
    headers = [] if fault.retry_after is None else [("retry-after", f"{fault.retry_after:g}")]
    code = fault.code or ("rate_limit_exceeded" if fault.status == 429 else "server_error")
    await line.body(fault.status, _JSON, _encode(_error(f"scripted {fault.status}", code)), headers=headers)


def _body(plan: Plan, request: Request) -> dict[str, Any]:
    return chat.completion(plan, request) if request.api == "chat" else responses.response(plan, request)


def _error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


async def _reply(send: Send, status: int, body: dict[str, Any]) -> None:
    data = _encode(body)
    headers = [(b"content-type", _JSON.encode()), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": False})


async def _read(receive: Receive) -> bytes | None:
    """Read the whole body; None when the client left in the middle."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
