"""One input to several agents at once: every one's result or failure is told, and each is a run like any other (RUN-11)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.engine.fanout import MOST_AGENTS
from landline.model.callers import LOCAL, Caller
from landline.model.errors import LandlineError, StorageFailed
from landline.ports.runs import Started, StartRun
from landline.ports.store import Accepted, AcceptRun

FANOUT = "/api/v1/fanout"


async def echo(run: Any) -> str:
    return f"echo: {run.input}"


async def broken(run: Any) -> str:
    raise RuntimeError("swordfish")


async def asking(run: Any) -> str:
    return f"you said {await run.ask('what?')}"


async def slow(run: Any) -> str:
    await run.text("so far")
    await asyncio.Event().wait()
    return ""


AGENTS = [
    landline.agent(echo, name="echo"),
    landline.agent(broken, name="broken"),
    landline.agent(asking, name="asking"),
    landline.agent(slow, name="slow"),
    landline.agent(echo, name="secret", scopes=["admin"]),
]


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncGenerator[tuple[httpx.AsyncClient, Landline]]:
    server = Landline(options.pop("agents", AGENTS), open=True, data=folder, **options)
    async with server.started():
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client, server


async def fan(client: httpx.AsyncClient, *agents: str, key: str | None = None, **more: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post(FANOUT, json={"agents": agents, "input": "hi", **more}, headers=headers)


async def runs_of(client: httpx.AsyncClient) -> list[Any]:
    return (await client.get("/api/v1/runs")).json()["items"]


@pytest.mark.contract("RUN-11", "EVT-8")
async def test_each_agents_result_or_failure_is_told_in_the_order_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        answer = await fan(client, "broken", "asking", "echo", metadata={"k": 1}, title="Three")
        assert answer.status_code == 200
        items = answer.json()["items"]
        assert [item["agent"] for item in items] == ["broken", "asking", "echo"]
        failed, waits, done = [item["run"] for item in items]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "agent_error")
        assert (waits["status"], len(waits["questions"])) == ("waiting", 1)
        assert (done["status"], done["output"], done["metadata"]) == ("completed", "echo: hi", {"k": 1})
        assert "swordfish" not in answer.text
        assert len({run["thread_id"] for run in (failed, waits, done)}) == 3
        # Each is a run like any other: watched, answered, spoken to again.
        question = {"question_id": waits["questions"][0]["question_id"], "value": "yes"}
        await client.post(f"/api/v1/runs/{waits['id']}/answers", json={"answers": [question]})
        events = await client.get(f"/api/v1/runs/{waits['id']}/events")
        assert "run.completed" in events.text
        later = await client.post(f"/api/v1/threads/{done['thread_id']}/runs", json={"input": "more"})
        assert later.json()["output"] == "echo: more"


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_they_run_at_once_and_can_be_cancelled_one_by_one(tmp_path: Path) -> None:
    met = asyncio.Barrier(2)

    async def meets(run: Any) -> str:
        await asyncio.wait_for(met.wait(), 5)  # one after the other would never meet
        return "met"

    agents = [landline.agent(meets, name="a"), landline.agent(meets, name="b"), AGENTS[3]]
    async with serving(tmp_path, agents=agents) as (client, _):
        answer = await fan(client, "a", "b")
        assert [item["run"]["output"] for item in answer.json()["items"]] == ["met", "met"]
        begun = await fan(client, "slow", mode="background")
        assert begun.status_code == 202
        run = begun.json()["items"][0]["run"]
        assert run["status"] == "running"
        stopped = await client.post(f"/api/v1/runs/{run['id']}/cancel")
        assert stopped.json()["status"] == "cancelled"


@pytest.mark.contract("RUN-11", "AGT-5")
@pytest.mark.parametrize(
    ("agents", "status", "code"),
    [
        (["echo", "nobody"], 404, "agent_not_found"),
        (["echo", "secret"], 404, "agent_not_found"),
        (["echo", "auto"], 422, "agent_not_named"),
        (["echo", "slow", "echo"], 422, "agent_twice"),
        ([], 422, "invalid_request"),
        ([f"a{n}" for n in range(MOST_AGENTS + 1)], 422, "invalid_request"),
    ],
)
async def test_what_is_refused_is_refused_for_all(
    tmp_path: Path, agents: list[str], status: int, code: str
) -> None:
    async with serving(tmp_path) as (client, _):
        refused = await fan(client, *agents)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert await runs_of(client) == []


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_a_mode_and_a_field_that_are_not_there_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        for more in ({"mode": "stream"}, {"on_busy": "queue"}, {"thread_id": "x"}):
            assert (await fan(client, "echo", **more)).status_code == 422
        assert (await fan(client, "echo", "slow", settings={"temperature": 1})).status_code == 422
        assert await runs_of(client) == []


@pytest.mark.contract("RUN-11", "REL-4")
async def test_all_must_find_room(tmp_path: Path) -> None:
    async with serving(tmp_path, max_runs=2) as (client, server):
        refused = await fan(client, "echo", "broken", "asking")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_runs")
        assert await runs_of(client) == []
        assert (await fan(client, "echo", "broken")).status_code == 200
        server.core.drain()
        assert (await fan(client, "echo")).json()["code"] == "draining"


@pytest.mark.contract("RUN-11", "RUN-7")
async def test_one_key_is_one_fanout(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, server):
        answers = await asyncio.gather(*(fan(client, "echo", "broken", key="k") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
        assert len(await runs_of(client)) == 2
        later = await fan(client, "echo", "broken", key="k", mode="background")
        assert (later.status_code, later.headers["idempotency-replayed"]) == (202, "true")
        for agents in (("echo", "broken", "asking"), ("echo",), ("broken", "echo")):
            other = await fan(client, *agents, key="k")
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        server.core.drain()
        assert (await fan(client, "echo", "broken", key="k")).text == answers[0].text
        assert len(await runs_of(client)) == 2


@pytest.mark.contract("RUN-11", "RUN-7", "REL-8")
async def test_a_run_that_could_not_be_stored_is_told_and_a_repeat_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as (client, server):
        store, refusing = server.store, {"broken"}
        accept = store.accept

        async def full(caller: Caller, run: AcceptRun) -> Accepted:
            if run.agent in refusing:
                raise StorageFailed("The disk is full.")
            return await accept(caller, run)

        monkeypatch.setattr(store, "accept", full)
        first = await fan(client, "echo", "broken", key="k")
        told = first.json()["items"]
        assert first.status_code == 200
        assert told[0]["run"]["status"] == "completed"
        assert told[1] == {
            "agent": "broken",
            "error": {"code": "storage_failed", "message": "The disk is full."},
        }
        refusing.clear()
        second = (await fan(client, "echo", "broken", key="k")).json()["items"]
        assert second[0] == told[0]
        assert second[1]["run"]["status"] == "failed"
        refusing.add("echo")
        whole = await fan(client, "echo", "broken")
        assert (whole.status_code, whole.json()["code"]) == (507, "storage_failed")
        assert len(await runs_of(client)) == 2


@pytest.mark.contract("RUN-11", "RUN-2")
@pytest.mark.parametrize("on_disconnect", ["continue", "cancel"])
async def test_a_client_that_leaves_changes_nothing_unless_it_said_so(
    tmp_path: Path, on_disconnect: str
) -> None:
    async with serving(tmp_path) as (client, server):
        body = b'{"agents": ["slow", "asking"], "input": "x", "on_disconnect": "%s"}' % on_disconnect.encode()
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": FANOUT,
                 "raw_path": FANOUT.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip
        told = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in told:
                return message
            while {run["status"] for run in await runs_of(client)} != {"running", "waiting"}:  # noqa: ASYNC110 - over HTTP there is no event to wait for
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            pass

        await asyncio.wait_for(server.app(scope, receive, send), 10)
        states = {run["agent"]: run["status"] for run in await runs_of(client)}
        asked = {
            "continue": {"slow": "running", "asking": "waiting"},
            "cancel": dict.fromkeys(states, "cancelled"),
        }
        assert states == asked[on_disconnect]


@pytest.mark.contract("RUN-11", "AGT-6")
async def test_each_run_has_a_context_of_its_own_and_all_are_closed(tmp_path: Path) -> None:
    open_, closed = list[int](), list[int]()

    async def user() -> AsyncGenerator[int]:
        number = len(open_)
        open_.append(number)
        yield number
        closed.append(number)

    async def tell(run: Any) -> str:
        return str(run.context)

    agents = [landline.agent(tell, name="a"), landline.agent(tell, name="b")]
    async with serving(tmp_path, agents=agents, context=user) as (client, server):
        answer = await fan(client, "a", "b", key="k")
        assert sorted(item["run"]["output"] for item in answer.json()["items"]) == ["0", "1"]
        for names in (("a", "nobody"), ("a", "a")):
            assert (await fan(client, *names)).status_code in (404, 422)
        await fan(client, "a", "b", key="k")
        while len(server.core.driver):  # noqa: ASYNC110 - the driver says nothing when it is empty
            await asyncio.sleep(0.01)
        assert sorted(closed) == sorted(open_) == list(range(8))


async def started(server: Landline, *agents: str) -> Sequence[Started | LandlineError]:
    requests = [StartRun(input=(), agent=agent) for agent in agents]
    return await server.core.fanout.start(LOCAL, requests)


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_the_port_itself_bounds_the_number(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, server):
        for agents in ((), tuple(str(n) for n in range(MOST_AGENTS + 1))):
            with pytest.raises(LandlineError, match="16"):
                await started(server, *agents)
