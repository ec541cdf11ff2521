"""The doors of a server with every face, and the scopes each declares: `python -m tests.doors.served` writes them down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi.routing import iter_route_contexts

from landline.app.build import Landline
from landline.web.route import scopes_of

WRITTEN = Path(__file__).with_name("scopes.txt")


def routes() -> Iterator[tuple[str, Any]]:
    """Yield method and path with the endpoint; a socket's method is WS."""
    app: Any = Landline([_nothing], open=False, faces=["all"]).app
    for context in iter_route_contexts(app._app.routes):
        for method in sorted(context.methods or {"WS"}):
            yield f"{method} {context.path}", context.endpoint


def served() -> dict[str, tuple[Any, ...]]:
    """Return the scopes by method and path."""
    return {door: tuple(scopes_of(endpoint) or ()) for door, endpoint in routes()}


def _nothing(text: str) -> str:
    return text


def lines(doors: dict[str, tuple[Any, ...]]) -> str:
    """Return one line a door: who may do what, to be read by a reviewer."""
    told = {
        door: ", ".join(needed if isinstance(needed, str) else " or ".join(needed) for needed in scopes)
        for door, scopes in doors.items()
    }
    return "".join(f"{door}: {scopes or 'public'}\n" for door, scopes in sorted(told.items()))


if __name__ == "__main__":
    WRITTEN.write_text(lines(served()), encoding="utf-8")
