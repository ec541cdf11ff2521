"""The OpenAPI document and a page that shows it, offline and under a strict policy: the viewer comes from a package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from landline.model.errors import NotFound
from landline.web.door import Door
from landline.web.route import Entry, LandlineRoute, add_routes, public

__all__ = ["docs"]

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Every address is relative, so that the page works below any mount.
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Landline API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="page"><noscript>The document itself is at <a href="openapi.json">openapi.json</a>.</noscript></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#page", deepLinking: true, displayRequestDuration: true, docExpansion: "list",
  defaultModelsExpandDepth: 0, tryItOutEnabled: true, persistAuthorization: false, validatorUrl: null
});
"""


def docs(door: Door) -> APIRouter:
    """Return the document and its page as a router; the app itself is made with `openapi_url=None`."""
    router = APIRouter(route_class=LandlineRoute.bound(door))
    add_routes(router, _DocsRoutes().routes(), tag="docs")
    return router


class _DocsRoutes:
    """The handlers, and the table that says where they are; for an app of its own, not for a host's."""

    @public
    async def document(self, request: Request) -> Response:
        """Return the OpenAPI document of the app these routes are in."""
        return Response(msgspec.json.encode(request.app.openapi()), media_type="application/json")

    @public
    async def page(self) -> Response:
        """Return the page."""
        return Response(_PAGE, media_type="text/html", headers={"content-security-policy": _POLICY})

    @public
    async def start(self) -> Response:
        """Return the script that starts the viewer."""
        return Response(_START, media_type="text/javascript", headers={"cache-control": "no-cache"})

    @public
    async def asset(self, name: str) -> Response:
        """Return a file of the viewer."""
        if name not in _ASSETS:
            raise NotFound("There is nothing here.")
        return FileResponse(
            _folder() / name, media_type=_ASSETS[name], headers={"cache-control": "max-age=3600"}
        )

    def routes(self) -> list[Entry]:
        """Return the table."""
        hidden = {"include_in_schema": False}
        return [
            Entry(method="GET", path="/openapi.json", endpoint=self.document, name="openapi", summary="The document", docs=hidden),
            Entry(method="GET", path="/docs", endpoint=self.page, name="docs", summary="The page", docs=hidden),
            Entry(method="GET", path="/docs/start.js", endpoint=self.start, name="docs_start", summary="Its script", docs=hidden),
            Entry(method="GET", path="/docs/{name}", endpoint=self.asset, name="docs_asset", summary="Its files", docs=hidden),
        ]  # fmt: skip


def _folder() -> Path:
    # Found, not imported: the package is wanted for the viewer's files only.
    spec = find_spec("fastapi_offline")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("The viewer's files are not installed; the document itself is at openapi.json.")
    return Path(spec.submodule_search_locations[0]) / "static"
