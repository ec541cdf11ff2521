"""A client that goes away, with time for the server to do the wrong thing."""

import asyncio
import json

import httpx
import pytest

from landline.web.door import Door
from tests.faces.fakes import World


@pytest.mark.contract("RUN-2")
@pytest.mark.parametrize("mode", ["stream", "wait"])
@pytest.mark.parametrize("policy", [None, "continue"])
async def test_a_run_outlives_the_client_that_started_it(
    live: tuple[str, Door], world: World, mode: str, policy: str | None
) -> None:
    """The server notices that the client has left some steps after it stopped reading for it."""
    world.finish = False
    fields = {"input": "a", "mode": mode} | ({} if policy is None else {"on_disconnect": policy})
    body = json.dumps(fields).encode()
    _, writer = await asyncio.open_connection(*live[0].split(":"))
    writer.write(b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Content-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip
    await world.until(lambda: world.following)
    writer.close()
    await world.until(lambda: not world.following)
    (run_id,) = world.run_rows
    async with httpx.AsyncClient(base_url=f"http://{live[0]}") as client:
        for _ in range(3):
            assert (await client.get(f"/api/v1/runs/{run_id}")).json()["status"] == "running"
    assert world.cancelled == []
