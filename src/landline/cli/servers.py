"""Which running server is meant, and one call to it. The HTTP client is loaded when a call is made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from landline.cli.loaded import settings_of

if TYPE_CHECKING:
    from landline.app.settings import Settings
    from landline.cli.remote import Remote

__all__ = ["address_of", "ask"]


def address_of(settings: "Settings") -> str:
    """Return the URL of the server that the settings mean."""
    if settings.url:
        return settings.url.rstrip("/")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - where to call, not bind
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def ask(url: str | None, api_key: str | None, call: "Callable[[Remote], Awaitable[Any]]") -> Any:
    """Call the server that the options and the settings mean."""

    async def run() -> Any:
        from landline.cli.remote import remote

        async with remote(settings_of({"url": url, "api_key": api_key})) as server:
            return await call(server)

    return asyncio.run(run())
