"""The bank's queries over HTTP: ids of the thread, curl's own content type, and whose name a request may bear."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from landline.testing.faces.tutorials import (
    check_queries,
)
from tests.faces.fakes import World
from tests.faces.tutorials_app import LESSON, LOCAL_KEY, open_session, query, reached

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reached(world) as found:
        yield found


@pytest.fixture
async def keyed(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with reached(world, open_=False) as found:
        yield found


@pytest.mark.contract("FACE-3")
async def test_a_query_answers_with_the_ids_of_the_thread(client: httpx.AsyncClient, world: World) -> None:
    thread_id = await open_session(client)
    answer = await query(client, thread_id, headers={})
    (run,) = world.run_rows.values()
    assert answer.json() == {"thread_id": thread_id, "message_id": run.message_id, "response": "Hello"}
    streamed = await query(client, thread_id, headers={}, route="stream")
    asked = check_queries(streamed.text, streamed.headers["content-type"])
    assert list(asked.messages.values()) == [["Hello"]]


@pytest.mark.contract("FACE-3", "TRU-13")
@pytest.mark.parametrize("route", ["query", "stream"])
@pytest.mark.parametrize("credential", [LOCAL_KEY, {"Authorization": "Bearer key-local"}])
async def test_curls_own_content_type_is_taken_with_a_credentials_header_only(
    client: httpx.AsyncClient, keyed: httpx.AsyncClient, route: str, credential: dict[str, str]
) -> None:
    thread_id = await open_session(client)
    for kind in ({"Content-Type": FORM}, {"Content-Type": f"{FORM}; charset=utf-8"}, {}):
        taken = await query(keyed, thread_id, headers={**credential, **kind}, route=route, raw=True)
        assert taken.status_code == 200, taken.text
        # A page of another origin could send this; the open server would believe it.
        refused = await query(client, thread_id, headers=kind, route=route, raw=True)
        assert (refused.status_code, refused.json()["error"]) == (415, "Unsupported Media Type")
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        headers = {**credential, "Content-Type": kind}
        assert (await query(keyed, thread_id, headers=headers, route=route, raw=True)).status_code == 415
    assert (await keyed.post("/chat", content=json.dumps(LESSON), headers=LOCAL_KEY)).status_code == 415


@pytest.mark.contract("FACE-3")
async def test_an_empty_body_is_refused_with_or_without_a_key(keyed: httpx.AsyncClient) -> None:
    empty = await keyed.post("/api/v1/agent/query", headers=LOCAL_KEY)
    assert (empty.status_code, empty.json()["error"]) == (422, "Validation error")
    form = {**LOCAL_KEY, "Content-Type": FORM}
    words = await keyed.post("/api/v1/agent/query", content=b"query=a&thread_id=b", headers=form)
    assert words.status_code == 400


@pytest.mark.contract("FACE-3", "TRU-4")
async def test_a_user_id_may_only_be_the_keys_own(
    client: httpx.AsyncClient, keyed: httpx.AsyncClient, world: World
) -> None:
    thread_id = await open_session(client)
    own = await query(keyed, thread_id, headers={**LOCAL_KEY, "X-User-ID": "local"})
    assert own.status_code == 200
    before = len(world.run_rows)
    other = await query(keyed, thread_id, headers={**LOCAL_KEY, "X-User-ID": "other"})
    assert (other.status_code, other.json()["error"]) == (403, "Forbidden")
    assert len(world.run_rows) == before
    anybody = await query(client, thread_id, headers={"X-User-ID": "123e4567-e89b-12d3-a456-426614174000"})
    assert (anybody.status_code, anybody.json()["error"]) == (403, "Forbidden")
    assert (await query(client, thread_id, headers={})).status_code == 200
