"""Stream tokens in URLs (TRU-7): where they are taken, and the one thread that they are good for."""

from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from landline.model.callers import Caller
from landline.model.errors import Invalid, NotFound, Unauthenticated
from landline.web.door import Door

__all__ = ["PARAMETER", "check_thread", "only_thread", "stream_caller"]

PARAMETER: Final = "stream_token"
_NAMES: Final = frozenset({b"authorization", b"x-api-key"})


async def stream_caller(connection: HTTPConnection, door: Door) -> Caller | None:
    """Return the caller whose stream token is in the URL, None without one; asked only where one is taken.

    Raises:
        Unauthenticated: It does not hold.
        Invalid: There are two, or a credential beside it.
    """
    query: bytes = connection.scope.get("query_string", b"")
    given = [value for name, value in parse_qsl(query.decode("latin-1")) if name == PARAMETER]
    if not given:
        return None
    headers: list[tuple[bytes, bytes]] = connection.scope["headers"]
    if len(given) > 1 or any(name in _NAMES for name, _ in headers):
        raise Invalid("The request carries two credentials.", code="two_credentials")
    if door.stream_tokens is None:
        raise Unauthenticated("This server gives out no stream tokens.")
    caller, thread_id = await door.stream_tokens.open(given[0])
    connection.scope.setdefault("state", {})["only_thread"] = thread_id
    return caller


def only_thread(scope: Any) -> str | None:
    """Return the one thread that this request or socket is good for, None where it is good for all of its caller's."""
    return scope.get("state", {}).get("only_thread")


def check_thread(scope: Any, thread_id: str | None) -> None:
    """Refuse another thread than the one that the token in the URL is for, as if it were not there. Raises NotFound."""
    only = only_thread(scope)
    if only is not None and thread_id != only:
        raise NotFound("There is no such thing on the thread of this stream token.")
