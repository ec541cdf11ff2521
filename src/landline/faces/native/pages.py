"""The plain page at `/simple` (UI-8): three files of its own, nothing from elsewhere, under a strict policy."""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from landline.web.route import Entry, public

__all__ = ["PageRoutes"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}


class PageRoutes:
    """The handlers, and the table that says where they are. The page holds nothing secret; its requests are admitted."""

    def __init__(self, *, sign_in: bool = False) -> None:
        """With `sign_in` the page offers to sign in at the owner's provider."""
        self._sign_in = sign_in

    @public
    async def html(self) -> Response:
        """Return the page."""
        return _file("html", {b"<body>": b"<body data-sign-in>"} if self._sign_in else {})

    @public
    async def script(self) -> Response:
        """Return its script."""
        return _file("js")

    @public
    async def style(self) -> Response:
        """Return its style."""
        return _file("css")

    def routes(self) -> list[Entry]:
        """Return the table."""
        hidden = {"include_in_schema": False}
        return [
            Entry(method="GET", path="/simple", endpoint=self.html, name="simple", summary="A plain page", docs=hidden),
            Entry(method="GET", path="/simple.js", endpoint=self.script, name="simple_js", summary="Its script", docs=hidden),
            Entry(method="GET", path="/simple.css", endpoint=self.style, name="simple_css", summary="Its style", docs=hidden),
        ]  # fmt: skip


def _file(kind: str, instead: Mapping[bytes, bytes] = MappingProxyType({})) -> Response:
    data = files("landline.faces.native").joinpath(f"simple.{kind}").read_bytes()
    for old, new in instead.items():
        data = data.replace(old, new, 1)
    headers = {"content-security-policy": _POLICY, "cache-control": "no-cache", "content-type": _TYPES[kind]}
    return Response(data, headers=headers)
