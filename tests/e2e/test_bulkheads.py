"""Bulkheads on a server as a process, with callers of two tenants: floods, waits, refusals and a kill (RES-6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from landline.app.settings import load_settings
from landline.app.upkeep import KeyOrder
from landline.testing.kill import ServedProcess
from tests.e2e import http
from tests.e2e.calls import API, Server, asked, bounded, until
from tests.e2e.http import Answer
from tests.keys import add_key

pytestmark = pytest.mark.contract("RES-6")

AGENTS = Path(__file__).with_name("bulkhead_agents.py")


@dataclass
class Place:
    """A server with two bulkheads, keys of two tenants, and the folder that lets runs end."""

    server: Server
    folder: Path
    keys: dict[str, str]

    async def ask(self, who: str, method: str, path: str, *, body: Any = None) -> Answer:
        return await self.server.ask(method, path, body=body, headers={"X-API-Key": self.keys[who]})

    async def begin(self, who: str, text: str, agent: str = "hold") -> str:
        answer = await self.ask(who, "POST", "/runs", body=asked(agent, text, mode="background"))
        assert answer.status == 202, answer.body
        return str(answer.json["id"])

    async def reaches(self, who: str, run_id: str, *wanted: str) -> dict[str, Any]:
        async def look() -> Any:
            run = (await self.ask(who, "GET", f"/runs/{run_id}")).json
            return run if run["status"] in wanted else None

        return await until(look, within_s=15)

    async def states(self, who: str, run_ids: list[str]) -> list[str]:
        return [(await self.ask(who, "GET", f"/runs/{run_id}")).json["status"] for run_id in run_ids]

    def end(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    data, folder = tmp_path / "data", tmp_path / "ended"
    folder.mkdir()
    keys = {
        tenant: (await add_key(load_settings(data=data), KeyOrder(user="one", tenant=tenant)))[0]
        for tenant in ("flood", "single")
    }
    process = ServedProcess(
        AGENTS,
        data=data,
        environ={
            "BULKHEAD_FOLDER": str(folder),
            "LANDLINE_BULKHEADS": "upstream:openai: 2 runs queue 60 wait 30s, upstream:local: 1 run queue 1 wait 1s",
            "LANDLINE_HEARTBEAT_S": "0.2",
        },
        options=("--grace", "0"),
        warm=(),
    )
    await process.start()
    yield Place(Server(process), folder, keys)
    process.kill()


async def test_a_flood_of_one_tenant_delays_the_single_run_of_another_by_one_run(place: Place) -> None:
    names = [str(number) for number in range(50)]
    flood = [await place.begin("flood", name) for name in names]
    single = await place.begin("single", "single")
    await place.reaches("single", single, "queued")
    assert await place.states("flood", flood) == ["running"] * 2 + ["queued"] * 48
    place.end("1")
    await place.reaches("single", single, "running")
    assert (await place.states("flood", flood)).count("running") == 1
    place.end("single", *names)
    await place.reaches("single", single, "completed")
    for run_id in flood:
        await place.reaches("flood", run_id, "completed")


async def test_a_full_upstream_leaves_another_alone_and_a_full_queue_refuses(place: Place) -> None:
    for number in range(5):
        await place.begin("flood", f"slow {number}")
    place.end("quick")
    quick = await place.begin("flood", "quick", agent="elsewhere")
    await place.reaches("flood", quick, "completed")

    async def begin(number: int) -> Answer:
        body = asked("elsewhere", f"more {number}", mode="background")
        return await place.ask("flood", "POST", "/runs", body=body)

    answers = await bounded(6, 6, begin)
    assert sorted(answer.status for answer in answers) == [202] * 2 + [503] * 4
    refused = [answer for answer in answers if answer.status == 503]
    assert {(answer.code, answer.headers["retry-after"]) for answer in refused} == {("queue_full", "1")}
    waits = next(answer.json["id"] for answer in answers[1:] if answer.status == 202)
    assert (await place.reaches("flood", waits, "failed"))["error"]["code"] == "bulkhead_busy"


async def test_a_stream_beats_while_its_run_waits_and_a_cancel_ends_it(place: Place) -> None:
    for name in ("first", "second"):
        await place.begin("flood", name)
    waits = await place.begin("flood", "third")
    await place.reaches("flood", waits, "queued")
    headers = {"X-API-Key": place.keys["flood"]}
    beats, body, path = 0, b"", f"{API}/runs/{waits}/events"
    async with asyncio.timeout(20), http.stream(place.server.port, path, headers=headers) as line:
        async for piece in line.pieces():
            beats += piece.startswith(b":")
            body += piece
            if beats == 3:
                cancelled = await place.ask("flood", "POST", f"/runs/{waits}/cancel")
                assert cancelled.json["status"] == "cancelled"
    told = [line for line in body.decode().split("\n") if line.startswith("event: run.")]
    assert told == ["event: run.created", "event: run.cancelled"]
    last = await place.begin("flood", "last")
    place.end("first")
    await place.reaches("flood", last, "running")


async def test_a_killed_server_leaks_no_place_and_forgets_no_run_in_the_queue(place: Place) -> None:
    names = [str(number) for number in range(6)]
    runs = [await place.begin("flood", name) for name in names]
    await place.reaches("flood", runs[-1], "queued")
    place.server.process.kill()
    await place.server.start()

    async def two_go_on() -> bool:
        return sorted(await place.states("flood", runs)) == ["queued"] * 4 + ["running"] * 2

    await until(two_go_on, within_s=15)
    place.end(*names)
    for run_id in runs:
        await place.reaches("flood", run_id, "completed")
