"""Runs over REST and SSE: the three modes, following from every cursor, idempotency, cancel, answers."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from landline.model.events import QuestionAsked, RunWaiting, TextDelta
from landline.model.ids import new_id
from landline.model.runs import Question
from landline.web.door import Door
from tests.faces.fakes import World
from tests.faces.frames import read_frames

RUNS = "/api/v1/runs"
SETTINGS = {
    "temperature": 1,
    "top_p": 0.5,
    "seed": 7,
    "stop": ["x"],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
}


async def start(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    return await client.post(RUNS, json={"input": "Hello", **body}, headers=headers)


@pytest.mark.contract("RUN-1", "WIRE-1")
async def test_wait_answers_with_the_finished_run(client: httpx.AsyncClient) -> None:
    answer = await start(client)
    assert answer.status_code == 200
    run = answer.json()
    assert (run["status"], run["output"]) == ("completed", "Hello")
    assert set(run) >= {
        "id",
        "thread_id",
        "agent",
        "message_id",
        "model",
        "usage",
        "error",
        "questions",
        "attempt",
        "created_at",
        "metadata",
    }
    assert answer.headers["location"] == f"{RUNS}/{run['id']}"
    assert (await client.get(answer.headers["location"])).json() == run


@pytest.mark.contract("RUN-1", "WIRE-2", "EVT-2")
async def test_stream_sends_every_event_from_the_first(client: httpx.AsyncClient) -> None:
    answer = await start(client, mode="stream")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    frames = read_frames(answer.text)
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[0].event == "run.created"
    assert frames[-1].event == "run.completed"
    for frame in frames:
        assert frame.data["type"] == frame.event
        assert frame.data["seq"] == frame.id
        assert set(frame.data) >= {"run_id", "thread_id", "at"}


@pytest.mark.contract("RUN-1")
async def test_background_answers_at_once_with_where_to_look(client: httpx.AsyncClient, world: World) -> None:
    world.finish = False
    answer = await start(client, mode="background")
    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    assert answer.headers["location"].endswith(answer.json()["id"])


@pytest.mark.contract("RUN-1")
async def test_a_run_on_a_thread_and_the_aliases_of_its_fields(
    client: httpx.AsyncClient, world: World
) -> None:
    thread = (await client.post("/api/v1/threads", json={"agent_type": "notes"})).json()
    first = await client.post(
        f"/api/v1/threads/{thread['id']}/runs", json={"input": [{"type": "text", "text": "Hi"}]}
    )
    second = await start(client, thread=thread["id"], agent_type="notes")
    third = await start(client, thread_id=thread["id"], settings=SETTINGS, deadline_s=3, metadata={"a": [1]})
    assert {r.json()["thread_id"] for r in (first, second, third)} == {thread["id"]}
    assert world.started[1].agent == "notes"
    assert world.started[2].settings == SETTINGS
    assert world.started[2].deadline_s == 3


@pytest.mark.contract("THR-5", "RUN-1")
async def test_a_parent_of_null_is_the_root_and_none_at_all_the_head(
    client: httpx.AsyncClient, world: World
) -> None:
    thread_id = (await start(client)).json()["thread_id"]
    places: list[dict[str, Any]] = [{}, {"parent_id": None}, {"parent_id": "m"}]
    for told in places:
        answer = await start(client, thread_id=thread_id, **told)
        assert answer.status_code == 200, answer.text
    assert [request.parent_id for request in world.started[1:]] == [None, "", "m"]
    refused = await client.post(RUNS, json={"thread_id": thread_id, "parent_id": None})
    assert refused.status_code == 422
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert "null" in schemas["StartBody"]["properties"]["parent_id"]["description"]


@pytest.mark.contract("RUN-1")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": ""},
        {"input": "a" * 200_001},
        {"input": []},
        {"input": [{"type": "text", "text": "a"}] * 65},
        {"input": [{"type": "text", "text": "a" * 150_000}] * 2},
        {"input": [{"type": "assistant", "text": "a"}]},
        {"input": [{"type": "tool_result", "call_id": "c", "name": "n", "result": 1}]},
        {"input": "a", "extra": 1},
        {"input": "a", "mode": "later"},
        {"input": "a", "mode": None},
        {"input": "a", "on_busy": "maybe"},
        {"input": "a", "deadline_s": 0},
        {"input": "a", "deadline_s": "3"},
        {"input": "a", "settings": {"temperature": 3}},
        {"input": "a", "settings": {"temperature": "1"}},
        {"input": "a", "settings": {"top_p": 2}},
        {"input": "a", "settings": {"stop": "x"}},
        {"input": "a", "settings": {"seed": 2**63}},
        {"input": "a", "settings": {"tool_choice": ""}},
        {"input": "a", "settings": {"parallel_tool_calls": "no"}},
        {"input": "a", "settings": {"api_base": "http://192.0.2.1"}},
        {"input": "a", "metadata": {"a": "b" * 20_000}},
        {"input": "a", "metadata": []},
        {"input": "a", "user": "somebody"},
        {"input": 5},
        [],
        "text",
        None,
    ],
)
async def test_a_body_that_does_not_fit_is_422(client: httpx.AsyncClient, world: World, body: Any) -> None:
    answer = await client.post(RUNS, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]
    assert not world.started


@pytest.mark.contract("RUN-6")
async def test_what_is_not_built_is_422_and_a_busy_thread_409(
    client: httpx.AsyncClient, world: World
) -> None:
    assert (await start(client, settings={"model": "unknown"})).json()["code"] == "unsupported"
    world.finish = False
    run = (await start(client, mode="background")).json()
    busy = await start(client, thread_id=run["thread_id"])
    assert busy.status_code == 409
    assert busy.json()["active_run_id"] == run["id"]


@pytest.mark.contract("EVT-4", "RUN-4", "FACE-1")
async def test_every_cursor_gives_exactly_the_rest(client: httpx.AsyncClient) -> None:
    text = (await start(client, mode="stream")).text
    frames = read_frames(text)
    url = f"{RUNS}/{frames[0].data['run_id']}/events"
    for seen in range(len(frames)):
        by_header = await client.get(url, headers={"Last-Event-ID": str(seen)} if seen else {})
        by_query = await client.get(url, params={"after": seen})
        assert by_header.text == by_query.text
        assert read_frames(by_header.text) == frames[seen:]
    for beyond in (len(frames), len(frames) + 1, 10**17):
        ended = await client.get(url, headers={"Last-Event-ID": str(beyond)})
        assert (ended.status_code, ended.content) == (204, b"")
    both = await client.get(url, params={"after": 1}, headers={"Last-Event-ID": "3"})
    assert read_frames(both.text) == frames[3:]


@pytest.mark.contract("EVT-4", "RUN-4")
async def test_a_reader_waits_for_an_end_that_is_stored_and_not_yet_told(
    client: httpx.AsyncClient, world: World
) -> None:
    run = (await start(client)).json()
    last = len(world.logs[run["id"]])
    world.told = last - 1
    back = asyncio.create_task(client.get(f"{RUNS}/{run['id']}/events", params={"after": last - 1}))
    await world.until(lambda: world.following)
    assert not back.done()
    world.told = None
    world.ring()
    answer = await back
    assert answer.status_code == 200
    assert [frame.event for frame in read_frames(answer.text)] == ["run.completed"]


@pytest.mark.contract("RUN-4")
@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "1_0", " 1 2", "9" * 19, "1e3", "٣"])
async def test_a_malformed_cursor_is_422(client: httpx.AsyncClient, cursor: str) -> None:
    run = (await start(client)).json()
    url = f"{RUNS}/{run['id']}/events"
    assert (await client.get(url, params={"after": cursor})).status_code == 422
    assert (await client.get(url, headers={"Last-Event-ID": cursor.encode()})).status_code == 422  # type: ignore[dict-item] - bytes, since httpx takes only ASCII as text


@pytest.mark.contract("EVT-4")
async def test_a_cursor_beyond_a_live_run_is_410(client: httpx.AsyncClient, world: World) -> None:
    world.finish = False
    run = (await start(client, mode="background")).json()
    gone = await client.get(f"{RUNS}/{run['id']}/events", params={"after": 99})
    assert gone.status_code == 410


@pytest.mark.contract("RUN-4")
async def test_events_as_json_pages_add_up_to_the_log(client: httpx.AsyncClient) -> None:
    frames = read_frames((await start(client, mode="stream")).text)
    url, accept = f"{RUNS}/{frames[0].data['run_id']}/events", {"Accept": "application/json"}
    found: list[Any] = []
    after = 0
    while True:
        page = (await client.get(url, params={"after": after, "limit": 2}, headers=accept)).json()
        if not page["items"]:
            break
        assert len(page["items"]) <= 2
        found += page["items"]
        after = page["next_after"]
    assert found == [frame.data for frame in frames]
    assert page["next_after"] == after == len(frames)


@pytest.mark.contract("RUN-7")
async def test_a_repeat_with_the_same_key_attaches_in_the_mode_it_asks_for(
    client: httpx.AsyncClient, world: World
) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await start(client, key)
    assert "idempotency-replayed" not in first.headers
    again = await client.post(
        RUNS,
        content=b'{ "mode":"wait",  "input":"Hello" }',
        headers={**key, "content-type": "application/json"},
    )
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    stream = await start(client, key, mode="stream")
    assert stream.headers["idempotency-replayed"] == "true"
    assert read_frames(stream.text)[0].id == 1
    other = await start(client, key, title="Another")
    assert other.status_code == 422
    assert len(world.run_rows) == 1


@pytest.mark.contract("RUN-7")
@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "ä", "\x7f"])
async def test_a_malformed_key_is_422(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post(RUNS, json={"input": "a"}, headers={"Idempotency-Key": key.encode()})  # type: ignore[dict-item] - bytes, since httpx takes only ASCII as text
    assert answer.status_code == 422


@pytest.mark.contract("RUN-5")
async def test_cancel_is_the_same_twice(client: httpx.AsyncClient, world: World) -> None:
    world.finish = False
    run = (await start(client, mode="background")).json()
    first = await client.post(f"{RUNS}/{run['id']}/cancel")
    assert first.json()["status"] == "cancelled"
    assert (await client.post(f"{RUNS}/{run['id']}/cancel")).json() == first.json()
    assert world.cancelled == [run["id"]]


@pytest.mark.contract("RUN-8", "RUN-9", "WIRE-3")
async def test_a_waiting_run_is_in_the_inbox_and_goes_on_when_answered(
    client: httpx.AsyncClient, world: World
) -> None:
    world.finish = False
    run = (await start(client, mode="background")).json()
    asked = Question(
        question_id=new_id(), kind="approval", prompt="Really?", arguments={"n": 1}, run_id=run["id"]
    )
    ask = QuestionAsked(question_id=asked.question_id, kind="approval", prompt="Really?", arguments={"n": 1})
    world.write(run["id"], ask, RunWaiting(questions=[asked]))
    url = f"{RUNS}/{run['id']}"
    assert read_frames((await client.get(f"{url}/events")).text)[-1].event == "run.waiting"
    (found,) = (await client.get("/api/v1/approvals")).json()["items"]
    assert found["question_id"] == asked.question_id
    misfits: list[Any] = [
        {},
        {"answers": []},
        {"answers": [{"approve": True}]},
        {"answers": [{"question_id": "q", "approve": "yes"}]},
        {"answers": [{"question_id": "q"}, {"question_id": "q"}]},
    ]
    for body in misfits:
        assert (await client.post(f"{url}/answers", json=body)).status_code == 422
    given = {"answers": [{"question_id": asked.question_id, "approve": True}]}
    assert (await client.post(f"{url}/answers", json=given)).json()["status"] == "completed"
    assert (await client.post(f"{url}/answers", json=given)).status_code == 409


@pytest.mark.contract("THR-2", "TRU-5")
async def test_somebody_elses_run_is_like_one_that_never_was(keyed: httpx.AsyncClient) -> None:
    mine = {"X-API-Key": "key-local"}
    run = (await start(keyed, mine)).json()
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("GET", "/events?after=2")):
        other, ids = {"X-API-Key": "key-other"}, (run["id"], new_id())
        answers = [await keyed.request(method, f"{RUNS}/{run_id}{path}", headers=other) for run_id in ids]
        assert [a.status_code for a in answers] == [404, 404]
        told = [{**a.json(), "request_id": ""} for a in answers]
        assert json.dumps(told[0]).replace(run["id"], "") == json.dumps(told[1]).replace(
            answers[1].url.path.split("/")[4], ""
        )


@pytest.mark.contract("RUN-2")
async def test_a_stream_goes_on_while_the_run_does(live: tuple[str, Door], world: World) -> None:
    world.finish = False
    async with (
        httpx.AsyncClient(base_url=f"http://{live[0]}") as client,
        client.stream("POST", RUNS, json={"input": "a", "mode": "stream"}) as answer,
    ):
        text = ""
        async for chunk in answer.aiter_text():
            text += chunk
            if ": hb" in text and world.run_rows and "Later" not in text:
                run_id = next(iter(world.run_rows))
                if world.run_rows[run_id].status == "running":
                    world.complete(run_id, "Later")
    frames = read_frames(text)
    assert frames[-1].event == "run.completed"
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))


@pytest.mark.contract("RUN-2")
@pytest.mark.parametrize("mode", ["stream", "wait"])
@pytest.mark.parametrize("policy", ["cancel", "continue"])
async def test_a_client_that_leaves_changes_nothing_unless_it_asked_to(
    live: tuple[str, Door], world: World, mode: str, policy: str
) -> None:
    world.finish = False
    body = json.dumps({"input": "a", "mode": mode, "on_disconnect": policy}).encode()
    reader, writer = await asyncio.open_connection(*live[0].split(":"))
    writer.write(b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Content-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip
    await world.until(lambda: world.following)
    writer.close()
    await world.until(lambda: not world.following)
    (run_id,) = world.run_rows
    if policy == "cancel":
        await world.until(lambda: world.cancelled)
    assert world.cancelled == ([run_id] if policy == "cancel" else [])
    del reader


@pytest.mark.contract("REL-4")
async def test_drain_closes_streams_with_a_hint_and_waits_with_a_place_to_look(
    live: tuple[str, Door], world: World
) -> None:
    world.finish = False
    async with httpx.AsyncClient(base_url=f"http://{live[0]}", timeout=5) as client:
        waiting = asyncio.create_task(client.post(RUNS, json={"input": "a"}))
        streaming = asyncio.create_task(client.post(RUNS, json={"input": "a", "mode": "stream"}))
        await world.until(lambda: world.following == 2)
        live[1].drain.start()
        waited, streamed = await waiting, await streaming
    assert waited.status_code == 202
    assert waited.headers["location"].endswith(waited.json()["id"])
    last = read_frames(streamed.text)[-1]
    assert (last.id, last.event, last.data["reason"]) == (None, "stream.closing", "drain")
    assert "retry: 1000" in streamed.text


@pytest.mark.contract("REL-10", "EVT-5")
async def test_stalled_readers_are_dropped_and_do_not_hold_up_others(
    live: tuple[str, Door], world: World
) -> None:
    world.finish = False
    stalled = [await asyncio.open_connection(*live[0].split(":"), limit=1024) for _ in range(5)]
    async with httpx.AsyncClient(base_url=f"http://{live[0]}", timeout=20) as client:
        run = (await client.post(RUNS, json={"input": "a", "mode": "background"})).json()
        for _, writer in stalled:
            writer.write(f"GET {RUNS}/{run['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reading = asyncio.create_task(client.get(f"{RUNS}/{run['id']}/events"))
        await world.until(lambda: world.following == 6)
        for _ in range(200):
            world.write(run["id"], TextDelta(message_id="m", delta="x" * 100_000))
            await asyncio.sleep(0)
        world.complete(run["id"], "end")
        read = await reading
        assert read_frames(read.text)[-1].event == "run.completed"
        await world.until(lambda: not world.following)
    for _, writer in stalled:
        writer.close()
