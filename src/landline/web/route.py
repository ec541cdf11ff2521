"""The one kind of HTTP route that faces have: it admits the caller, reads strictly, and tells every error in the face's
language, which is a problem unless the face has its own.

All of that sits in the route and not in an app, so that routes mounted into a host's app behave the same and the host's
own routes do not change.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from landline.model.callers import KNOWN_SCOPES
from landline.model.errors import FieldError, Invalid, Unauthenticated
from landline.web import strict_json
from landline.web.caller import Needed, admit, solved
from landline.web.door import Door
from landline.web.headers import Hardened, harden
from landline.web.late_route import LateRoute
from landline.web.limits import arrived, hold_stream, settled, tally_of, told
from landline.web.paced import paced
from landline.web.problems import request_id, respond, root_of, too_large

__all__ = [
    "Entry",
    "LandlineRoute",
    "StrictRequest",
    "Tell",
    "add_routes",
    "assert_declared",
    "lists",
    "public",
    "requires",
    "scopes_of",
    "streams",
    "takes_stream_tokens",
    "takes_uploads",
    "uncounted",
]

Tell = Callable[[Exception, Request], Response]
"""Returns the response that tells an error, whatever it is; never raises (see `problems.told`)."""

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def _marked(endpoint: _Endpoint, name: str, *, value: object) -> _Endpoint:
    """Leave on a handler what its route is to know."""
    setattr(endpoint, name, value)
    return endpoint


def requires(*scopes: Needed) -> Callable[[_Endpoint], _Endpoint]:
    """Declare the scopes a route needs. A route without a declaration does not start (TRU-5)."""
    named = [name for needed in scopes for name in ((needed,) if isinstance(needed, str) else needed)]
    unknown = [name for name in named if name not in KNOWN_SCOPES]
    if unknown or not scopes:
        raise ValueError(f"A route must require scopes that exist, not {unknown or 'none'}; see `public`.")

    def declare(endpoint: _Endpoint) -> _Endpoint:
        return _marked(endpoint, "__landline_scopes__", value=scopes)

    return declare


def public(endpoint: _Endpoint) -> _Endpoint:
    """Declare that a route is for everybody, without a credential."""
    return _marked(endpoint, "__landline_scopes__", value=())


def takes_uploads(endpoint: _Endpoint) -> _Endpoint:
    """Declare that a route's body is an upload, with the larger limit."""
    return _marked(endpoint, "__landline_upload__", value=True)


def streams(endpoint: _Endpoint) -> _Endpoint:
    """Declare that a route's answer is a stream: its place is taken before the handler does anything."""
    return _marked(endpoint, "__landline_streams__", value=True)


def uncounted(endpoint: _Endpoint) -> _Endpoint:
    """Declare that a public route is under no limit: whoever looks whether the server is well is always told."""
    return _marked(endpoint, "__landline_uncounted__", value=True)


def takes_stream_tokens(endpoint: _Endpoint) -> _Endpoint:
    """Declare that a stream token in the URL opens this route; it then keeps to the token's thread (`check_thread`)."""
    return _marked(endpoint, "__landline_stream_tokens__", value=True)


def lists(*prefixes: str) -> Callable[[_Endpoint], _Endpoint]:
    """Declare a list: a query parameter it does not declare is refused, since a filter that does nothing misleads.

    Parameters that begin with one of `prefixes` are the handler's own to read.
    """

    def declare(endpoint: _Endpoint) -> _Endpoint:
        return _marked(endpoint, "__landline_lists__", value=prefixes)

    return declare


def scopes_of(endpoint: Any) -> Sequence[Needed] | None:
    """Return what an endpoint declares: its scopes, nothing for a public one, None for one without a declaration."""
    return getattr(endpoint, "__landline_scopes__", None)


