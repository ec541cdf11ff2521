"""Which running server is meant, and one call to it. The HTTP client is loaded when a call is made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from landline.cli.loaded import settings_of

if TYPE_CHECKING:
    from landline.cli.remote import Remote


def ask(url: str | None, api_key: str | None, call: "Callable[[Remote], Awaitable[Any]]") -> Any:
    """Call the server that the options and the settings mean."""

    async def run() -> Any:
        from landline.cli.remote import remote

        async with remote(settings_of({"url": url, "api_key": api_key})) as server:
            return await call(server)

    return asyncio.run(run())
