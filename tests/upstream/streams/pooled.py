"""A client with our pool under it, and a look at what the pool holds."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2

from landline.upstream.streams import fit
from landline.upstream.streams.pool import Pool
from tests.upstream.streams.provider import Answer

__all__ = ["ANSWER", "BOUND_S", "LIBRARIES", "answers", "places", "pooled", "until"]

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BOUND_S = 20.0


@asynccontextmanager
async def pooled(library: Any, **options: Any) -> AsyncGenerator[Any]:
    async with library.AsyncClient(verify=False, trust_env=False, **options) as client:
        assert fit(client).fitted
        assert isinstance(client._transport._pool, Pool)
        async with asyncio.timeout(BOUND_S):
            yield client


def places(client: Any) -> Any:
    return client._transport._pool._places


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what the other side has seen by now raises no event here
        await asyncio.sleep(0)


async def answers(answer: Answer) -> None:
    await answer.raw(ANSWER)
