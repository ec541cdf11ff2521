"""Many at once on one thread, one key, one run: what must be one stays one (REL-5, RUN-5, RUN-6, RUN-7)."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import Any

import pytest

from landline.testing.grammar import check_stream
from tests.e2e import http
from tests.e2e.calls import API, LAST, TERMINAL, Server, asked, bounded
from tests.e2e.http import Answer

PARALLEL = 100


async def _spans(server: Server, runs: list[str]) -> list[tuple[str, str, str]]:
    """Return when each run began and ended, by its log, in order of beginning."""

    async def one(number: int) -> tuple[str, str, str]:
        log = await server.ended(runs[number])
        check_stream(log)
        started = next(event["at"] for event in log if event["type"] == "run.started")
        return started, log[-1]["at"], runs[number]

    return sorted(await bounded(len(runs), 32, one))


def _apart(spans: list[tuple[str, str, str]]) -> None:
    overlapping = [(before, after) for before, after in itertools.pairwise(spans) if after[0] < before[1]]
    assert not overlapping, f"active together: {overlapping[:3]}"


@pytest.mark.contract("REL-5", "RUN-6")
async def test_of_1000_parallel_posts_to_one_thread_one_is_active_and_the_rest_refused(
    shared: Server,
) -> None:
    thread = await shared.thread("words")
    body = asked(None, {"words": 3, "pause_s": 0.02}, mode="background")

    async def post(_: int) -> Answer:
        return await shared.ask("POST", f"/threads/{thread}/runs", body=body)

    answers: list[Answer] = await bounded(1_000, PARALLEL, post)
    accepted = [answer.json["id"] for answer in answers if answer.status == 202]
    refused = [answer for answer in answers if answer.status == 409]
    assert len(accepted) + len(refused) == 1_000
    assert accepted
    assert all(answer.code == "thread_busy" for answer in refused)
    assert {answer.json["active_run_id"] for answer in refused} <= set(accepted)
    spans = await _spans(shared, accepted)
    _apart(spans)
    listed = await shared.items(f"/runs?thread_id={thread}&limit=200")
    assert {run["id"] for run in listed} == set(accepted)


@pytest.mark.contract("REL-5", "RUN-6")
@pytest.mark.parametrize(
    "count", [150, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(180)])]
)
async def test_queued_posts_to_one_thread_run_one_by_one_in_order(shared: Server, count: int) -> None:
    """First in, first out: whoever had its answer before another asked, runs before it."""
    thread = await shared.thread("echo")
    sent: dict[str, tuple[float, float]] = {}

    async def post(number: int) -> None:
        began = time.monotonic()
        body = asked(None, f"m{number}", mode="background", on_busy="queue")
        answer = await shared.ask("POST", f"/threads/{thread}/runs", body=body)
        assert answer.status == 202, answer.body
        sent[answer.json["id"]] = (began, time.monotonic())

    await bounded(count, PARALLEL, post)
    assert len(sent) == count
    spans = await _spans(shared, list(sent))
    _apart(spans)
    latest_asked = 0.0
    for _, _, run_id in spans:
        asked_at, answered_at = sent[run_id]
        assert answered_at >= latest_asked, (
            f"{run_id} was accepted before a run that overtook it was asked for"
        )
        latest_asked = max(latest_asked, asked_at)
    messages = await shared.items(f"/threads/{thread}/messages?limit=200&branch=all")
    assert [message["seq"] for message in messages] == list(range(1, 2 * count + 1))


@pytest.mark.contract("RUN-7")
async def test_100_parallel_posts_of_one_key_make_one_run(shared: Server) -> None:
    """In all three modes at once: how an answer is read is not part of what is asked."""
    body: dict[str, Any] = asked("words", {"words": 5, "pause_s": 0.01}, metadata={"test": "one key"})

    async def post(number: int) -> str | None:
        mode = ("wait", "stream", "background")[number % 3]
        headers = {"Idempotency-Key": "the-one-key"}
        answer = await http.ask(
            shared.port, "POST", f"{API}/runs", body={**body, "mode": mode}, headers=headers
        )
        if answer.status == 409:
            return None
        assert answer.status == (202 if mode == "background" else 200), answer.body
        return answer.headers["location"].rpartition("/")[2]

    found = await bounded(100, PARALLEL, post)
    made = {run_id for run_id in found if run_id is not None}
    assert len(made) == 1
    (run_id,) = made
    thread = (await shared.get(run_id))["thread_id"]
    assert len(await shared.items(f"/runs?thread_id={thread}&limit=50")) == 1
    runs = await shared.items("/runs?limit=200&agent=words")
    assert sum(run["metadata"].get("test") == "one key" for run in runs) == 1
    other = await http.ask(
        shared.port,
        "POST",
        f"{API}/runs",
        body={**body, "input": "something else"},
        headers={"Idempotency-Key": "the-one-key"},
    )
    assert other.status == 422


@pytest.mark.contract("RUN-5", "RUN-3", "REL-2")
@pytest.mark.parametrize(
    "count", [100, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def test_cancels_racing_completion_leave_one_end_and_nothing_after_it(
    shared: Server, count: int
) -> None:
    chance = random.Random(count)
    ends: dict[str, int] = {}

    async def race(number: int) -> None:
        run = await shared.run("words", {"words": 6, "pause_s": 0.002, "step_every": 2})
        await asyncio.sleep(chance.random() * 0.03)
        path = f"/runs/{run['id']}/cancel"
        first, second = await asyncio.gather(shared.ask("POST", path), shared.ask("POST", path))
        assert first.status == second.status == 200
        assert first.json["status"] in TERMINAL
        assert first.json["status"] == second.json["status"]
        log = await shared.log(run["id"])
        check_stream(log)
        assert sum(event["type"] in LAST for event in log) == 1
        assert log[-1]["type"] == f"run.{first.json['status']}"
        if number % 10 == 0:
            third = await shared.ask("POST", path)
            assert third.json == first.json | {"questions": third.json["questions"]}
            assert await shared.log(run["id"]) == log
        ends[first.json["status"]] = ends.get(first.json["status"], 0) + 1

    await bounded(count, 16, race)
    print(f"{count} cancels: {ends}")
    assert sum(ends.values()) == count
    assert ends.get("cancelled")


@pytest.mark.contract("RUN-5", "RUN-3", "RUN-8")
async def test_a_cancel_that_races_a_question_ends_the_run(shared: Server) -> None:
    """Wherever the cancel hits, before the question, with it or after it, its answer is the end."""
    chance = random.Random(1)

    async def race(_: int) -> str:
        run = await shared.run("eraser", "it")
        await asyncio.sleep(chance.random() * 0.015)
        answer = await shared.ask("POST", f"/runs/{run['id']}/cancel")
        assert answer.status == 200
        return str(answer.json["status"])

    ends = await bounded(300, 16, race)
    assert set(ends) == {"cancelled"}, f"{ends.count('waiting')} of {len(ends)} cancels left the run waiting"


@pytest.mark.contract("REL-1", "RUN-2", "RUN-6")
async def test_the_message_of_a_queued_run_that_is_cancelled_stays_in_its_thread(shared: Server) -> None:
    """It was accepted, so it is never lost, whatever became of its run."""
    thread = await shared.thread("hold")
    runs: list[str] = []
    for text in ("first", "second"):
        body = asked(None, text, mode="background", on_busy="queue")
        answer = await shared.ask("POST", f"/threads/{thread}/runs", body=body)
        assert answer.status == 202
        runs.append(answer.json["id"])
    for run_id in reversed(runs):
        assert (await shared.ask("POST", f"/runs/{run_id}/cancel")).json["status"] == "cancelled"
    messages = await shared.items(f"/threads/{thread}/messages?limit=50&branch=all")
    assert [message["content"] for message in messages if message["role"] == "user"] == ["first", "second"]