class StrictRequest(Request):
    """A request whose JSON is parsed strictly and whose body has an end."""

    max_bytes: int = 0

    async def json(self) -> Any:
        """Return the body as data. Raises Invalid."""
        if not hasattr(self, "_json"):
            self._json = strict_json.parse(await self.body())
        return self._json

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces. Raises TooLarge once it is over the limit, also without a length given."""
        seen = 0
        async for chunk in super().stream():
            seen += len(chunk)
            if seen > self.max_bytes:
                raise too_large(self.max_bytes)
            yield chunk


class LandlineRoute(LateRoute):
    """See the module. Faces use it through `bound`, which gives it the door."""

    door: ClassVar[Door]
    tell: ClassVar[Tell]

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        scopes = scopes_of(endpoint)
        if scopes is None:
            raise TypeError(f"{path}: the route declares no scopes; use @requires(...) or @public.")
        self.scopes = scopes
        super().__init__(path, endpoint, **options)

    @classmethod
    def bound(cls, door: Door, *, tell: Tell = respond) -> type["LandlineRoute"]:
        """Return the route class for one door; `tell` is the face's own error language, a problem unless it has one."""
        return cast(
            "type[LandlineRoute]", type("LandlineRoute", (cls,), {"door": door, "tell": staticmethod(tell)})
        )

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Wrap the handler: admit first, then read, and tell what went wrong."""
        # The handler solves less than the document shows, which is read from the same attribute later.
        shown, self.dependant = self.dependant, solved(self.dependant)
        handle = cast("Callable[[Request], Awaitable[Response]]", super().get_route_handler())
        self.dependant = shown
        door, scopes, tell = self.door, self.scopes, type(self).tell
        reads_json = self.body_field is not None
        streamed = hasattr(self.endpoint, "__landline_stream_tokens__")
        prefixes: tuple[str, ...] | None = getattr(self.endpoint, "__landline_lists__", None)
        filters = frozenset(parameter.alias for parameter in self.dependant.query_params)
        limit = (
            door.max_upload_bytes if hasattr(self.endpoint, "__landline_upload__") else door.max_body_bytes
        )

        counted = door.limits is not None and not hasattr(self.endpoint, "__landline_uncounted__")
        holds = counted and hasattr(self.endpoint, "__landline_streams__")

        async def handled(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.max_bytes = limit
            try:
                _check_line(strict, door)
                if scopes:
                    await admit(strict, door, scopes, streams=streamed)
                elif counted:
                    await arrived(strict, door)
                if holds:
                    await hold_stream(strict, door)
                if prefixes is not None:
                    _check_filters(strict, filters, prefixes)
                _check_length(strict)
                if reads_json:
                    _check_json_type(strict)
                response = paced(_hardened(await handle(strict), request))
                if counted:
                    response = await settled(response, strict, door)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody is there to read it, and nothing is wrong here
            except Exception as error:  # noqa: BLE001 - this is where every error becomes an answer
                response = _hardened(tell(error, request), request)
                response.headers["x-request-id"] = request_id(request.scope)
                if counted:
                    await _count_refusal(error, response, request, door, public=not scopes)
            return response

        return handled


def _hardened(response: Response, request: Request) -> Response:
    if "landline.guarded" in request.scope:
        return response
    if not hasattr(response, "raw_headers"):
        return Hardened(response)
    harden(response.headers)
    return response


async def _count_refusal(
    error: Exception, response: Response, request: Request, door: Door, *, public: bool
) -> None:
    """Tell the limits on a refusal, and count a sign-in that failed in a public route, such as one that takes a password."""
    tally = tally_of(request.scope)
    if (
        public
        and tally is not None
        and door.limits is not None
        and isinstance(root_of(error), Unauthenticated)
    ):
        await door.limits.not_signed_in(tally)
    told(response, request)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of a face's table of routes; `docs` goes to FastAPI (responses, …; see `LateRoute`)."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    name: str
    summary: str
    status: int = 200
    docs: dict[str, Any] = field(default_factory=dict[str, Any])


def add_routes(router: APIRouter, entries: Iterable[Entry], *, tag: str) -> None:
    """Add the rows of a table to a router whose route class is bound to a door."""
    for entry in entries:
        router.add_api_route(
            entry.path,
            entry.endpoint,
            methods=[entry.method],
            status_code=entry.status,
            name=entry.name,
            operation_id=entry.name,
            summary=entry.summary,
            tags=[tag],
            response_model=None,
            **entry.docs,
        )


def assert_declared(routed: APIRouter | FastAPI) -> None:
    """Refuse to start with a route that says nothing of who may use it (TRU-5).

    Raises:
        TypeError: Naming every such route.
    """
    silent = [path for path, endpoint in _endpoints(routed.routes) if scopes_of(endpoint) is None]
    if silent:
        raise TypeError(f"These routes declare no scopes: {', '.join(sorted(silent))}.")


def _endpoints(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, Any]]:
    for context in iter_route_contexts(routes):
        route = context.original_route
        if isinstance(route, Mount):
            inner = route.routes
            yield from _endpoints(inner) if inner else [(route.path, route.app)]
        else:
            yield context.path or "?", context.endpoint


def _check_line(request: Request, door: Door) -> None:
    """Check what the guard of the edge checks too, for routes that were mounted into an app without it."""
    if b"%00" in request.scope.get("query_string", b""):
        raise Invalid("The query holds NUL.")
    if "landline.guarded" not in request.scope and not door.hosts.allows(request.headers.get("host")):
        raise Invalid("This server does not answer to that name.", code="unknown_host")


def _check_filters(request: Request, known: frozenset[str], prefixes: tuple[str, ...]) -> None:
    own = {name for name in request.query_params if name.startswith(prefixes) and name not in prefixes}
    unknown = [name for name in request.query_params if name not in known and name not in own]
    if unknown:
        told = ", ".join(sorted(known)) or "none"
        faults = [
            FieldError(loc=["query", name[:100]], message=f"This list knows: {told}.") for name in unknown
        ]
        raise Invalid("The request does not fit; see errors.", code="invalid_request", errors=faults[:50])


def _check_length(request: StrictRequest) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        # A packed body can grow a thousandfold where nobody counts.
        raise Invalid("The body must be sent as it is, not packed.", code="unsupported_media_type")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > request.max_bytes):
        raise too_large(request.max_bytes)


def _check_json_type(request: Request) -> None:
    if "content-type" not in request.headers and request.headers.get("content-length", "0") == "0":
        return  # No body at all; whether one is needed, the handler's signature says.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    # A plain form could come from any web page, with the user's network position (CSRF).
    raise Invalid("The body must be sent with Content-Type: application/json.", code="unsupported_media_type")
