"""A blocked word on every wire of every face, wherever an agent cuts it, in every log and in every byte of the store and the server's output."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from tests.e2e.every_face import EveryFace
from tests.e2e.guarded_words_agents import AFTER, BEFORE, WORD

TARGET = Path(__file__).with_name("guarded_words_agents.py")
PARTS = [WORD[at : at + 2].encode() for at in range(len(WORD) - 1)]
STORED = [WORD[at : at + 4].encode() for at in range(len(WORD) - 3)]
"""Any four letters of it in a row; two of them may stand in a database by chance."""

RUNS = 30
"""Turns that `EveryFace` takes."""

SHOWS_NOTHING = frozenset(
    {"native begun", "responses begun", "lesson session", "ai sdk resumed", "threads", "runs"}
)
"""Answers that are given before the agent speaks, or that have no text of the answer."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedProcess]:
    process = ServedProcess(
        TARGET,
        data=tmp_path_factory.mktemp("words") / "data",
        environ={"LANDLINE_GUARD_WORDS": WORD},
        options=("--grace", "0", "--faces", "all"),
    )
    await process.start(60)
    yield process
    process.kill()


@pytest.mark.contract("TRU-21", "EVT-9", "FACE-11", "FACE-12")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("agent", ["blocks", "redacts"])
@pytest.mark.parametrize("cut", range(len(WORD)))
async def test_a_word_cut_anywhere_is_in_no_byte_of_any_wire_nor_of_the_store(
    server: ServedProcess, agent: str, cut: int
) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        face = EveryFace(client, agent, f"{agent}, cut {cut}")
        heard = await face.all()
        for name, told in heard.items():
            found = [part for part in PARTS if part in told]
            assert not found, (name, found, told[:3000])
        if agent == "redacts":
            for name, told in heard.items():
                assert b"[word]" in told or name in SHOWS_NOTHING, (name, told[:3000])
        logs = [json.loads(told)["items"] for name, told in heard.items() if name.startswith("log ")]
    assert len(logs) == face.runs == RUNS
    for events in logs:
        check_stream(events)
        said = "".join(event["delta"] for event in events if event["type"] == "text.delta")
        # A single letter of it, told before the rest was held back, would show here.
        if events[-1]["type"] == "run.failed":
            assert (said, events[-1]["error"]["code"]) == (BEFORE, "guard_blocked")
        else:
            assert said == f"{BEFORE}[word]{AFTER}"
    for file in server.data.parent.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not [part for part in STORED if part in data], file


@pytest.mark.contract("TRU-21", "FACE-11", "FACE-12")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_blocked_input_is_refused_over_mcp_and_every_socket(server: ServedProcess) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        before = (await client.get("/api/v1/runs", params={"agent": "refuses"})).json()["items"]
        face = EveryFace(client, "refuses", f"cut 3: tell me of {WORD}")
        told = await face.tool("refuses", {"message": f"tell me of {WORD}"}, name="mcp")
        await face.sockets()
        after = (await client.get("/api/v1/runs", params={"agent": "refuses"})).json()["items"]
    assert told["result"]["isError"] is True
    assert set(face.heard) == {
        "mcp", "native socket", "responses socket", "pattern socket", "fastagency", "fastagency again",
    }  # fmt: skip
    for name, told_there in face.heard.items():
        assert b"Request blocked: words" in told_there, (name, told_there)
        assert WORD.encode() not in told_there, name
    assert before == after == []
