"""Rules for the scopes that routes declare, over every face that is installed (TRU-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from landline.web.caller import Needed
from landline.web.face import FacePorts
from landline.web.route import scopes_of
from tests.faces.fakes import World, native_ports

FACES = sorted(
    point.name for point in entry_points(group="landline.faces") if point.value.startswith("landline.faces.")
)
SAFE = {"GET", "HEAD"}
EACH_OPERATION_ASKS = ("/a2a/", "/mcp", "/api/v1/ws")
"""One address for many operations, of which each asks for the scopes of its own; their faces' tests look at those."""

READS_ALL_THE_SAME = {"/admin/agents"}
"""A list that its tutorial asks for by POST."""

FOR_EVERYBODY = {"/livez", "/readyz", "/health", "/simple", "/simple.js", "/simple.css"}


def routes_of(name: str) -> Iterator[tuple[str, str, tuple[Needed, ...]]]:
    """Yield method, path and scopes of each route of a face; a socket's method is WS."""
    (point,) = entry_points(group="landline.faces", name=name)
    face: Callable[[FacePorts], APIRouter] = point.load()
    for context in iter_route_contexts(face(native_ports(World())).routes):
        methods: Any = getattr(context.original_route, "methods", None) or {"WS"}
        for method in sorted(methods):
            yield method, str(context.path), tuple(scopes_of(context.endpoint) or ())


@pytest.mark.contract("TRU-5")
@pytest.mark.parametrize("name", FACES)
def test_only_what_tells_nothing_of_anybody_is_for_everybody(name: str) -> None:
    assert {path for _, path, scopes in routes_of(name) if not scopes} <= FOR_EVERYBODY


@pytest.mark.contract("TRU-5")
@pytest.mark.parametrize("name", FACES)
def test_whoever_may_only_read_changes_nothing(name: str) -> None:
    """A key for a dashboard is handed around more freely than one that starts runs."""
    weak = [
        f"{method} {path}: {scopes}"
        for method, path, scopes in routes_of(name)
        if method not in SAFE
        and not path.startswith(EACH_OPERATION_ASKS)
        and path not in READS_ALL_THE_SAME
        and all(isinstance(scope, str) and scope.endswith(":read") for scope in scopes)
    ]
    assert not weak
    assert list(routes_of(name))
