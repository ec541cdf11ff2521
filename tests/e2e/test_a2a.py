"""The A2A face on the real engine, through the protocol's own client on both wires, and through our own remote agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.client import Client
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict, ParseDict

import landline
from landline.app.build import Landline
from landline.model.callers import ALL_SCOPES, Caller
from landline.model.errors import Unauthenticated
from landline.testing.faces.a2a import Told, check_a2a_stream, check_a2a_task, read_a2a_frames
from landline.testing.grammar import check_stream
from tests.e2e.a2a_agents import agents
from tests.faces.serving import served

WIRES = ("JSONRPC", "HTTP+JSON")
HEADERS = {"A2A-Version": "1.0"}


class Keys:
    """Two users with a key each."""

    open = False

    async def authenticate(self, credential: str | None) -> Caller:
        if credential not in ("ann", "bob"):
            raise Unauthenticated("A valid credential is needed.")
        return Caller(tenant="local", user=credential, scopes=ALL_SCOPES)


@asynccontextmanager
async def landline_of(folder: Path, *given: Any, **more: Any) -> AsyncGenerator[str]:
    more = {"open": True, **more}
    app = Landline(agents=list(given), data=folder, log_level="error", faces=("native", "a2a"), **more)
    async with app.started(), served(app.app) as address:
        yield f"http://{address}"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with landline_of(tmp_path, *agents) as address:
        yield address


@asynccontextmanager
async def client_of(url: str, agent: str, wire: str, **headers: str) -> AsyncGenerator[Client]:
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[wire])
        yield await ClientFactory(config).create_from_url(f"{url}/a2a/{agent}")


def request(text: str = "", *, id_: str = "m-1", **more: Any) -> SendMessageRequest:
    parts = more.pop("parts", None) or [Part(text=text)]
    immediately = more.pop("immediately", False)
    sent = SendMessageRequest(message=Message(message_id=id_, role=Role.ROLE_USER, parts=parts, **more))
    sent.configuration.return_immediately = immediately
    return sent


def frames_of(events: list[StreamResponse]) -> list[dict[str, Any]]:
    frames = [MessageToDict(event) for event in events]
    for frame in frames:
        # What is empty is left out when the SDK's messages are told as JSON; a part of an empty text is one all the same.
        if "artifactUpdate" in frame:
            for part in frame["artifactUpdate"]["artifact"]["parts"]:
                part.setdefault("text", "") if not {"raw", "url", "data"} & set(part) else None
    return frames


async def told(events: AsyncIterator[StreamResponse], *, whole: bool = True) -> Told:
    return check_a2a_stream(frames_of([event async for event in events]), whole=whole)


async def task_of(client: Client, sent: SendMessageRequest) -> Task:
    inner: Any = client  # the SDK has no other way to ask for one answer of a client that streams
    inner._config.streaming = False
    try:
        (event,) = [event async for event in client.send_message(sent)]
    finally:
        inner._config.streaming = True
    check_a2a_task(MessageToDict(event.task))
    return event.task


def state(task: Any) -> str:
    return MessageToDict(task)["status"]["state"].removeprefix("TASK_STATE_")


def text_of(task: Task) -> str:
    return "".join(part.text for artifact in task.artifacts for part in artifact.parts)


@pytest.mark.contract("FACE-10", "FACE-17")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_message_is_a_task_that_streams_and_is_kept(url: str, wire: str) -> None:
    async with client_of(url, "echo", wire) as client:
        seen = await told(client.send_message(request("hello")))
        assert (seen.state, seen.text) == ("COMPLETED", "You said: hello")
        task = await client.get_task(GetTaskRequest(id=seen.id))
        assert (state(task), text_of(task)) == ("COMPLETED", "You said: hello")
        assert [(message.message_id, message.parts[0].text) for message in task.history] == [("m-1", "hello")]
        assert not (await client.get_task(GetTaskRequest(id=task.id, history_length=0))).history
        whole = await task_of(client, request("again", context_id=task.context_id))
        assert (state(whole), text_of(whole)) == ("COMPLETED", "Before: hello. You said: again")
        assert whole.context_id == task.context_id
        assert whole.id != task.id


@pytest.mark.contract("FACE-10", "THR-2")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_context_may_be_named_by_the_client(url: str, wire: str) -> None:
    async with client_of(url, "echo", wire) as client, client_of(url, "place", wire) as other:
        for context in ("talk-1", "6dd3ff31-3f0e-4b5f-8e53-2f1fb8a0a5f9"):
            first = await task_of(client, request("one", context_id=context))
            second = await task_of(client, request("two", context_id=context))
            assert (first.context_id, second.context_id) == (context, context)
            assert text_of(second) == "Before: one. You said: two"
            # Each agent is a server of its own to its clients.
            assert (await task_of(other, request("x", context_id=context))).context_id == context
            listed = await client.list_tasks(ListTasksRequest(context_id=context))
            assert [task.id for task in listed.tasks] == [second.id, first.id]


@pytest.mark.contract("FACE-10", "EVT-2")
@pytest.mark.parametrize("wire", WIRES)
async def test_resubscribing_in_the_middle_gives_the_state_and_the_rest(url: str, wire: str) -> None:
    async with client_of(url, "slow", wire) as client:
        whole = "".join(f"{number} " for number in range(30))
        cut: list[StreamResponse] = []
        async for event in client.send_message(request("go")):
            cut.append(event)
            if len(cut) == 8:
                break
        seen = await told(client.subscribe(SubscribeToTaskRequest(id=cut[0].task.id)))
        assert (seen.state, seen.text) == ("COMPLETED", whole)
        assert 0 < len(seen.begun) < len(whole)
        with pytest.raises(UnsupportedOperationError):
            await told(client.subscribe(SubscribeToTaskRequest(id=cut[0].task.id)))


@pytest.mark.contract("FACE-10", "EVT-2", "REL-10")
@pytest.mark.timeout(120)
async def test_a_stream_that_is_cut_at_any_frame_ends_the_same(url: str) -> None:
    async with httpx.AsyncClient(base_url=f"{url}/a2a/slow", headers=HEADERS, timeout=20) as http:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]}

        async def cut_at(number: int) -> str:
            frames: list[dict[str, Any]] = []
            async with http.stream("POST", "/message:stream", json={"message": message}) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        frames.append(json.loads(line.removeprefix("data: ")))
                    if len(frames) > number:
                        break
            check_a2a_stream(frames, whole=number > 33)
            id_ = frames[0]["task"]["id"]
            again = await http.get(f"/tasks/{id_}:subscribe")
            if again.status_code == 400:  # it has ended meanwhile
                task = (await http.get(f"/tasks/{id_}")).json()
                return "".join(part["text"] for one in task["artifacts"] for part in one["parts"])
            return check_a2a_stream(
                read_a2a_frames(again.content, again.headers["content-type"], wire="rest")
            ).text

        ends = await asyncio.gather(*map(cut_at, range(34)))
        assert set(ends) == {"".join(f"{number} " for number in range(30))}


@pytest.mark.contract("FACE-10", "RUN-8", "RUN-9")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (Part(text="Yes."), "Let me see. Erased it."),
        (ParseDict({"data": {"approve": True}}, Part()), "Let me see. Erased it."),
        (
            ParseDict({"data": {"approve": True, "arguments": {"name": "that"}}}, Part()),
            "Let me see. Erased that.",
        ),
        (Part(text="no"), None),
        (ParseDict({"data": {"approve": False, "reason": "never"}}, Part()), None),
    ],
)
async def test_an_approval_is_answered_by_a_message(
    url: str, wire: str, answer: Part, end: str | None
) -> None:
    async with client_of(url, "eraser", wire) as client:
        asked = await told(client.send_message(request("it")))
        assert (asked.state, asked.text) == ("INPUT_REQUIRED", "Let me see. ")
        id_ = asked.id
        waiting = await client.get_task(GetTaskRequest(id=id_))
        assert waiting.status.message.parts[0].text == 'Allow erase?\nerase {"name":"it"}'
        with pytest.raises(Exception, match="waits for an approval"):
            await task_of(client, request("perhaps", task_id=id_))
        task = await task_of(client, request(parts=[answer], task_id=id_, id_="m-2"))
        assert state(task) == ("COMPLETED" if end else "FAILED")
        if end:
            assert text_of(task) == end
        assert [message.message_id for message in task.history] == [
            "m-1",
            waiting.status.message.message_id,
            "m-2",
        ]
        with pytest.raises(UnsupportedOperationError):
            await task_of(client, request("yes", task_id=id_))


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_task_asks_and_goes_on_while_others_follow(url: str, wire: str) -> None:
    async with client_of(url, "asks", wire) as client:
        asked = await task_of(client, request("go"))
        assert (state(asked), asked.status.message.parts[0].text) == ("INPUT_REQUIRED", "Your name?")
        follower = asyncio.create_task(told(client.subscribe(SubscribeToTaskRequest(id=asked.id))))
        await asyncio.sleep(0.3)
        again = await told(client.send_message(request("Ann", task_id=asked.id, id_="m-2")))
        assert again.state == "INPUT_REQUIRED"
        assert (await follower).state == "INPUT_REQUIRED"
        with pytest.raises(Exception, match=r"choice|choose|one of"):
            await task_of(client, request("green", task_id=asked.id))
        with pytest.raises(UnsupportedOperationError, match=asked.id):
            await task_of(client, request("red", context_id=asked.context_id))
        with pytest.raises(Exception, match="another context"):
            await task_of(client, request("red", task_id=asked.id, context_id="elsewhere"))
        done = await task_of(client, request("red", task_id=asked.id, context_id=asked.context_id, id_="m-3"))
        assert (state(done), text_of(done)) == ("COMPLETED", "Ann likes red.")
        roles = [message.role for message in done.history]
        assert roles == [Role.ROLE_USER, Role.ROLE_AGENT, Role.ROLE_USER, Role.ROLE_AGENT, Role.ROLE_USER]
        assert [message.parts[0].text.partition("\n")[0] for message in done.history] == [
            "go", "Your name?", "Ann", "Which colour?", "red",
        ]  # fmt: skip


@pytest.mark.contract("FACE-10", "RUN-6")
async def test_tasks_of_one_context_wait_for_each_other(url: str) -> None:
    async with client_of(url, "slow", "JSONRPC") as client:
        first = await task_of(client, request("go", context_id="c", immediately=True))
        second = await task_of(client, request("go", context_id="c", immediately=True, id_="m-2"))
        assert state(second) == "SUBMITTED"
        listed = (await client.list_tasks(ListTasksRequest(context_id="c"))).tasks
        assert {task.id for task in listed} == {first.id, second.id}
        third = await told(client.send_message(request("go", context_id="c")))
        assert third.state == "COMPLETED"
        for task in (first, second):
            assert state(await client.get_task(GetTaskRequest(id=task.id))) == "COMPLETED"


@pytest.mark.contract("FACE-10", "RUN-5")
@pytest.mark.parametrize("wire", WIRES)
async def test_a_task_is_canceled_once(url: str, wire: str) -> None:
    async with client_of(url, "hold", wire) as client:
        task = await task_of(client, request("go", immediately=True))
        assert state(task) in ("SUBMITTED", "WORKING")
        with pytest.raises(UnsupportedOperationError):
            await task_of(client, request("more", task_id=task.id))
        follower = asyncio.create_task(told(client.subscribe(SubscribeToTaskRequest(id=task.id))))
        await asyncio.sleep(0.3)
        canceled = await client.cancel_task(CancelTaskRequest(id=task.id))
        assert (state(canceled), text_of(canceled)) == ("CANCELED", "waiting")
        assert (await follower).state == "CANCELED"
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize("wire", WIRES)
async def test_data_and_files_go_in_and_out(url: str, wire: str) -> None:
    async with client_of(url, "place", wire) as client:
        seen = await told(client.send_message(request("x")))
        assert seen.data == [{"city": "Paris", "sights": ["Louvre"]}]
        task = await task_of(client, request("x"))
        assert [MessageToDict(part.data) for part in task.artifacts[0].parts] == seen.data
    async with client_of(url, "files", wire) as client:
        raw = Part(raw=b"milk, bread", filename="../list.txt", media_type="text/plain")
        task = await task_of(client, request(parts=[Part(text="what is this?"), raw]))
        assert text_of(task) == "list.txt text/plain 11"
        assert [part.raw for artifact in task.artifacts for part in artifact.parts if part.raw] == [
            b"milk, bread"
        ]
        for refused in (
            Part(raw=b"x", media_type="application/x-unknown"),
            Part(url="https://example.com/list.txt"),
        ):
            with pytest.raises(ContentTypeNotSupportedError):
                await task_of(client, request(parts=[refused]))


@pytest.mark.contract("FACE-10", "EVT-8")
@pytest.mark.parametrize("wire", WIRES)
async def test_what_fails_says_so_and_no_more(url: str, wire: str) -> None:
    async with client_of(url, "broken", wire) as client:
        task = await task_of(client, request("x"))
        assert state(task) == "FAILED"
        assert "canary" not in str(task)
        with pytest.raises(PushNotificationNotSupportedError):
            await client.create_task_push_notification_config(
                TaskPushNotificationConfig(task_id=task.id, url="https://example.com")
            )


@pytest.mark.contract("THR-2", "TRU-1")
@pytest.mark.parametrize("wire", WIRES)
async def test_somebody_elses_task_is_not_there(tmp_path: Path, wire: str) -> None:
    async with (
        landline_of(tmp_path, *agents, open=None, authenticator=Keys()) as url,
        client_of(url, "echo", wire, authorization="Bearer ann") as ann,
        client_of(url, "echo", wire, authorization="Bearer bob") as bob,
        client_of(url, "place", wire, authorization="Bearer ann") as place,
    ):
        task = await task_of(ann, request("secret", context_id="mine"))
        for client in (bob, place):
            for call in (
                client.get_task(GetTaskRequest(id=task.id)),
                client.cancel_task(CancelTaskRequest(id=task.id)),
                task_of(client, request("x", task_id=task.id)),
                told(client.subscribe(SubscribeToTaskRequest(id=task.id))),
            ):
                with pytest.raises(TaskNotFoundError):
                    await call
        other = await task_of(bob, request("hello", context_id="mine"))
        assert text_of(other) == "You said: hello"
        assert [one.id for one in (await bob.list_tasks(ListTasksRequest())).tasks] == [other.id]
        async with httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
            for path in ("/.well-known/agent-card.json", "/a2a/echo/tasks"):
                assert (await http.get(path)).status_code == 401
            assert (await http.post("/a2a/echo", json={})).status_code == 401
            shown = (
                await http.get("/a2a/echo/.well-known/agent-card.json", headers={"x-api-key": "ann"})
            ).json()
            assert set(shown["securitySchemes"]) == {"bearer", "apiKey"}


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize("wire", WIRES)
async def test_tasks_are_listed_in_pages(url: str, wire: str) -> None:
    async with client_of(url, "echo", wire) as client:
        made = [(await task_of(client, request(str(number)))).id for number in range(5)]
        pages: list[list[str]] = []
        token = ""
        while True:
            page = await client.list_tasks(ListTasksRequest(page_size=2, page_token=token))
            assert (page.page_size, page.total_size) == (2, 5)
            pages.append([task.id for task in page.tasks])
            assert not any(task.artifacts for task in page.tasks)
            token = page.next_page_token
            if not token:
                break
        assert pages == [[made[4], made[3]], [made[2], made[1]], [made[0]]]
        full = await client.list_tasks(
            ListTasksRequest(include_artifacts=True, history_length=0, page_size=1)
        )
        assert (text_of(full.tasks[0]), len(full.tasks[0].history)) == ("You said: 4", 0)
        stamp = full.tasks[0].status.timestamp
        later = await client.list_tasks(ListTasksRequest(status_timestamp_after=stamp))
        assert [task.id for task in later.tasks] == [made[4]]
        assert not (await client.list_tasks(ListTasksRequest(context_id="unknown"))).tasks
        assert len((await client.list_tasks(ListTasksRequest(status="TASK_STATE_COMPLETED"))).tasks) == 5
        assert not (await client.list_tasks(ListTasksRequest(status="TASK_STATE_FAILED"))).tasks


@pytest.mark.contract("FACE-10", "ADP-1")
async def test_a_landline_calls_a_landline(url: str, tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    near = [
        landline.agent(landline.remote(f"{url}/a2a/{name}", protocol="a2a"), name=name)
        for name in ("echo", "slow", "asks", "eraser", "place")
    ]
    async with (
        landline_of(tmp_path / "front", *near) as front,
        httpx.AsyncClient(base_url=f"{front}/api/v1", timeout=20) as http,
    ):

        async def run(agent: str, text: str) -> dict[str, Any]:
            answer = await http.post("/runs", json={"agent": agent, "input": text})
            assert answer.status_code == 200, answer.text
            log = await http.get(
                f"/runs/{answer.json()['id']}/events?limit=200", headers={"accept": "application/json"}
            )
            check_stream(log.json()["items"], whole=answer.json()["status"] != "waiting")
            return answer.json()

        assert (await run("echo", "hello"))["output"] == "You said: hello"
        assert (await run("slow", "go"))["output"] == "".join(f"{number} " for number in range(30))
        assert (await run("place", "x"))["output"] == {"city": "Paris", "sights": ["Louvre"]}
        waiting = await run("asks", "go")
        for said in ("Ann", "red"):
            (question,) = waiting["questions"]
            answers = {"answers": [{"question_id": question["question_id"], "value": said}]}
            await http.post(f"/runs/{waiting['id']}/answers", json=answers)
            async with asyncio.timeout(10):
                while (waiting := (await http.get(f"/runs/{waiting['id']}")).json())["status"] not in (
                    "completed", "waiting", "failed",
                ):  # fmt: skip
                    await asyncio.sleep(0.05)
                    with suppress(KeyError):
                        assert waiting["error"] is None
        assert waiting["output"] == "Ann likes red.", waiting
