"""Headers and path parameters that several routes share, with their limits in the document."""

from typing import Annotated

from fastapi import Header, Path, Query

__all__ = ["AfterParam", "IdParam", "IdempotencyParam", "LastEventId"]

_ID = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
_CURSOR = r"^[0-9]{1,18}$"

IdParam = Annotated[str, Path(max_length=64, examples=[_ID])]
IdempotencyParam = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeat with the same key and body gets the first answer, marked `Idempotency-Replayed: true`.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]
AfterParam = Annotated[
    str | None,
    Query(
        pattern=_CURSOR, description="The last `seq` that was seen; events after it follow.", examples=["12"]
    ),
]
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=_CURSOR,
        description="As `after`, and wins over it: a browser that comes back repeats its URL and adds this header.",
        examples=["12"],
    ),
]
