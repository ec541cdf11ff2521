"""One run, all faces: begun on one wire, watched on others at once, approved and cancelled through yet others (EVT-9)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket

from landline.testing.faces.a2a import check_a2a_task
from landline.testing.faces.ag_ui import check_ag_ui, read_ag_ui
from landline.testing.faces.openai_responses import check_response, check_stream
from landline.testing.grammar import check_stream as check_log
from landline.testing.kill import ServedProcess

BOUND_S = 30.0
FRAMEWORKS = ("plain", "pydantic_ai", "openai_agents", "langgraph")


@pytest.fixture(params=FRAMEWORKS)
def agent(request: pytest.FixtureRequest) -> str:
    return f"fixture_{request.param}"


@pytest.fixture
def server(tmp_path: Path, agent: str) -> Iterator[ServedProcess]:
    """A server with every face and one agent."""
    process = ServedProcess(
        f"landline.testing.fixture:{agent}",
        data=tmp_path / "data",
        options=("--grace", "0", "--faces", "all"),
        warm=(),
    )
    yield process
    process.kill()


class Reader:
    """A stream that is read beside everything else; what came is in `text`."""

    def __init__(self) -> None:
        self.text = ""
        self.kind = ""


@asynccontextmanager
async def reading(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> AsyncGenerator[Reader]:
    """Read a stream in the background; leaving waits for its end."""
    reader, open_ = Reader(), asyncio.Event()

    async def read() -> None:
        async with client.stream(method, url, **more) as response:
            assert response.status_code == 200, await response.aread()
            reader.kind = response.headers["content-type"]
            open_.set()
            async for piece in response.aiter_text():
                reader.text += piece

    task = asyncio.create_task(read())
    await asyncio.wait({task, asyncio.create_task(open_.wait())}, return_when="FIRST_COMPLETED")
    try:
        yield reader
        await task
    finally:
        task.cancel()


@pytest.mark.contract("EVT-9", "FACE-7", "FACE-8", "FACE-10", "FACE-17", "THR-2")
async def test_a_run_is_one_whichever_wire_it_is_seen_through(server: ServedProcess, agent: str) -> None:
    await server.start(60)
    limits = httpx.Timeout(BOUND_S)
    async with (
        asyncio.timeout(2 * BOUND_S),
        httpx.AsyncClient(base_url=server.url, timeout=limits) as client,
        open_socket(server.url.replace("http", "ws") + "/api/v1/ws") as socket,
    ):
        # Begun through Responses, in the background, so that it ends with no stream of its own.
        body = {"model": agent, "input": "Please approve 'milk', then wait.", "background": True}
        response = (await client.post("/v1/responses", json=body)).json()
        check_response(response)
        run_id = response["id"].removeprefix("resp_")
        run = (await client.get(f"/api/v1/runs/{run_id}")).json()
        assert (run["id"], run["agent"]) == (run_id, agent)
        where = {"threadId": run["thread_id"], "runId": run_id}

        # Watched on the socket and in AG-UI at once, and by Responses' own means.
        await socket.send(json.dumps({"op": "subscribe", "run_id": run_id, "after": 0}))
        async with (
            reading(client, "GET", f"/ag-ui/{agent}", params=where) as ag_ui,
            reading(client, "GET", f"/v1/responses/{response['id']}", params={"stream": "true"}) as responses,
        ):
            pass
        seen = check_ag_ui(read_ag_ui(ag_ui.text), content_type=ag_ui.kind)
        assert seen.outcome == "interrupt"
        told = check_stream(responses.text, content_type=responses.kind)
        assert told.response is not None
        output: list[dict[str, Any]] = told.response["output"]
        assert "mcp_approval_request" in [item["type"] for item in output]

        # Approved through REST.
        (question,) = (await client.get(f"/api/v1/runs/{run_id}")).json()["questions"]
        assert question["question_id"] in ag_ui.text
        answer = {"answers": [{"question_id": question["question_id"], "approve": True}]}
        approved = await client.post(f"/api/v1/runs/{run_id}/answers", json=answer)
        assert approved.status_code == 200, approved.text

        # Seen to go on by the socket, and cancelled through A2A.
        events = [json.loads(await socket.recv())]
        while "Wait" not in "".join(event.get("delta", "") for event in events):
            events.append(json.loads(await socket.recv()))
        headers = {"A2A-Version": "1.0"}
        stopped = await client.post(f"/a2a/{agent}/tasks/{run_id}:cancel", headers=headers, json={})
        assert stopped.status_code == 200, stopped.text
        check_a2a_task(stopped.json())
        assert stopped.json()["status"]["state"] == "TASK_STATE_CANCELED"
        while events[-1]["type"] != "run.cancelled":
            events.append(json.loads(await socket.recv()))

        # One log, and every wire tells it well-formed.
        log = (
            await client.get(f"/api/v1/runs/{run_id}/events", headers={"accept": "application/json"})
        ).json()
        assert [event for event in events if "seq" in event] == log["items"]
        check_log(log["items"])
        task = (await client.get(f"/a2a/{agent}/tasks/{run_id}", headers=headers)).json()
        assert (task["id"], task["status"]["state"]) == (run_id, "TASK_STATE_CANCELED")
        again = (await client.get(f"/v1/responses/{response['id']}")).json()
        check_response(again)
        called = await client.get(f"/api/v1/runs/{run_id}")
        assert called.json()["status"] == "cancelled"
