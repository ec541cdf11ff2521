"""The AI SDK's face over HTTP, in front of fakes."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from landline.faces.ai_sdk import face
from landline.model.callers import LOCAL, Caller
from landline.model.errors import StorageFailed
from landline.model.events import (
    FileAdded,
    MessageStarted,
    QuestionAsked,
    RunResumed,
    RunWaiting,
    TextDelta,
)
from landline.model.ids import new_id
from landline.model.runs import Question
from landline.testing.faces.ai_sdk import Message, check_stream, read_frames
from landline.web import problems
from landline.web.door import Door
from landline.web.guard import Guard
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import served


def client_of(world: World, **given: Any) -> httpx.AsyncClient:
    app = FastAPI(openapi_url=None)
    ports = native_ports(world, **given)
    app.include_router(face(ports))
    problems.install(app)
    transport = httpx.ASGITransport(app=Guard(app, door=ports.door))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world) as found:
        yield found


def said(text: str = "Hello", id_: str = "m1") -> dict[str, Any]:
    return {"id": id_, "role": "user", "parts": [{"type": "text", "text": text}]}


async def chat(client: httpx.AsyncClient, *messages: Any, **body: Any) -> httpx.Response:
    return await client.post("/ai/notes", json={"id": "c1", "messages": list(messages or [said()]), **body})


def read(answer: httpx.Response) -> Message:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    return check_stream(read_frames(answer.content))


@pytest.mark.contract("FACE-9", "THR-2")
async def test_a_turn_streams_and_the_chat_is_a_thread(client: httpx.AsyncClient, world: World) -> None:
    message = read(await chat(client))
    (run,) = world.run_rows.values()
    assert (message.text, message.id, message.metadata["threadId"]) == ("Hello", run.id, run.thread_id)
    read(await chat(client, said("again", "m2")))
    assert len(world.thread_rows) == 1
    assert [request.agent for request in world.started] == ["notes", "notes"]
    # One of our own threads is a chat too.
    read(await chat(client, said("third", "m3"), id=run.thread_id))
    assert len(world.thread_rows) == 1
    read(await chat(client, said(), id=new_id()))
    assert len(world.thread_rows) == 2


@pytest.mark.contract("FACE-9", "RUN-7")
async def test_a_message_that_is_sent_twice_is_one_run(client: httpx.AsyncClient, world: World) -> None:
    first = read(await chat(client))
    assert read(await chat(client)) == first
    assert len(world.run_rows) == 1
    changed = await chat(client, said("other"))
    assert (changed.status_code, changed.headers["x-landline-error"]) == (422, "idempotency_mismatch")


@pytest.mark.contract("FACE-9", "TRU-19")
async def test_refusals_are_text_for_people_with_a_code(client: httpx.AsyncClient) -> None:
    for answer, status, code, text in (
        (await client.post("/ai/nobody", json={"id": "c"}), 404, "not_found", "There is no such agent."),
        (await client.post("/ai/notes", json={}), 422, "invalid_request", "id: "),
        (await client.post("/ai/notes", content=b"{"), 415, "unsupported_media_type", "application/json"),
        (await chat(client, id="x" * 257), 422, "invalid_request", "id: "),
        (await chat(client, {**said(), "role": "system"}), 422, "forged_message", "system message"),
        (await chat(client, system="x"), 422, "invalid_request", "system: "),
        (await chat(client, settings={"model": "unknown"}), 422, "unsupported", "model"),
    ):
        assert (answer.status_code, answer.headers["x-landline-error"]) == (status, code)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert text in answer.text


@pytest.mark.contract("FACE-9", "RUN-2")
async def test_nothing_is_resumed_when_nothing_is_active(client: httpx.AsyncClient) -> None:
    assert (await client.get("/ai/notes/c1/stream")).status_code == 204
    read(await chat(client))
    assert (await client.get("/ai/notes/c1/stream")).status_code == 204
    assert (await client.get("/ai/nobody/c1/stream")).status_code == 404


@pytest.mark.contract("FACE-9", "THR-2")
async def test_a_message_is_read_again_by_its_id_and_by_nobody_else(world: World) -> None:
    key = {"authorization": "Bearer key-local"}
    other = {"authorization": "Bearer key-other"}
    async with client_of(world, door=Door(authenticator=FakeAuthenticator(open_=False))) as client:
        client.headers.update(key)
        message = read(await chat(client))
        read(await chat(client, id="c2"))
        path = f"/ai/notes/c1/stream?message_id={message.id}"
        assert read(await client.get(path)) == message
        never = new_id()
        unknown = await client.get(f"/ai/notes/c1/stream?message_id={never}")
        for bad in (f"{path}.2", f"{path}.0", path.replace("c1", "c2")):
            assert (await client.get(bad)).status_code == 404
        theirs = await client.get(path, headers=other)
        assert theirs.status_code == unknown.status_code == 404
        assert theirs.text.replace(message.id, never) == unknown.text
        # Their chat of the same name is another.
        assert read(await chat(client, said(), id="c1")).id == message.id
        own = await client.post("/ai/notes", json={"id": "c1", "messages": [said()]}, headers=other)
        assert read(own).id != message.id
        assert (await client.get(path, headers={"authorization": "Bearer nothing"})).status_code == 401


@pytest.mark.contract("FACE-9", "EVT-4")
async def test_a_stream_that_was_cut_at_any_frame_is_read_again(
    client: httpx.AsyncClient, world: World
) -> None:
    world.script = ["One ", "two ", "three"]
    answer = await chat(client)
    message, frames = read(answer), read_frames(answer.content)
    for cut in range(len(frames)):
        check_stream(frames[:cut], whole=False)
        again = await client.get(f"/ai/notes/c1/stream?message_id={message.id}")
        assert again.content == answer.content


@pytest.mark.contract("FACE-9", "EVT-4")
async def test_an_active_run_is_resumed_from_its_beginning(world: World) -> None:
    world.finish = False
    ports = native_ports(world)
    app = FastAPI(openapi_url=None)
    app.include_router(face(ports))
    async with (
        served(Guard(app, door=ports.door)) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
        client.stream("POST", "/ai/notes", json={"id": "c1", "messages": [said()]}) as first,
    ):
        (run_id,) = world.run_rows
        world.write(
            run_id, MessageStarted(message_id="x", role="assistant"), TextDelta(message_id="x", delta="half ")
        )
        cut = world.write(run_id, RunResumed(attempt=2, reason="recovered", drop_message_id="x"))
        body = await first.aread()
        message = check_stream(read_frames(body))
        assert message.ended == "error"
        assert message.text == "half "
        assert cut
        async with client.stream("GET", "/ai/notes/c1/stream") as again:
            world.complete(run_id, "whole")
            message = check_stream(read_frames(await again.aread()))
        assert (message.text, message.ended) == ("whole", "finish")


@pytest.mark.contract("FACE-15", "REL-4")
async def test_a_server_that_stops_says_so_in_the_wires_own_words(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator(), heartbeat_s=0.05)
    app = FastAPI(openapi_url=None)
    app.include_router(face(native_ports(world, door=door)))
    async with (
        served(Guard(app, door=door)) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
        client.stream("POST", "/ai/notes", json={"id": "c1", "messages": [said()]}) as first,
    ):
        lines = first.aiter_bytes()
        read_ = b""
        while b": hb" not in read_:
            read_ += await anext(lines)
        door.drain.start()
        async for piece in lines:
            read_ += piece
    assert b"\n\nretry: 1000\n" in read_
    message = check_stream(read_frames(read_))
    assert (message.ended, message.error) == ("error", "The server restarts; resume the stream.")


@pytest.mark.contract("FACE-9", "WIRE-4")
async def test_an_error_in_mid_stream_is_an_error_chunk(client: httpx.AsyncClient, world: World) -> None:
    world.finish, world.fail_follow = False, StorageFailed("The disk is full.")
    message = read(await chat(client))
    assert (message.ended, message.error) == ("error", "The disk is full.")


async def waiting(world: World, client: httpx.AsyncClient, *questions: Question) -> str:
    """A run of the chat that waits for these answers."""
    world.finish = False
    world.fail_follow = StorageFailed("not yet")
    await chat(client)
    world.fail_follow = None
    (run_id,) = world.run_rows
    names = ("question_id", "kind", "prompt", "tool", "call_id", "arguments", "choices")
    world.write(
        run_id,
        *(QuestionAsked(**{name: getattr(question, name) for name in names}) for question in questions),
        RunWaiting(questions=questions),
    )
    world.finish = True
    return run_id


def approval(id_: str, *, approved: bool = True) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "tool-x", "toolCallId": "k", "state": "approval-responded", "input": {}}
    given = {"id": id_, "approved": approved}
    return {"id": "r", "role": "assistant", "parts": [{**part, "approval": given}]}


ERASE = Question(question_id="q", kind="approval", prompt="Sure?", tool="x", call_id="k", arguments={})


@pytest.mark.contract("FACE-9", "RUN-8", "TRU-19")
async def test_answers_go_to_the_run_that_asked(client: httpx.AsyncClient, world: World) -> None:
    nothing = await chat(client, approval("q"))
    assert (nothing.status_code, nothing.headers["x-landline-error"]) == (409, "not_waiting")
    run_id = await waiting(world, client, ERASE)
    shown = check_stream(read_frames((await client.get("/ai/notes/c1/stream")).content))
    assert shown.tool("k")["state"] == "approval-requested"
    forged = await chat(client, said(), approval("other"))
    assert (forged.status_code, forged.headers["x-landline-error"]) == (422, "forged_approval")
    busy = await chat(client, said("And now?", "m2"))
    assert (busy.status_code, busy.headers["x-landline-error"]) == (409, "thread_busy")
    answer = await chat(client, said(), approval("q"))
    message = check_stream(read_frames(answer.content), before=shown)
    assert (message.id, message.text) == (run_id, "answered 1")
    late = await chat(client, said(), approval("q"))
    assert (late.status_code, late.headers["x-landline-error"]) == (409, "not_waiting")


@pytest.mark.contract("FACE-9", "RUN-8")
async def test_the_next_message_answers_a_question_in_words(client: httpx.AsyncClient, world: World) -> None:
    await waiting(world, client, Question(question_id="q", kind="input", prompt="Name?"))
    file = {"type": "file", "mediaType": "text/plain", "url": "data:,hi"}
    refused = await chat(client, {**said(), "id": "m2", "parts": [file]})
    assert (refused.status_code, refused.headers["x-landline-error"]) == (422, "answer_mismatch")
    assert read(await chat(client, said("Ann", "m2"))).text == "answered 1"
    assert len(world.run_rows) == 1


@pytest.mark.contract("TRU-5", "RUN-8")
async def test_a_caller_needs_the_scope_of_what_it_does(world: World) -> None:
    class Writer(FakeAuthenticator):
        async def authenticate(self, credential: str | None) -> Caller:
            return Caller(tenant="local", user="local", scopes=frozenset({"runs:write", "runs:read"}))

    async with client_of(world, door=Door(authenticator=Writer())) as client:
        await waiting(world, client, ERASE)
        for answer in (
            await chat(client, approval("q")),
            await chat(
                client,
                {**said(), "parts": [{"type": "file", "mediaType": "text/plain", "url": "data:,hi"}]},
                id="c2",
            ),
        ):
            assert (answer.status_code, answer.headers["x-landline-error"]) == (403, "missing_scope")
    async with client_of(world, door=Door(authenticator=FakeAuthenticator(open_=False))) as reader:
        reader.headers["authorization"] = "Bearer key-reader"
        assert (await chat(reader)).status_code == 403
        assert (await reader.post("/ai/notes/c1/stop")).status_code == 403
        assert (await reader.get("/ai/notes/c9/stream")).status_code == 204


@pytest.mark.contract("RUN-5", "FACE-9")
async def test_stop_cancels_what_is_active(client: httpx.AsyncClient, world: World) -> None:
    assert (await client.post("/ai/notes/c1/stop")).status_code == 204
    assert (await client.get("/ai/notes/any%2Fid of%3Fmine/stream")).status_code == 204
    run_id = await waiting(world, client, ERASE)
    assert (await client.post("/ai/notes/c1/stop", json={"message": said()})).status_code == 204
    assert world.cancelled == [run_id]
    assert (await client.post("/ai/notes/c1/stop")).status_code == 204
    assert world.cancelled == [run_id]


@pytest.mark.contract("FACE-9", "THR-5")
async def test_an_edit_and_a_second_answer_find_their_place(client: httpx.AsyncClient, world: World) -> None:
    message = read(await chat(client))
    row = world.message_rows[message.metadata["threadId"]][0]
    read(await chat(client, trigger="regenerate-message"))
    read(await chat(client, trigger="regenerate-message", messageId=message.id))
    read(await client.post(
        "/ai/notes", json={"id": "c1", "trigger": "regenerate-message", "messageId": message.id}
    ))  # fmt: skip
    read(await client.post("/ai/notes", json={"id": "c1", "trigger": "regenerate-message"}))
    for request in world.started[1:4]:
        assert (request.input, request.parent_id) == (None, row.id)
    assert world.started[4].input is None
    read(await chat(client, said("Hello there"), messageId="m1"))
    assert (world.started[-1].parent_id, world.started[-1].idempotency) == ("", None)
    # By our own id for it, as an app knows it that loaded its messages from the server.
    read(await chat(client, said("Hello!", row.id), messageId=row.id))
    assert world.started[-1].parent_id == ""
    # A message that never came is a new one.
    read(await chat(client, said("New", "m7"), trigger="regenerate-message"))
    assert (world.started[-1].parent_id, len(world.started[-1].input or ())) == (None, 1)
    nothing = await client.post(
        "/ai/notes", json={"id": "c1", "trigger": "regenerate-message", "messageId": "unknown"}
    )
    assert (nothing.status_code, nothing.headers["x-landline-error"]) == (422, "unknown_message")


@pytest.mark.contract("THR-9", "FACE-9")
async def test_files_are_kept_and_told(client: httpx.AsyncClient, world: World) -> None:
    file = {"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,aGk=", "filename": "a"}
    world.finish = False
    world.fail_follow = StorageFailed("not yet")
    await chat(client, {**said(), "parts": [file]})
    world.fail_follow = None
    ((info, data),) = world.file_rows.values()
    assert (info.name, data) == ("a", b"hi")
    (run_id,) = world.run_rows
    world.write(
        run_id,
        FileAdded(message_id="x", file_id=info.id, name="a", media_type="text/plain"),
        FileAdded(message_id="x", file_id=new_id(), name="gone", media_type="text/plain"),
    )
    world.complete(run_id, "done")
    message = read(await client.get(f"/ai/notes/c1/stream?message_id={run_id}"))
    assert [part["url"] for part in message.parts if part["type"] == "file"] == [
        "data:text/plain;base64,aGk="
    ]
    assert [data["name"] for data in message.data("landline-file")] == ["gone"]
    assert LOCAL.user == world.owners[info.id]


@pytest.mark.contract("AGT-6", "FACE-9")
async def test_the_hosts_context_goes_with_the_run(world: World) -> None:
    async def context(request: Any, caller: Caller) -> str:
        return f"for {caller.user}"

    async with client_of(world, context=context) as client:
        read(await chat(client))
        assert (world.started[-1].context, world.started[-1].has_context) == ("for local", True)
        refused = await chat(client, said("x", "m2"), context={"a": 1})
        assert (refused.status_code, refused.headers["x-landline-error"]) == (422, "unsupported")
