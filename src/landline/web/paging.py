"""Paging: a limit of 1 to 200 and an opaque cursor, the same words on every list (WIRE-1)."""

from typing import Annotated

from fastapi import Query

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "CursorParam", "LimitParam"]

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

LimitParam = Annotated[
    int, Query(ge=1, le=MAX_LIMIT, description="Items on a page.", examples=[DEFAULT_LIMIT])
]
CursorParam = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=1024,
        description="`next_cursor` of the page before; leave out for the first.",
    ),
]
