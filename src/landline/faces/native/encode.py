"""The model as native wire bytes (WIRE-1): pure functions. A framework's own messages never leave the server."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from landline.model.events import Stamped
from landline.model.messages import Message
from landline.model.threads import Page, Thread

__all__ = ["event_page", "json_response", "message", "message_page", "page", "thread_with_messages"]

_SHOWN: Final = tuple(name for name in Message.__struct_fields__ if name != "native")
_encode: Final = msgspec.json.Encoder().encode


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` (a struct, plain data, or JSON bytes) as a response."""
    return Response(
        value if isinstance(value, bytes) else _encode(value), status, headers, media_type="application/json"
    )


def message(shown: Message) -> dict[str, Any]:
    """Return a message without its native form."""
    return {name: getattr(shown, name) for name in _SHOWN}


def page(found: Page[Any]) -> bytes:
    """Return a page; `next_cursor` is absent on the last."""
    return _encode(_page(found.items, found.next_cursor))


def message_page(found: Page[Message]) -> bytes:
    """Return a page of messages."""
    return _encode(_page(map(message, found.items), found.next_cursor))


def thread_with_messages(thread: Thread, messages: Page[Message] | None) -> bytes:
    """Return a thread, with the first page of its messages when there is one."""
    if messages is None:
        return _encode(thread)
    fields = msgspec.structs.asdict(thread)
    return _encode({**fields, "messages": _page(map(message, messages.items), messages.next_cursor)})


def event_page(events: Sequence[Stamped], *, after: int) -> bytes:
    """Return events as `{items, next_after}`: `next_after` is the cursor to go on from, at the tail too."""
    last = events[-1].seq if events else after
    return b'{"items":[%s],"next_after":%d}' % (b",".join([event.wire for event in events]), last)


def _page(items: Iterable[Any], next_cursor: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"items": list(items)}
    if next_cursor is not None:
        shown["next_cursor"] = next_cursor
    return shown
