"""Routes of the host app as things to call: which of them, how, and what they need, from the app's own OpenAPI (FACE-11).

A call goes through the host app itself, inside this process: its middleware, its dependencies and its own refusals hold
as for any request. Nothing of the request it came from goes along but the caller's credential.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.types import Message

from landline.app.operations import Operation, is_admin, read_operation
from landline.model.errors import Invalid, NotFound, Unavailable
from landline.web.host_routes import HostAnswer, HostRoute
from landline.web.route import LandlineRoute

__all__ = ["ExportedRoutes", "mcp_routes"]

_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_MOST_BYTES: Final = 8 * 1024 * 1024
_TIMEOUT_S: Final = 120.0
_OWN_STATE: Final = frozenset({"caller", "request_id", "mcp_run", "mcp_gone"})
_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

logger = logging.getLogger(__name__)


def mcp_routes(app: FastAPI, *, tags: Sequence[str]) -> "ExportedRoutes":
    """Export the routes of `app` that carry one of `tags` as tools of the MCP face: `Landline(host_routes=…)`.

    They are read when they are first asked for, so routes added later count too. Never exported: routes for admins (a
    tag, a security scope, a dependency or a part of the path that says so), Landline's own, and those that need a form,
    a header or a cookie.

    Raises:
        ValueError: No tag is given: everything is not a choice.
    """
    if not tags or isinstance(tags, str):
        raise ValueError("mcp_routes needs the tags of the routes to export, such as tags=['notes']")
    return ExportedRoutes(app, frozenset(tags))


@dataclass(frozen=True, slots=True)
class _Exported:
    route: HostRoute
    operation: Operation


class ExportedRoutes:
    """The exported routes of one app; a `HostRoutes`."""

    def __init__(self, app: FastAPI, tags: frozenset[str]) -> None:
        self._app = app
        self._tags = tags

    def list(self) -> Sequence[HostRoute]:
        """Return the routes."""
        return [exported.route for exported in self._exported.values()]

    async def call(self, request: Request, name: str, arguments: Mapping[str, Any]) -> HostAnswer:
        """Call a route with the credential of `request`.

        Raises:
            NotFound: No such route is exported.
            Invalid: An argument is unknown, missing for the path, or cannot stand in a path.
            Unavailable: The route took longer than two minutes.
        """
        exported = self._exported.get(name)
        if exported is None:
            raise NotFound("No such route is exported.")
        scope, body = _asked(exported.operation, request, arguments)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await _answered(self._app, scope, body)
        except TimeoutError:
            raise Unavailable("The route took too long.", code="route_timeout") from None

    @cached_property
    def _exported(self) -> dict[str, _Exported]:
        found: dict[str, _Exported] = {}
        for path, context in self._chosen():
            # Of this route alone: the app's own document is made and kept by the app.
            document = get_openapi(title="-", version="-", routes=[context])
            for method in sorted((context.methods or set()) & set(_METHODS)):
                operation = read_operation(document, path=context.path_format or path, at=path, method=method)
                if isinstance(operation, str):
                    logger.warning("the route %s %s is not exported: %s", method, path, operation)
                    continue
                name = _NAME.sub("_", operation.name)[:128]
                if name in found:
                    logger.warning(
                        "the route %s %s is not exported: its name %s is taken", method, path, name
                    )
                    continue
                found[name] = _Exported(_route(name, operation), operation)
        return found

    def _chosen(self) -> Iterator[tuple[str, RouteContext]]:
        """Yield the chosen routes as they are served: with the prefix, tags and dependencies of their routers."""
        for context in iter_route_contexts(self._app.routes):
            route = context.original_route
            if not isinstance(route, APIRoute) or isinstance(route, LandlineRoute):
                continue
            if not context.include_in_schema or context.path is None:
                continue
            tags = {str(getattr(tag, "value", tag)) for tag in context.tags or ()}
            if not tags & self._tags:
                continue
            if any(map(is_admin, [*tags, *context.path.split("/"), *_names(context.dependant)])):
                logger.warning("the route %s is not exported: it is for admins", context.path)
                continue
            yield context.path, context


def _names(dependant: Dependant) -> Iterator[str]:
    """Yield the names of what a route depends on, and the scopes it asks for, however deep."""
    for below in dependant.dependencies:
        call: Callable[..., Any] | None = below.call
        if call is not None:
            yield str(getattr(call, "__name__", type(call).__name__))
            yield type(call).__name__
        yield from below.own_oauth_scopes or ()
        yield from _names(below)


def _route(name: str, operation: Operation) -> HostRoute:
    return HostRoute(
        name=name,
        title=operation.title,
        description=operation.description,
        parameters=operation.schema,
        changes=operation.method != "GET",
        repeatable=operation.method in {"GET", "PUT", "DELETE"},
        output_schema=operation.output_schema,
    )


def _asked(
    operation: Operation, request: Request, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """Return the ASGI scope and body of a call."""
    unknown = [name for name in arguments if name not in operation.schema["properties"]]
    if unknown:
        raise Invalid(f"The arguments do not fit: {unknown[0][:100]} is unknown.", code="invalid_request")
    path = operation.path
    for name in operation.in_path:
        path = path.replace(f"{{{name}}}", _part(name, arguments.get(name)))
    query = [(name, _text(one)) for name in operation.in_query for one in _many(arguments.get(name))]
    body = operation.body_of(arguments)
    sent = b"" if body is None else json.dumps(body[0]).encode()
    headers = [
        pair
        for pair in cast("list[tuple[bytes, bytes]]", request.scope["headers"])
        if pair[0] in _CREDENTIALS
    ]
    headers += [
        (b"host", request.headers.get("host", "localhost").encode("latin-1")),
        (b"accept", b"application/json"),
        (b"user-agent", b"landline-mcp"),
    ]
    if body is not None:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(sent)).encode())]
    given = request.scope
    scope = {
        "type": "http",
        "asgi": given.get("asgi", {"version": "3.0"}),
        "http_version": "1.1",
        "method": operation.method,
        "scheme": given.get("scheme", "http"),
        "path": path,
        "raw_path": quote(path, safe="/").encode(),
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": headers,
        "client": given.get("client"),
        "server": given.get("server"),
        "state": {name: value for name, value in given.get("state", {}).items() if name not in _OWN_STATE},
    }
    return scope, sent


async def _answered(app: FastAPI, scope: dict[str, Any], body: bytes) -> HostAnswer:
    status, media_type = 0, ""
    pieces: list[bytes] = []
    given = False
    whole = asyncio.Event()

    async def receive() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, media_type
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message.get("headers", ()):
                if name.lower() == b"content-type":
                    media_type = value.decode("latin-1").partition(";")[0].strip().lower()
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))
            if sum(map(len, pieces)) > _MOST_BYTES:
                raise Invalid(f"The route answered more than {_MOST_BYTES} bytes.", code="answer_too_large")
            if not message.get("more_body", False):
                whole.set()

    try:
        await app(scope, receive, send)
    except Invalid:
        raise
    except Exception:  # as a server does with whatever an app raises: said in the log, and 500 to the caller
        logger.exception("the route %s %s failed", scope["method"], scope["path"])
        status, media_type, pieces = 500, "text/plain", [b"Internal Server Error"]
    return _read(status, media_type, b"".join(pieces))


def _read(status: int, media_type: str, body: bytes) -> HostAnswer:
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return HostAnswer(
                status=status, media_type=media_type, body=body, is_json=True, data=json.loads(body)
            )
        except ValueError:
            pass  # it says it is JSON and is not: told as the text it is
    return HostAnswer(status=status, media_type=media_type, body=body)


def _part(name: str, value: Any) -> str:
    """Return a value as one part of a path. One that would be more, or none, would reach another route."""
    said = _text(value)
    if value is None or not said or "/" in said or "\\" in said or said in {".", ".."} or "\0" in said:
        raise Invalid(
            f"The arguments do not fit: {name[:100]} cannot stand in the path.", code="invalid_request"
        )
    return said


def _many(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return cast("list[Any]", value) if isinstance(value, list) else (value,)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
