"""Whoever writes into the database file makes data, never code: every column of every table, with what other formats would
run (TRU-15).
"""

from __future__ import annotations

import asyncio
import pickle
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.adapters.plain import PlainRun
from landline.app.build import Landline
from landline.app.settings import load_settings
from landline.app.upkeep import accounts
from landline.model.callers import LOCAL
from landline.model.errors import LandlineError
from landline.ports.people import KeyOrder

MARK = "executed"
UNREADABLE = {"storage_failed", "stored_data_unreadable", "internal", "file_not_found", "server_error"}
"""How a row is told that cannot be read; which one it is, the log says."""

CLOSED = {"alembic_version"}
"""What says which build may open the file: a wrong one is refused at the start, and has a test of its own."""


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (self._mark,))  # type: ignore[return-value]  # what a forger would write


def payloads(mark: Path) -> list[Any]:
    """What a tampered row may hold."""
    touch = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    named = f'{{"__class__":"pathlib:Path","landline.kind":"record","class":"subprocess:Popen","data":{{"args":["touch","{mark}"]}}}}'
    return [
        pickle.dumps(Bomb(mark)),
        f"!!python/object/apply:os.system ['touch {mark}']",
        named.encode(),
        f'{{"py/object":"os.system","type":"text","text":{touch!r}}}',
        b"\xff\xfe\x00" * 40,
        "[" * 5_000,
        -(2**63),
        touch,
    ]


async def asks(run: PlainRun) -> str:
    """Use a tool, then wait for an answer."""
    await run.text("Let me see. ")
    await run.tool("look", _look, name=run.input)
    return str(await run.ask("Go on?", kind="input"))


async def _look(name: str) -> str:
    return name


def server(folder: Path, *, open_: bool = True) -> Landline:
    return Landline([landline.agent(asks, name="asks")], open=open_, data=folder, faces="native,openai")


