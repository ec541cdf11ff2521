"""`landline openapi`: the document that clients are generated from, exactly as a server gives it."""

import asyncio
from typing import Any

import typer

from landline.cli.loaded import settings_of
from landline.cli.output import show_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the faces that are switched on."""
    show_json(asyncio.run(_document()))


async def _document() -> Any:
    import httpx

    from landline.app.build import build

    instance = build(settings_of({"docs": True}), [], open=True)
    transport = httpx.ASGITransport(instance.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return (await http.get("/openapi.json")).raise_for_status().json()
