"""Nobody gets in where they do not belong: every door, every kind of caller, every verb (TRU-5, THR-2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from landline.model.callers import ALL_SCOPES
from tests.doors.served import WRITTEN, lines, served
from tests.doors.table import DOORS, MESSAGES, Try
from tests.doors.world import World, normal, world_of

FILLERS = {"agent": "talk", "name": "x.js", "model": "talk"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = asyncio.run(world_of(tmp_path_factory.mktemp("doors")))
    yield made
    made.process.kill()


SERVED = served()


@pytest.mark.contract("TRU-5")
def test_what_a_door_asks_for_changes_only_on_purpose() -> None:
    assert lines(SERVED) == WRITTEN.read_text(encoding="utf-8"), "see python -m tests.doors.served"


@pytest.mark.contract("TRU-5")
def test_every_door_is_in_the_matrix() -> None:
    http = {door for door in SERVED if not door.startswith("WS ")}
    assert http == set(DOORS)
    assert {door.removeprefix("WS ") for door in SERVED if door.startswith("WS ")} == set(MESSAGES)
    bare = [door for door in DOORS if "{" in door and not DOORS[door] and not _harmless(door)]
    assert not bare, "these doors take an id and nobody tries it"


def _harmless(door: str) -> bool:
    """Names of agents, models and files of the package are the same for everybody."""
    return all(part.strip("{}") in FILLERS for part in door.split("/") if part.startswith("{"))


def _filled(door: str, world: World) -> tuple[str, str]:
    """Return method and a path of a door, with ids of nobody."""
    method, path = door.split(" ", 1)
    names = {
        part: part
        for part in ("thread", "run", "file", "conversation", "item", "response", "session", "key", "user")
    }
    for part in path.split("/"):
        if "{" in part:
            name = part[part.index("{") + 1 : part.index("}")].split(":")[0]
            known = world.never().get(names.get(name.removesuffix("_id"), "run"), "x")
            path = path.replace(part[part.index("{") : part.index("}") + 1], FILLERS.get(name, known))
    return method, path


async def ask(
    client: httpx.AsyncClient, method: str, attempt: Try, ids: dict[str, str], *, within_s: float = 20
) -> tuple[Any, ...]:
    """Return what a stranger could tell apart of an answer."""
    path, body = attempt.with_ids(ids)
    headers = {name: ids.get(value.strip("{}"), value) for name, value in attempt.headers.items()}
    async with asyncio.timeout(within_s):
        answer = await client.request(method, path, json=body, headers=headers)
    request_id = answer.headers.get("x-request-id", "none")
    told = {
        name: normal(value.replace(request_id, "<request>"), ids)
        for name, value in answer.headers.items()
        if name not in {"date", "content-length"}
    }
    return answer.status_code, told, normal(answer.text.replace(request_id, "<request>"), ids)


TRIES = sorted(
    ((door, attempt) for door, attempts in DOORS.items() for attempt in attempts),
    key=lambda one: one[1].made,  # last: what a caller makes under her name is there from then on
)


@pytest.mark.contract("THR-2", "TRU-5", "TRU-19")
@pytest.mark.parametrize("who", ["colleague", "stranger", "rival", "gateway"])
async def test_a_foreign_id_is_answered_like_one_that_never_was(world: World, who: str) -> None:
    before, differing = world.rows_of_alice(), list[str]()
    async with world.client(who) as client:
        for door, attempt in TRIES:
            method = door.split(" ", 1)[0]
            hers = await ask(client, method, attempt, world.ids)
            nobodys = await ask(client, method, attempt, world.never())
            if hers != nobodys:
                differing.append(f"{door} {attempt.path} {attempt.body}:\n  {hers}\n  {nobodys}")
            if "secret-of-alice" in str(hers) and "q=secret" not in attempt.path:
                differing.append(f"{door} {attempt.path}: told her words")
    assert not differing, "\n".join(differing)
    assert world.rows_of_alice() == before, "somebody changed what is hers"


@pytest.mark.contract("THR-2", "RUN-8")
async def test_an_approver_sees_her_question_and_nothing_else(world: World) -> None:
    deciding = ("/answers", "/mcp")
    async with world.client("approver") as client:
        for door, attempt in TRIES:
            if not any(word in door for word in deciding) and "approv" not in json.dumps(
                [attempt.path, attempt.body]
            ):
                method = door.split(" ", 1)[0]
                hers, nobodys = (
                    await ask(client, method, attempt, world.ids),
                    await ask(client, method, attempt, world.never()),
                )
                assert hers == nobodys, door
        inbox = (await client.get("/api/v1/approvals")).json()["items"]
        assert world.ids["question"] in {entry["question_id"] for entry in inbox}
        assert "secret-of-alice" not in json.dumps(inbox)


@pytest.mark.contract("TRU-1", "TRU-5")
@pytest.mark.parametrize("who", [None, "revoked"])
async def test_without_a_key_that_holds_only_public_doors_open(world: World, who: str | None) -> None:
    async with world.client(who) as client:
        for door, scopes in SERVED.items():
            if door.startswith("WS "):
                continue
            method, path = _filled(door, world)
            answer = await client.request(method, world.url + path)
            if not scopes and "docs/{name}" not in door:
                assert answer.status_code < 400 or method == "POST", door
                assert answer.status_code not in {401, 403}, door
            elif scopes:
                assert answer.status_code == 401, (door, answer.status_code, answer.text)
                assert answer.headers["www-authenticate"].startswith("Bearer"), door


@pytest.mark.contract("TRU-5")
async def test_every_door_asks_for_the_scopes_it_declares(world: World) -> None:
    async with world.client("powerless") as files_only, world.client("idler") as agents_only:
        for door, scopes in SERVED.items():
            if door.startswith("WS ") or not scopes or any(set(ALL_SCOPES) <= set(one) for one in scopes):
                continue
            client = agents_only if "files:read" in scopes else files_only
            method, path = _filled(door, world)
            answer = await client.request(method, world.url + path, content=b"{ not json")
            assert answer.status_code == 403, (door, answer.status_code, answer.text)
            assert "scope" in answer.text, door


@pytest.mark.contract("TRU-5")
async def test_a_key_that_reads_changes_nothing(world: World) -> None:
    before = world.rows_of_alice()
    async with world.client("reader") as client:
        for door, attempt in TRIES:
            method = door.split(" ", 1)[0]
            if any("write" in needed for needed in SERVED[door]) or "admin" in SERVED[door]:
                assert (await ask(client, method, attempt, world.ids))[0] == 403, door
            elif method != "GET":
                with suppress(TimeoutError):  # she may watch what is hers, and what waits says nothing more
                    await ask(client, method, attempt, world.ids, within_s=1)
    assert world.rows_of_alice() == before


@pytest.mark.contract("TRU-5")
async def test_a_verb_that_a_path_has_not_is_refused(world: World) -> None:
    async with world.client("alice") as client:
        for door in DOORS:
            _, path = _filled(door, world)
            template = door.split(" ", 1)[1]
            for method in ("PUT", "TRACE", "PROPFIND"):
                if f"{method} {template}" not in DOORS:
                    answer = await client.request(method, world.url + path)
                    assert answer.status_code in {404, 405}, (method, path, answer.status_code)


async def converse(world: World, who: str | None, path: str, message: Any, ids: dict[str, str]) -> list[str]:
    """Return what a socket answers to one message, until it is silent or says that it is done."""
    text = json.dumps(message)
    for name, id_ in ids.items():
        text = text.replace("{" + name + "}", id_)
    headers = {} if who is None else {"X-API-Key": world.keys[who]}
    url = world.url.replace("http", "ws") + path
    told: list[str] = []
    async with connect(url, additional_headers=headers) as socket:
        await socket.send(text)
        try:
            async with asyncio.timeout(10):
                while True:
                    said = str(await socket.recv())
                    told.append(normal(said, ids))
                    if json.loads(said).get("type") in {"error", "ack"}:
                        return told
        except ConnectionClosed as closed:
            return [*told, str(closed.rcvd)]


@pytest.mark.contract("THR-2", "TRU-5", "FACE-5")
@pytest.mark.parametrize("who", ["colleague", "stranger"])
async def test_a_socket_knows_a_foreign_id_as_little(world: World, who: str) -> None:
    before = world.rows_of_alice()
    for path, messages in MESSAGES.items():
        for message in messages:
            hers = await converse(world, who, path, message, world.ids)
            nobodys = await converse(world, who, path, message, world.never())
            assert hers == nobodys, message
            assert '"ack"' not in hers[-1], message
    assert world.rows_of_alice() == before


@pytest.mark.contract("TRU-1", "TRU-5", "FACE-5")
@pytest.mark.parametrize(("who", "status"), [(None, 401), ("revoked", 401), ("powerless", 403)])
async def test_a_socket_is_shut_to_who_may_not(world: World, who: str | None, status: int) -> None:
    headers = {} if who is None else {"X-API-Key": world.keys[who]}
    for path in MESSAGES:
        url = world.url.replace("http", "ws") + path.replace("{client_id}", world.ids["client"])
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=headers):
                pass
        assert refused.value.response.status_code == status, path
