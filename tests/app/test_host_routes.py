"""Routes of a host app as tools: which are exported, what they take, and how they are called."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Form, Header, HTTPException, Query, Request, Security
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

import landline
from landline.app.host_routes import ExportedRoutes
from landline.model.errors import Invalid, NotFound, Unavailable

pytestmark = pytest.mark.contract("FACE-11")


class Place(BaseModel):
    city: str
    zip: str | None = None


class Note(BaseModel):
    title: str
    place: Place | None = None


oauth = OAuth2PasswordBearer(tokenUrl="token")


def require_admin() -> None:
    return None


class AdminOnly:
    def __call__(self) -> None:
        return None


def caller(
    authorization: Annotated[str | None, Header()] = None, x_api_key: Annotated[str | None, Header()] = None
) -> str:
    if authorization is None and x_api_key is None:
        raise HTTPException(401, "Who are you?")
    return authorization or x_api_key or ""


def host() -> FastAPI:  # noqa: C901 - a route of each kind
    app = FastAPI()
    notes = APIRouter(prefix="/notes", tags=["notes"])

    @notes.get("", operation_id="list_notes", summary="List notes")
    async def find(
        who: Annotated[str, Depends(caller)], tag: Annotated[list[str] | None, Query()] = None
    ) -> list[Note]:
        return [Note(title=f"{who}:{','.join(tag or [])}")]

    @notes.post("", operation_id="create_note", status_code=201)
    async def create(note: Note) -> Note:
        """Make a note."""
        return note

    @notes.get("/{note_id}", operation_id="get_note")
    async def get(note_id: int) -> Note:
        if note_id > 9:
            raise HTTPException(404, "No such note.")
        return Note(title=str(note_id), place=Place(city="Ulm"))

    @notes.delete("/{note_id}/pages/{page}", operation_id="delete_page", status_code=204)
    async def delete(note_id: int, page: str) -> None:
        return None

    @notes.post("/many", operation_id="create_many")
    async def many(body: list[Note]) -> int:
        return len(body)

    @notes.get("/seen/headers", operation_id="seen")
    async def seen(request: Request) -> dict[str, str]:
        return dict(request.headers)

    @notes.get("/fails/now", operation_id="fails")
    async def fails() -> None:
        raise RuntimeError("secret")

    @notes.delete("/{note_id}", operation_id="purge", tags=["admin"])
    async def purge(note_id: int) -> None: ...
    @notes.get("/admin/all", operation_id="all_of_all")
    async def everything() -> None: ...
    @notes.get("/x/one", operation_id="by_name", dependencies=[Depends(require_admin)])
    async def by_name() -> None: ...
    @notes.get("/x/two", operation_id="by_class", dependencies=[Depends(AdminOnly())])
    async def by_class() -> None: ...
    @notes.get("/x/three", operation_id="by_scope", dependencies=[Security(oauth, scopes=["notes:admin"])])
    async def by_scope() -> None: ...
    @notes.get("/x/files/{path:path}", operation_id="by_path")
    async def by_path(path: str) -> None: ...
    @notes.post("/x/form", operation_id="by_form")
    async def by_form(a: Annotated[str, Form()]) -> None: ...
    @notes.get("/x/cookie", operation_id="by_cookie")
    async def by_cookie(a: Annotated[str, Cookie()]) -> None: ...
    @notes.get("/x/hidden", operation_id="hidden", include_in_schema=False)
    async def hidden() -> None: ...

    app.include_router(notes, prefix="/v1")

    @app.get("/else", operation_id="untagged")
    async def other() -> None: ...

    admins = APIRouter(tags=["notes"])

    @admins.get("/behind", operation_id="behind")
    async def behind() -> None: ...

    app.include_router(admins, dependencies=[Depends(require_admin)])
    return app


def request(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": pairs, "state": {}}
    )


@pytest.fixture
def exported() -> ExportedRoutes:
    return landline.mcp_routes(host(), tags=["notes"])


def schema_of(exported: ExportedRoutes, name: str) -> dict[str, Any]:
    return dict(next(route for route in exported.list() if route.name == name).parameters)


def test_routes_with_the_tag_are_exported_and_those_for_admins_never(exported: ExportedRoutes) -> None:
    assert [route.name for route in exported.list()] == [
        "list_notes", "create_note", "get_note", "delete_page", "create_many", "seen", "fails",
    ]  # fmt: skip


def test_everything_is_not_a_choice() -> None:
    with pytest.raises(ValueError, match="tags"):
        landline.mcp_routes(host(), tags=[])


def test_a_body_of_fields_is_flat_and_brings_what_it_refers_to(exported: ExportedRoutes) -> None:
    schema = schema_of(exported, "create_note")
    assert schema["required"] == ["title"]
    assert set(schema["properties"]) == {"title", "place"}
    assert set(schema["$defs"]) == {"Place"}
    assert "#/components" not in str(schema)
    assert schema_of(exported, "create_many")["required"] == ["body"]


def test_what_it_answers_is_told_as_an_object(exported: ExportedRoutes) -> None:
    routes = {route.name: route for route in exported.list()}
    assert routes["get_note"].output_schema["properties"]["title"] == {"title": "Title", "type": "string"}
    assert routes["list_notes"].output_schema["required"] == ["result"]
    assert routes["delete_page"].output_schema == {}
    assert [routes[name].changes for name in ("list_notes", "create_note")] == [False, True]


async def test_arguments_go_where_they_belong(exported: ExportedRoutes) -> None:
    found = await exported.call(request(x_api_key="k"), "list_notes", {"tag": ["a", "b c"]})
    assert (found.status, found.data) == (200, [{"title": "k:a,b c", "place": None}])
    made = await exported.call(request(), "create_note", {"title": "T", "place": {"city": "Ulm"}})
    assert (made.status, made.data["place"]["city"]) == (201, "Ulm")
    assert (await exported.call(request(), "get_note", {"note_id": 7})).data["title"] == "7"
    assert (await exported.call(request(), "create_many", {"body": [{"title": "a"}]})).data == 1
    gone = await exported.call(request(), "delete_page", {"note_id": 1, "page": "a?b#c %2F"})
    assert (gone.status, gone.is_json) == (204, False)


async def test_the_hosts_own_refusals_are_told(exported: ExportedRoutes) -> None:
    assert (await exported.call(request(), "list_notes", {})).status == 401
    assert (await exported.call(request(), "get_note", {"note_id": 12})).data == {"detail": "No such note."}
    assert (await exported.call(request(), "get_note", {"note_id": "x"})).status == 422
    assert (await exported.call(request(), "create_note", {})).status == 422


@pytest.mark.contract("FACE-11", "TRU-17")
async def test_the_callers_credential_goes_along_and_nothing_else(exported: ExportedRoutes) -> None:
    sent = request(
        authorization="Bearer t", cookie="s=1", x_forwarded_for="1.2.3.4", host="localhost:1", x_own="1"
    )
    seen = (await exported.call(sent, "seen", {})).data
    assert seen == {
        "authorization": "Bearer t", "host": "localhost:1", "accept": "application/json", "user-agent": "landline-mcp",
    }  # fmt: skip


async def test_a_route_that_raises_tells_nothing_of_it(
    exported: ExportedRoutes, caplog: pytest.LogCaptureFixture
) -> None:
    found = await exported.call(request(), "fails", {})
    assert (found.status, found.body) == (500, b"Internal Server Error")
    assert "secret" in caplog.text


@pytest.mark.parametrize("page", ["", "a/b", "..", ".", "a\\b", None, "x\0"])
async def test_no_argument_reaches_another_route(exported: ExportedRoutes, page: str | None) -> None:
    with pytest.raises(Invalid, match="path"):
        await exported.call(request(), "delete_page", {"note_id": 1, "page": page})


async def test_unknown_arguments_and_routes_are_refused(exported: ExportedRoutes) -> None:
    with pytest.raises(Invalid, match="unknown"):
        await exported.call(request(), "get_note", {"note_id": 1, "admin": True})
    with pytest.raises(NotFound):
        await exported.call(request(), "purge", {"note_id": 1})


async def test_a_route_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landline.app.host_routes._TIMEOUT_S", 0.05)
    app = FastAPI()

    @app.get("/hangs", operation_id="hangs", tags=["t"])
    async def hangs() -> None:
        import asyncio

        await asyncio.Event().wait()

    with pytest.raises(Unavailable):
        await landline.mcp_routes(app, tags=["t"]).call(request(), "hangs", {})


def test_a_name_that_is_taken_counts_once() -> None:
    app = FastAPI()
    make: Callable[[], None] = lambda: None  # noqa: E731 - the least of endpoints
    app.get("/a", operation_id="same", tags=["t"])(make)
    app.get("/b", operation_id="same", tags=["t"])(make)
    assert len(landline.mcp_routes(app, tags=["t"]).list()) == 1
