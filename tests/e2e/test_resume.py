"""A stream may be cut anywhere, at any time, and goes on without a gap or a repeat (EVT-2, EVT-4)."""

from __future__ import annotations

import random

import pytest

from landline.testing.grammar import check_stream
from tests.e2e.calls import LAST, Event, Server, bounded, first
from tests.e2e.conftest import Serve

PLAN = {"words": 12, "pause_s": 0.004, "step_every": 4}


@pytest.mark.contract("EVT-4", "EVT-2", "RUN-4", "WIRE-2")
async def test_a_live_stream_cut_at_any_event_gives_exactly_the_rest(shared: Server) -> None:
    """One run per cut point: the reader leaves after k events, while the run goes on, and comes back."""
    async with shared.posted("words", PLAN) as line:
        longest = len(await first(line, 1_000))

    async def cut_at(count: int) -> None:
        async with shared.posted("words", PLAN) as line:
            seen = await first(line, count)
            run_id = line.headers["location"].rpartition("/")[2]
        rest = await shared.rest(run_id, after=len(seen))
        log = await shared.log(run_id)
        assert seen + rest == log
        check_stream(log)

    await bounded(longest + 1, 8, cut_at)


@pytest.mark.contract("EVT-4", "EVT-2", "RUN-4")
async def test_after_its_end_and_after_a_restart_every_cut_point_gives_exactly_the_rest(serve: Serve) -> None:
    server = serve()
    await server.start()
    run = await server.run("words", PLAN)
    whole = await server.ended(run["id"])
    check_stream(whole)
    for _ in ("after its end", "after a restart"):
        for count in range(len(whole) + 1):
            assert await server.rest(run["id"], after=count) == whole[count:]
        assert await server.log(run["id"]) == whole
        await server.restart()


@pytest.mark.contract("EVT-4", "REL-3")
@pytest.mark.parametrize("seed", range(3))
async def test_a_stream_cut_many_times_over_kills_is_one_stream(serve: Serve, seed: int) -> None:
    """Cuts by the client and kills of the server, mixed; the reader only ever knows its last id."""
    server, chance = serve(), random.Random(seed)
    await server.start()
    run = await server.run("words", {"words": 60, "pause_s": 0.02, "step_every": 5})
    seen: list[Event] = []
    kills = 0
    while not seen or seen[-1]["type"] not in LAST:
        async with server.followed(run["id"], after=len(seen) or None) as line:
            seen += await first(line, chance.randint(1, 8))
        if kills < 2 and chance.random() < 0.25:
            kills += 1
            server.process.kill()
            await server.start()
    assert seen == await server.log(run["id"])
    assert seen[-1]["type"] == "run.completed"
    check_stream(seen)


@pytest.mark.contract("RUN-8", "EVT-4", "RUN-9")
async def test_a_question_survives_a_restart_and_each_cut_point_of_its_run(serve: Serve) -> None:
    server = serve()
    await server.start()
    run = await server.run("eraser", "the list")
    asked = await server.ended(run["id"])
    assert asked[-1]["type"] == "run.waiting"
    await server.restart()
    assert (await server.get(run["id"]))["status"] == "waiting"
    inbox = await server.items("/approvals?limit=50")
    assert [question["run_id"] for question in inbox] == [run["id"]]
    assert await server.rest(run["id"]) == asked
    answer = await server.answer(run["id"], inbox, approve=True)
    assert answer.status == 200, answer.body
    again = await server.answer(run["id"], inbox, approve=True)
    assert again.status == 409
    whole = await server.ended(run["id"])
    check_stream(whole)
    assert whole[-1]["output"] == "Let me see. Erased the list."
    assert sum(event["type"] == "tool.completed" for event in whole) == 1
    for count in range(len(whole) + 1):
        assert await server.rest(run["id"], after=count) == whole[count:]


@pytest.mark.contract("EVT-4")
async def test_a_cursor_beyond_the_log_is_refused_and_never_silent(shared: Server) -> None:
    run = await shared.run("hold", "hi")
    assert (await shared.ask("GET", f"/runs/{run['id']}/events?after=999999")).status == 410
    cancelled = await shared.ask("POST", f"/runs/{run['id']}/cancel")
    assert cancelled.json["status"] == "cancelled"
    assert (await shared.ask("GET", f"/runs/{run['id']}/events?after=999999")).status == 204


MALFORMED = (
    "-1",
    "abc",
    "1.5",
    "1e3",
    "0x10",
    "9" * 30,
    "1,2",
    "1;2",
    "+1",
    "null",
    "1 OR 1=1",
    "\xb2",
    "{}",
    "1\t1",
)


@pytest.mark.contract("EVT-4", "WIRE-4")
@pytest.mark.parametrize("value", MALFORMED)
async def test_a_malformed_cursor_is_refused_with_a_problem(shared: Server, value: str) -> None:
    run = await shared.run("echo", "hi", mode="wait")
    async with shared.connect() as line:
        head = f"GET /api/v1/runs/{run['id']}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {value}\r\n\r\n"
        line.writer.write(head.encode("latin-1"))
        status = await line.head()
        body = await line.body()
    assert 400 <= status < 500, body
    assert line.headers["content-type"].startswith("application/problem+json")
