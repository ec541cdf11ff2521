"""Routes that are built when they are first needed: nothing is lost of them, and a start builds none."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.responses import Response

import landline
from landline.app.build import Landline
from landline.web.late_route import LateRoute, join

pytestmark = pytest.mark.contract("PRF-6")


class Answer(BaseModel):
    number: int


async def greet(name: str, loud: bool = False) -> Response:
    """Greet somebody."""
    return Response(f"hello {name}{'!' if loud else ''}")


def table(route_class: type[APIRoute]) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=route_class)
    made: Any = Answer if route_class is APIRoute else partial(lambda: Answer)
    answers: dict[int | str, dict[str, Any]] = {200: {"model": made, "description": "A number."}}
    router.add_api_route("/greet/{name}", greet, responses=answers, response_model=None, tags=["words"])
    router.add_api_route("/send/{name}", greet, methods=["POST"], name="send", response_model=None)
    router.add_api_route("/hidden", greet, include_in_schema=False, response_model=None)
    return router


def built(routes: Any) -> list[str]:
    return [route.name for route in routes if isinstance(route, LateRoute) and "app" in vars(route)]


def late(routes: Any) -> list[LateRoute]:
    return [route for route in routes if isinstance(route, LateRoute)]


@pytest.mark.parametrize("included", [False, True])
def test_its_document_is_the_one_of_a_plain_route(included: bool) -> None:
    documents: list[Any] = []
    for route_class in (APIRoute, LateRoute):
        app = FastAPI()
        if included or route_class is APIRoute:
            app.include_router(table(route_class))
        else:
            join(app.router, [table(route_class)])
        documents.append(app.openapi())
    assert documents[0] == documents[1]
    assert "Answer" in documents[1]["components"]["schemas"]


async def test_a_request_builds_the_route_it_is_for_and_no_model_of_an_answer() -> None:
    app = FastAPI()
    join(app.router, [table(LateRoute)])
    assert len(late(app.router.routes)) == 3
    assert built(app.router.routes) == []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        for _ in range(2):
            said = await client.get("/v1/greet/ann?loud=yes")
            assert (said.status_code, said.text) == (200, "hello ann!")
        assert (await client.get("/v1/greet/ann?loud=maybe")).status_code == 422
        assert (await client.get("/v1/send/ann")).status_code == 405
        assert (await client.get("/v1/nothing")).status_code == 404
    assert built(app.router.routes) == ["greet"]
    (route, *_) = late(app.router.routes)
    assert "response_fields" not in vars(route)
    assert list(route.response_fields) == [200]


def test_what_is_not_there_is_told_as_of_any_object() -> None:
    (route, *_) = late(table(LateRoute).routes)
    for _ in range(2):
        with pytest.raises(AttributeError, match="'LateRoute' object has no attribute 'no_such_thing'"):
            route.no_such_thing  # noqa: B018 - asking is the test


def test_a_signature_that_cannot_be_read_is_told_when_the_document_is_made() -> None:
    async def broken(given: "list[Response]") -> None:
        """Take what nothing can read."""

    app = FastAPI()
    app.router.routes.append(LateRoute("/broken", broken, response_model=None))
    for _ in range(2):
        with pytest.raises(FastAPIError):
            app.openapi()


def test_a_joined_router_keeps_its_lifespan_and_the_routers_inside_it() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[dict[str, str]]:
        seen.append("begun")
        yield {"of": "the face"}
        seen.append("ended")

    inner = APIRouter()
    inner.add_api_route("/inner", partial(greet, "inner"), response_model=None)
    face = APIRouter(lifespan=lifespan)
    face.include_router(inner)
    face.include_router(table(LateRoute))
    app = FastAPI()
    join(app.router, [face])
    with TestClient(app) as client:
        assert client.get("/inner").text == "hello inner"
        assert client.get("/v1/greet/bob").text == "hello bob"
        assert seen == ["begun"]
    assert seen == ["begun", "ended"]


def test_a_server_is_made_without_building_a_route(tmp_path: Path) -> None:
    agent = landline.agent(greet, name="greet")
    guard: Any = Landline([agent], open=True, data=tmp_path, faces=("all",)).app
    routes = guard._app.router.routes
    assert len(late(routes)) > 60
    assert built(routes) == []
