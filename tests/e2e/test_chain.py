"""Landline before Landline before a plain agent: any of them may be killed, and the work is done once (ADP-1, ADP-4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from tests.e2e.calls import Event, Server
from tests.e2e.http import Gone

AGENTS = Path(__file__).with_name("chain.py")
BEFORE = "".join(f"a{n} " for n in range(15))
AFTER = "".join(f"b{n} " for n in range(15)) + "Erased it."
BOUND_S = 45.0


class Chain:
    """Three servers; `front` is the one a client talks to."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger.txt"
        self.back = self._server(folder / "back", None)
        self.middle = self._server(folder / "middle", self.back)
        self.front = self._server(folder / "front", self.middle)

    def _server(self, folder: Path, following: Server | None) -> Server:
        folder.mkdir()
        environ = {"CHAIN_LEDGER": str(self.ledger)}
        if following is not None:
            environ["CHAIN_NEXT"] = following.process.url
        return Server(
            ServedProcess(AGENTS, data=folder / "data", environ=environ, options=("--grace", "0"), warm=())
        )

    async def start(self) -> None:
        for server in (self.back, self.middle, self.front):
            await server.start()

    def kill(self) -> None:
        for server in (self.front, self.middle, self.back):
            server.process.kill()

    @property
    def done(self) -> list[str]:
        return self.ledger.read_text().split() if self.ledger.exists() else []


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncGenerator[Chain]:
    made = Chain(tmp_path)
    await made.start()
    yield made
    made.kill()


async def until(server: Server, run_id: str, seen: Callable[[list[Event]], bool]) -> list[Event]:
    """Read the log there until `seen` says so; a server that is away is asked again."""
    events: list[Event] = []
    async with asyncio.timeout(BOUND_S):
        while not seen(events):
            with suppress(*Gone):
                events = await server.log(run_id)
            await asyncio.sleep(0.02)
    return events


def says(count: int) -> Callable[[list[Event]], bool]:
    return lambda events: sum(event["type"] == "text.delta" for event in events) >= count


def ends(events: list[Event]) -> bool:
    return bool(events) and events[-1]["type"] in ("run.completed", "run.failed", "run.waiting")


async def answer(server: Server, run_id: str) -> int:
    run = await server.get(run_id)
    (question,) = run["questions"]
    assert (question["kind"], question["tool"], question["arguments"]) == (
        "approval",
        "erase",
        {"name": "it"},
    )
    body = {"answers": [{"question_id": question["question_id"], "approve": True}]}
    return (await server.ask("POST", f"/runs/{run_id}/answers", body=body)).status


@pytest.mark.timeout(150)
@pytest.mark.contract("ADP-4", "REL-1", "RUN-8")
@pytest.mark.parametrize("victim", ["middle", "front", "back"])
async def test_a_kill_in_the_chain_loses_nothing_and_nothing_is_done_twice(chain: Chain, victim: str) -> None:
    struck: Server = getattr(chain, victim)
    run = await chain.front.run("work", "it")
    await until(chain.front, run["id"], says(4))
    struck.process.kill()
    await asyncio.sleep(0.2)
    await struck.start()
    events = await until(chain.front, run["id"], ends)
    assert events[-1]["type"] == "run.waiting", events[-1]
    struck.process.kill()  # while everybody waits
    await struck.start()
    assert await answer(chain.front, run["id"]) == 200
    await asyncio.sleep(0.15)
    struck.process.kill()  # while the answer is on its way, or just arrived
    await struck.start()
    events = await until(chain.front, run["id"], lambda log: ends(log) and log[-1]["type"] != "run.waiting")
    assert events[-1]["type"] == "run.completed", events[-1]
    check_stream(events)
    (worked,) = (await chain.back.ask("GET", "/runs")).json["items"]
    assert events[-1]["output"] == (await chain.back.get(worked["id"]))["output"]
    assert sorted(chain.done) == ["erase", "look"]
    thread = (await chain.front.ask("GET", f"/threads/{run['thread_id']}/messages")).json["items"]
    assert [message["content"] for message in thread if message["role"] == "assistant"] == [BEFORE, AFTER]


@pytest.mark.contract("RUN-5")
async def test_a_cancel_goes_down_the_chain(chain: Chain) -> None:
    run = await chain.front.run("work", "it")
    await until(chain.front, run["id"], says(3))
    answered = await chain.front.ask("POST", f"/runs/{run['id']}/cancel")
    assert answered.json["status"] == "cancelled"
    async with asyncio.timeout(5):
        while (runs := (await chain.back.ask("GET", "/runs")).json["items"])[0]["status"] == "running":  # noqa: ASYNC110 - seen over HTTP
            await asyncio.sleep(0.02)
    assert [run["status"] for run in runs] == ["cancelled"]
    assert chain.done == []