def client_of(instance: Landline) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(instance.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def filled(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Fill a database with an ended run, a waiting one, a file and a key; return what to ask of it, and with which key."""
    instance = server(folder)
    async with instance.started(), client_of(instance) as client:
        paths = ["/livez", "/readyz", "/api/v1/agents"]
        for number in range(2):
            answer = await client.post("/api/v1/runs", json={"agent": "asks", "input": "hi", "mode": "wait"},
                                       headers={"Idempotency-Key": f"k{number}"})  # fmt: skip
            run = answer.json()
            assert run["status"] == "waiting", run
            if number:
                given = [{"question_id": run["questions"][0]["question_id"], "value": "yes"}]
                await client.post(f"/api/v1/runs/{run['id']}/answers", json={"answers": given})
                async with asyncio.timeout(10):
                    while (await client.get(f"/api/v1/runs/{run['id']}")).json()["status"] != "completed":  # noqa: ASYNC110 - as a client that polls
                        await asyncio.sleep(0.01)
            thread = f"/api/v1/threads/{run['thread_id']}"
            paths += [
                f"/api/v1/runs/{run['id']}",
                f"/api/v1/runs/{run['id']}/events?limit=50",
                thread,
                f"{thread}/messages",
            ]
        file = (await client.post("/api/v1/files?name=a.txt", content=b"hello")).json()
        paths += [f"/api/v1/files/{file['id']}", f"/api/v1/files/{file['id']}/content"]
        paths += ["/api/v1/threads", "/api/v1/threads?q=see", "/api/v1/runs", "/api/v1/approvals"]
        response = (await client.post("/v1/responses", json={"model": "asks", "input": "hi"})).json()
        paths += [f"/v1/responses/{response['id']}", f"/v1/responses/{response['id']}/input_items"]
    async with accounts(load_settings(data=folder)) as (people, owner):
        key, _ = await people.make_key(owner, KeyOrder(user=LOCAL.user, tenant=LOCAL.tenant))
    return paths, {"X-API-Key": key}


def columns(database: Path) -> Iterator[tuple[str, str]]:
    with sqlite3.connect(database) as connection:
        tables = [
            name
            for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            if "VIRTUAL" not in sql and "_fts" not in name and not name.startswith("sqlite_")
        ]
        for table in tables:
            for row in connection.execute(f'PRAGMA table_info("{table}")'):
                if connection.execute(f'SELECT 1 FROM "{table}"').fetchone():
                    yield table, row[1]
    connection.close()


def tampered(database: Path, table: str, column: str, value: Any) -> bool:
    """Write a value into every row of a column; whether the database takes it."""
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        for (guard,) in connection.execute(
            guards
        ).fetchall():  # whoever owns the file can take these away too
            connection.execute(f'DROP TRIGGER "{guard}"')
        connection.execute(f'UPDATE OR IGNORE "{table}" SET "{column}" = ?', (value,))
        connection.commit()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return True


def restore(database: Path, good: Path, table: str) -> None:
    """Put a table's rows back as they were."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("ATTACH ? AS good", (str(good),))
    connection.execute(f'DELETE FROM "{table}"')
    connection.execute(f'INSERT INTO "{table}" SELECT * FROM good."{table}"')
    connection.commit()
    connection.close()


async def asked(client: httpx.AsyncClient, paths: list[str], key: dict[str, str]) -> dict[str, int]:
    told: dict[str, int] = {}
    for path in paths:
        async with asyncio.timeout(10):
            answer = await client.get(path, headers={**key, "Accept": "application/json"})
        told[path] = answer.status_code
        assert "Traceback" not in answer.text
        if answer.status_code >= 400:
            told_of = answer.json()
            code = told_of.get("code") or told_of["error"]["code"]
            assert answer.status_code < 500 or code in UNREADABLE, answer.text
    return told


@pytest.mark.timeout(300)
@pytest.mark.contract("TRU-15")
async def test_no_tampered_row_is_executed_or_stops_the_server(tmp_path: Path) -> None:
    """While it runs: every column; what cannot be read is told as such, and the rest is served on."""
    good, mark = tmp_path / "good", tmp_path / MARK
    paths, key = await filled(good)
    shutil.copytree(good, tmp_path / "kept")
    database, kept = good / "landline.db", tmp_path / "kept" / "landline.db"
    statuses: Counter[int] = Counter()
    tried = 0
    found = list(columns(database))
    for open_ in (True, False):
        instance = server(good, open_=open_)
        async with instance.started(), client_of(instance) as client:
            before = await asked(client, paths, key)
            assert set(before.values()) == {200}, before
            for number, (table, column) in enumerate(found):
                if table in CLOSED or (table == "api_keys") is open_:
                    continue
                for value in payloads(mark)[number % 4 :: 4]:
                    if tampered(database, table, column, value):
                        tried += 1
                        told = await asked(client, paths, key)
                        statuses.update(told.values())
                    restore(database, kept, table)
                assert not mark.exists(), f"{table}.{column} was executed"
            assert set((await asked(client, paths, key)).values()) == {200}
    print(f"{tried} tampered columns of {len({table for table, _ in found})} tables: {dict(statuses)}")
    assert tried > 100
    assert statuses[500] + statuses[507] > 0, "the rows were not even looked at"


@pytest.mark.timeout(300)
@pytest.mark.contract("TRU-15", "REL-1")
async def test_a_server_starts_over_tampered_rows(tmp_path: Path) -> None:
    """Recovery reads the rows of what was running; one that it cannot read must not keep the others from being served."""
    good, mark = tmp_path / "good", tmp_path / MARK
    await filled(good)
    refused: list[str] = []
    tried = 0
    for table, column in list(columns(good / "landline.db")):
        if table not in ("runs", "questions"):
            continue
        folder = tmp_path / "bad"
        shutil.copytree(good, folder)
        if tampered(folder / "landline.db", table, column, payloads(mark)[tried % 4]):
            tried += 1
            instance = server(folder)
            try:
                async with asyncio.timeout(20), instance.started(), client_of(instance) as client:
                    assert (await client.get("/readyz")).status_code == 200
            except (LandlineError, ValueError, TypeError, AttributeError) as error:
                refused.append(f"{table}.{column}: {error!r}")
        shutil.rmtree(folder)
    assert not mark.exists()
    print(tried, refused)
    assert tried > 20
    assert refused == []
