"""A cursor beyond the log is a status, in every state of a run (EVT-4, clarification 4)."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline


async def asking(run: Any) -> str:
    return str(await run.ask("what?"))


async def slow(run: Any) -> None:
    await run.text("so far")
    await asyncio.Event().wait()


@pytest.mark.contract("EVT-4", "RUN-4")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("beyond", [1, 10**9, 10**18 - 1])
async def test_a_cursor_beyond_the_log_of_a_run_that_has_not_ended_is_410(
    tmp_path: Path, beyond: int, restarted: bool
) -> None:
    agents = [landline.agent(asking, name="asking"), landline.agent(slow, name="slow")]
    ids: dict[str, str] = {}
    for attempt in range(1 + restarted):
        server = Landline(agents, open=True, data=tmp_path)
        async with server.started():
            transport = httpx.ASGITransport(app=server.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                if attempt == 0:
                    for name in ("asking", "slow"):
                        body = {"agent": name, "input": "x", "mode": "background"}
                        ids[name] = (await client.post("/api/v1/runs", json=body)).json()["id"]
                    thread = (await client.get(f"/api/v1/runs/{ids['slow']}")).json()["thread_id"]
                    body = {"input": "x", "mode": "background", "on_busy": "queue"}
                    queued = await client.post(f"/api/v1/threads/{thread}/runs", json=body)
                    ids["queued"] = queued.json()["id"]
                while (await client.get(f"/api/v1/runs/{ids['asking']}")).json()["status"] != "waiting":  # noqa: ASYNC110 - over HTTP there is no event to wait for
                    await asyncio.sleep(0.01)
                for name, run_id in ids.items():
                    page = {"accept": "application/json"}
                    url = f"/api/v1/runs/{run_id}/events"
                    tail = (await client.get(url, headers=page)).json()["next_after"]
                    growing = 20 if name == "slow" else 0
                    cursor = str(min(tail + beyond + growing, 10**18 - 1))
                    for headers in ({"last-event-id": cursor}, {"last-event-id": cursor, **page}):
                        gone = await asyncio.wait_for(client.get(url, headers=headers), 5)
                        assert (gone.status_code, gone.json()["code"]) == (410, "cursor_gone")
                    gone = await asyncio.wait_for(client.get(f"{url}?after={cursor}"), 5)
                    assert gone.status_code == 410
