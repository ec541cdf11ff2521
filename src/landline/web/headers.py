"""The headers that tell a browser to trust a response with nothing (TRU-13); a response's own win over them."""

from typing import Final

from starlette.datastructures import MutableHeaders

__all__ = ["HSTS", "SECURITY", "harden"]

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
