"""Workflows on a real server that is killed between a question and its answer (ADP-1: workflows; RUN-8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from tests.e2e.calls import Server

WORKFLOWS = Path(__file__).with_name("workflows.py")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the workflows, not yet started."""
    process = ServedProcess(
        WORKFLOWS,
        data=tmp_path / "data",
        options=("--grace", "0"),
        warm=(),
    )
    yield Server(process)
    process.kill()


async def _question(server: Server, run_id: str, *, after: int | None = None) -> dict[str, Any]:
    """Return the one question that the run waits for; an answer given before `after` is not waited for again."""
    events = await server.rest(run_id, after=after)
    assert events[-1]["type"] == "run.waiting", events[-1]
    (question,) = events[-1]["questions"]
    return question


async def _killed(server: Server) -> None:
    server.process.kill()
    await server.start()


@pytest.mark.contract("RUN-8", "ADP-4")
@pytest.mark.parametrize("agent", ["lesson", "async_lesson"])
async def test_a_kill_between_a_question_and_its_answer_loses_nothing(
    server: Server, tmp_path: Path, agent: str
) -> None:
    """Killed twice at each question, before and after its answer: every step runs once, every word is said once."""
    await server.start()
    listed = await server.ask("GET", "/agents")
    assert [item["name"] for item in listed.json["items"]] == ["lesson", "async_lesson"]
    run = await server.run(agent, {"topic": "algebra"})

    asked = await _question(server, run["id"])
    before = await server.log(run["id"])
    await _killed(server)
    assert await server.log(run["id"]) == before
    assert (await _question(server, run["id"]))["question_id"] == asked["question_id"]
    assert asked["arguments"]["sender"] == "teacher"
    answer = {"answers": [{"question_id": asked["question_id"], "value": "why?"}]}
    assert (await server.ask("POST", f"/runs/{run['id']}/answers", body=answer)).status == 200
    await _killed(server)

    asked = await _question(server, run["id"], after=len(before))
    waited = await server.log(run["id"])
    assert (asked["kind"], asked["choices"]) == ("choice", ["A", "B"])
    await _killed(server)
    answer = {"answers": [{"question_id": asked["question_id"], "value": "A"}]}
    assert (await server.ask("POST", f"/runs/{run['id']}/answers", body=answer)).status == 200

    rest = await server.rest(run["id"], after=len(waited))
    log = await server.log(run["id"])
    check_stream(log)
    assert log == waited + rest
    assert log[: len(before)] == before
    kind = "sync" if agent == "lesson" else "async"
    assert log[-1]["output"] == f"{kind} first done, {kind} second done, why?, A"
    ledger = (tmp_path / "ledger.txt").read_text().splitlines()
    assert ledger == [f"{kind} first", f"{kind} second"]
    said = [event["text"] for event in log if event["type"] == "message.completed"]
    assert said == ["Welcome to algebra.", log[-1]["output"]]
    told = [(event["name"], event["data"]["sender"]) for event in log if event["type"] == "custom"]
    assert told == [("text_message", "teacher"), ("system_message", None)]
