"""Headers that the routes of the unit share, with their limits in the document."""

from typing import Annotated, Final

from fastapi import Header

__all__ = ["RUN_HEADER", "THREAD_HEADER", "IdempotencyParam", "ThreadParam"]

RUN_HEADER: Final = "x-landline-run"
THREAD_HEADER: Final = "x-landline-thread"

IdempotencyParam = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeat with the same key and body gets the first answer, marked `Idempotency-Replayed: true`.",
    ),
]
ThreadParam = Annotated[
    str | None,
    Header(
        alias="X-Landline-Thread",
        min_length=1,
        max_length=256,
        description="The id of a thread of yours, or a name for one that you make up.",
    ),
]
