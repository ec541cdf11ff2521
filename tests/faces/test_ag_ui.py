"""What the AG-UI face does at the edge: who may do what, whose is what, contexts, votes, streams that fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from landline.faces.ag_ui import face
from landline.faces.ag_ui.errors import CLOSING
from landline.model.callers import Caller
from landline.model.errors import Invalid
from landline.model.events import QuestionAsked, RunWaiting
from landline.model.runs import Answer, Question
from landline.ports.runs import AnsweredRun, HeldContext
from landline.testing.faces.ag_ui import check_ag_ui, read_ag_ui
from landline.web.door import Door
from landline.web.guard import Guard
from landline.web.route import assert_declared, scopes_of
from tests.faces.ag_ui_judges import judged
from tests.faces.fakes import FakeAuthenticator, FakeRuns, World, native_ports
from tests.faces.serving import served


class Votes(FakeRuns):
    """Runs whose answers are votes: the run waits on."""

    async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
        return AnsweredRun(run=await self.get(caller, run_id), questions=())


def build(world: World, **given: Any) -> ASGIApp:
    ports = native_ports(world, **given)
    app = FastAPI()
    router = face(ports)
    assert_declared(router)
    app.include_router(router)
    return Guard(app, door=ports.door)


def client_of(app: ASGIApp, key: str | None = None) -> httpx.AsyncClient:
    headers = {"x-api-key": key} if key else {}
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(build(world)) as found:
        yield found


def asked(text: str = "hi", *, thread: str = "t", run: str = "r", **more: Any) -> dict[str, Any]:
    said = [{"id": f"m-{run}", "role": "user", "content": text}]
    return {"threadId": thread, "runId": run, "messages": said, **more}


def answering(payload: Any) -> dict[str, Any]:
    """Return a request that answers the question of `waiting`, and says nothing else."""
    resume = [{"interruptId": "q1", "status": "resolved", "payload": payload}]
    return {"threadId": "t", "runId": "r2", "messages": [], "resume": resume}


def waiting(world: World, *, needed: int = 1, kind: Any = "approval") -> str:
    """Let the only run wait for an approval."""
    (run_id,) = world.run_rows
    told: dict[str, Any] = {"question_id": "q1", "kind": kind, "prompt": "May I?"}
    world.write(run_id, QuestionAsked(**told), RunWaiting(questions=[Question(**told, needed=needed)]))
    return run_id


@pytest.mark.contract("TRU-5", "FACE-8")
async def test_every_route_says_who_may_use_it(world: World) -> None:
    router = face(native_ports(world))
    assert {(route.path, *(scopes_of(route.endpoint) or ())) for route in router.routes} == {  # type: ignore[attr-defined]  # routes of an APIRouter have both
        ("/ag-ui/{agent}", "runs:write", "runs:read"),
        ("/ag-ui/{agent}", "runs:read"),
        ("/ag-ui/{agent}/cancel", "runs:write"),
        ("/ag-ui/{agent}/capabilities", "runs:read"),
    }


@pytest.mark.contract("TRU-5", "FACE-8", "THR-2")
async def test_two_callers_of_one_thread_name_have_two_threads(world: World) -> None:
    app = build(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    async with (
        client_of(app, "key-local") as me,
        client_of(app, "key-other") as other,
        client_of(app) as nobody,
    ):
        assert (await nobody.post("/ag-ui/notes", json=asked())).json()["code"] == "unauthenticated"
        mine = await me.post("/ag-ui/notes", json=asked("mine"))
        judged(mine.text)
        gone = await other.get("/ag-ui/notes", params={"threadId": "t"})
        never = await other.get("/ag-ui/notes", params={"threadId": "never"})
        assert (gone.status_code, gone.json()["code"]) == (404, never.json()["code"])
        ours = read_ag_ui(mine.text)[0].event["metadata"]["landline"]
        for name in (ours["threadId"], "t"):
            assert (await other.get("/ag-ui/notes", params={"threadId": name})).status_code == 404
        await me.post("/ag-ui/notes", json=asked("mine too", thread="t2"))
        for path in ("", "/cancel"):
            named = {"threadId": "t2", "runId": ours["runId"]}
            elsewhere = (
                await me.post(f"/ag-ui/notes{path}", json=named)
                if path
                else await me.get("/ag-ui/notes", params=named)
            )
            assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "run_not_found")
        theirs = await other.post("/ag-ui/notes", json=asked("theirs"))
        assert read_ag_ui(theirs.text)[0].event["metadata"]["landline"]["threadId"] != ours["threadId"]
        other_thread = await other.get("/ag-ui/notes", params={"threadId": "t", "runId": ours["runId"]})
        assert other_thread.status_code == 404
        stolen = await other.post("/ag-ui/notes", json=asked("steal", thread=ours["threadId"], run="s"))
        assert read_ag_ui(stolen.text)[0].event["metadata"]["landline"]["threadId"] != ours["threadId"]
    assert len(world.thread_rows) == 4


@pytest.mark.contract("TRU-5", "FACE-8")
async def test_reading_is_not_writing_and_writing_is_not_approving(world: World) -> None:
    world.finish = False
    caller = Caller(tenant="local", user="local", scopes=frozenset({"runs:write", "runs:read"}))

    class Writer(FakeAuthenticator):
        async def authenticate(self, credential: str | None) -> Caller:
            return caller if credential == "key-writer" else await super().authenticate(credential)

    app = build(world, door=Door(authenticator=Writer(open_=False)))
    async with client_of(app, "key-reader") as reader, client_of(app, "key-writer") as writer:
        refused = await reader.post("/ag-ui/notes", json=asked())
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        posting = asyncio.create_task(writer.post("/ag-ui/notes", json=asked()))
        await world.until(lambda: world.run_rows)
        waiting(world)
        await posting
        refused = await writer.post("/ag-ui/notes", json=answering({"approved": True}))
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert "approvals:answer" in refused.json()["message"]


@pytest.mark.contract("TRU-5", "FACE-8", "THR-9")
async def test_files_and_threads_take_scopes_of_their_own(world: World) -> None:
    app = build(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    source = {"type": "data", "value": "aGk=", "mimeType": "text/plain"}
    async with client_of(app, "key-runner") as runner:
        body = asked()
        body["messages"][0]["content"] = [{"type": "document", "source": source}]
        refused = await runner.post("/ag-ui/notes", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert not world.file_rows
        judged((await runner.post("/ag-ui/notes", json=asked())).text)
        refused = await runner.get("/ag-ui/notes", params={"threadId": "t"})
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


@pytest.mark.contract("FACE-8", "AGT-6")
async def test_a_run_is_given_the_hosts_context(world: World) -> None:
    async def release() -> None:
        return None

    async def context(request: Any, caller: Any) -> Any:
        return HeldContext(value=(request.url.path, caller.user), release=release)

    async with client_of(build(world, context=context)) as client:
        judged((await client.post("/ag-ui/notes", json=asked())).text)
        (started,) = world.started
        assert started.has_context
        assert started.context.value == ("/ag-ui/notes", "local")
        refused = await client.post("/ag-ui/notes", json=asked(run="r2", forwardedProps={"a": 1}))
        assert (refused.status_code, refused.json()["code"]) == (422, "unsupported")


@pytest.mark.contract("FACE-8", "AGT-6")
async def test_forwarded_props_are_the_runs_context(client: httpx.AsyncClient, world: World) -> None:
    judged((await client.post("/ag-ui/notes", json=asked(forwardedProps={"a": [1]}))).text)
    (started,) = world.started
    assert (started.has_context, started.context) == (True, {"a": [1]})
    judged((await client.post("/ag-ui/notes", json=asked(run="r2", forwardedProps={}))).text)
    assert not world.started[1].has_context


@pytest.mark.contract("FACE-8")
async def test_the_applications_tools_are_carried(client: httpx.AsyncClient, world: World) -> None:
    tools = [
        {"name": "paint", "description": "Paints."},
        {"name": "p2", "description": "", "parameters": {"a": 1}},
    ]
    judged((await client.post("/ag-ui/notes", json=asked(tools=tools, parentRunId="p"))).text)
    carried = world.started[0].carried
    assert carried is not None
    assert [(tool.name, tool.parameters) for tool in carried.tools] == [("paint", {}), ("p2", {"a": 1})]
    assert not carried.history


@pytest.mark.contract("FACE-8")
async def test_the_run_that_began_this_one_is_told_back(client: httpx.AsyncClient) -> None:
    told = await client.post("/ag-ui/notes", json=asked(parentRunId="before"))
    assert read_ag_ui(told.text)[0].event["parentRunId"] == "before"
    again = await client.get("/ag-ui/notes", params={"threadId": "t", "runId": "r"})
    assert again.text == told.text


@pytest.mark.contract("FACE-8", "RUN-8")
async def test_an_approval_that_needs_more_votes_stays_an_interrupt(world: World) -> None:
    world.finish = False
    async with client_of(build(world, runs=Votes(world))) as client:
        posting = asyncio.create_task(client.post("/ag-ui/notes", json=asked()))
        await world.until(lambda: world.run_rows)
        waiting(world, needed=2)
        first = judged((await posting).text)
        assert "editedArgs" not in first.interrupts[0]["responseSchema"]["properties"]
        answer = await client.post("/ag-ui/notes", json=answering({"approved": True}))
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
        assert [event["type"] for event in events] == ["RUN_STARTED", "RUN_FINISHED"]
        assert [asked["id"] for asked in events[-1]["outcome"]["interrupts"]] == ["q1"]
        again = await client.get("/ag-ui/notes", params={"threadId": "t", "runId": "r2"})
        assert again.status_code == 404


@pytest.mark.contract("FACE-8", "RUN-7")
async def test_answers_that_did_not_get_through_are_given_by_the_repeat(world: World) -> None:
    """The request was kept, and the server was lost before it gave the answers."""
    world.finish = False
    lost = True

    class Losing(FakeRuns):
        async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
            if lost:
                raise KeyboardInterrupt
            return await super().answer(caller, run_id, answers)

    async with client_of(build(world, runs=Losing(world))) as client:
        posting = asyncio.create_task(client.post("/ag-ui/notes", json=asked()))
        await world.until(lambda: world.run_rows)
        waiting(world)
        await posting
        body = answering(True)
        with pytest.raises(KeyboardInterrupt):
            await client.post("/ag-ui/notes", json=body)
        stuck = await client.get("/ag-ui/notes", params={"threadId": "t", "runId": "r2"})
        assert json.loads(stuck.text.removeprefix("data: "))["code"] == "still_waiting"
        lost = False
        assert judged((await client.post("/ag-ui/notes", json=body)).text).answer == "answered 1"


@pytest.mark.contract("FACE-8")
async def test_answers_that_are_refused_leave_no_run_behind(world: World) -> None:
    world.finish = False

    class Refusing(FakeRuns):
        async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
            raise Invalid("It does not fit.", code="answer_mismatch")

    async with client_of(build(world, runs=Refusing(world))) as client:
        posting = asyncio.create_task(client.post("/ag-ui/notes", json=asked()))
        await world.until(lambda: world.run_rows)
        waiting(world, kind="input")
        await posting
        body = answering(1)
        for _ in range(2):
            assert (await client.post("/ag-ui/notes", json=body)).json()["code"] == "answer_mismatch"


@pytest.mark.contract("FACE-8", "TRU-17")
async def test_a_stream_that_fails_ends_with_an_error_frame(client: httpx.AsyncClient, world: World) -> None:
    world.finish, world.fail_follow = False, RuntimeError("a secret")
    told = await client.post("/ag-ui/notes", json=asked())
    *frames, last = read_ag_ui(told.text)
    assert (last.id, last.event["code"]) == (None, "internal")
    assert "secret" not in told.text
    assert check_ag_ui([*frames, last]).outcome == "error"


@pytest.mark.contract("FACE-8", "FACE-15", "REL-4")
async def test_heartbeats_are_comments_and_a_drain_is_told(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator(), heartbeat_s=0.05)
    text = ""
    async with (
        served(build(world, door=door)) as address,
        httpx.AsyncClient() as client,
        client.stream("POST", f"http://{address}/ag-ui/notes", json=asked()) as answer,
    ):
        assert answer.headers["x-accel-buffering"] == "no"
        assert "no-cache" in answer.headers["cache-control"]
        async for piece in answer.aiter_text():
            text += piece
            if ": hb" in text:
                door.drain.start()
    assert text.endswith(CLOSING.decode())
    assert check_ag_ui(read_ag_ui(text)).last["code"] == "stream_closing"


@pytest.mark.contract("FACE-8")
async def test_a_thread_without_a_run_is_empty(client: httpx.AsyncClient) -> None:
    made = await client.post("/ag-ui/notes", json=asked("", run="r1"))
    assert made.json()["code"] == "input_missing"
    shown = await client.get("/ag-ui/notes", params={"threadId": "t"})
    events = [json.loads(line[6:]) for line in shown.text.splitlines() if line]
    assert [event["type"] for event in events] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]
    assert events[1]["messages"] == []
    none = await client.post("/ag-ui/notes/cancel", json={"threadId": "t"})
    assert none.json()["code"] == "run_not_found"
