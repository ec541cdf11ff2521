"""The headers that tell a browser to trust a response with nothing (TRU-13); a response's own win over them."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["HSTS", "SECURITY", "Hardened", "harden"]

SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""A year, for this name alone: what is below it may be somebody else's."""


def harden(headers: MutableHeaders) -> None:
    """Add what a response does not say itself, where no guard does it: routes that were mounted into a host's app."""
    for name, value in SECURITY:
        headers.setdefault(name.decode(), value.decode())


class Hardened(Response):
    """A response that another app makes, hardened when it begins: its headers are not known before."""

    def __init__(self, made: Response) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({})
        self._made = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the other app answer."""

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                harden(headers)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._made(scope, receive, hardened)
