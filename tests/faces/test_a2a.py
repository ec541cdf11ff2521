"""The A2A face over HTTP with fake ports: envelopes, errors on both wires, cards, what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from landline.faces.a2a import face
from landline.faces.a2a.card import LABEL
from landline.model.agents import AgentInfo
from landline.model.events import Custom, MessageStarted, QuestionAsked, RunWaiting, TextDelta
from landline.model.runs import Question
from landline.testing.faces.a2a import check_a2a_stream, check_a2a_task, read_a2a_frames
from landline.web import problems
from landline.web.door import Door
from landline.web.face import FacePorts
from landline.web.guard import Guard
from landline.web.hosts import LOOPBACK_HOSTS, Hosts
from landline.web.route import assert_declared
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import served

V = {"a2a-version": "1.0"}
URL = "/a2a/notes"
CARD = "/.well-known/agent-card.json"


class Agents:
    """Agents as a test names them."""

    def __init__(self, *infos: AgentInfo) -> None:
        self.infos = list(infos)

    def list(self, caller: Any) -> list[AgentInfo]:
        return self.infos

    def get(self, caller: Any, name: str) -> AgentInfo:
        from landline.model.errors import NotFound

        found = [info for info in self.infos if info.name == name]
        if not found:
            raise NotFound("There is no such agent.")
        return found[0]


def info(name: str = "notes", **more: Any) -> AgentInfo:
    fields: dict[str, Any] = {
        "name": name,
        "title": name.title(),
        "framework": "plain",
        "version": "3",
        **more,
    }
    return AgentInfo(**fields)


def app_of(ports: FacePorts) -> Guard:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(face(ports))
    problems.install(app)
    assert_declared(app)
    return Guard(app, door=ports.door)


def client_of(ports: FacePorts, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app_of(ports))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers={**V, **headers})


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(native_ports(world)) as found:
        yield found


def message(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}


def rpc(method: str, params: Any = None, *, id_: Any = 7) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


async def ask(client: httpx.AsyncClient, method: str, params: Any = None) -> Any:
    answer = await client.post(URL, json=rpc(method, params))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["jsonrpc"], body["id"]) == ("2.0", 7)
    return body.get("result", body.get("error"))


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize("path", [URL, URL + "/"])
async def test_a_call_is_answered_with_and_without_a_slash(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=rpc("SendMessage", {"message": message()}, id_="a"))
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["id"] == "a"
    task = body["result"]["task"]
    check_a2a_task(task)
    assert task["artifacts"][0]["parts"] == [{"text": "Hello"}]
    assert task["history"][0]["messageId"] == "m-1"


@pytest.mark.contract("FACE-10", "FACE-17")
async def test_both_wires_stream_the_same(client: httpx.AsyncClient) -> None:
    called = await client.post(URL, json=rpc("SendStreamingMessage", {"message": message()}))
    posted = await client.post(f"{URL}/message:stream", json={"message": message()})
    streams = [
        read_a2a_frames(called.content, called.headers["content-type"], wire="jsonrpc", id_=7),
        read_a2a_frames(posted.content, posted.headers["content-type"], wire="rest"),
    ]
    texts = [check_a2a_stream(frames).text for frames in streams]
    assert texts == ["Hello", "Hello"]
    assert [list(frame) for frame in streams[0]] == [list(frame) for frame in streams[1]]


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b'{"jsonrpc": "2.0", "jsonrpc": "2.0"}', -32700),
        (b"[]", -32600),
        (b"", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "GetTask"}]', -32600),
        (b'{"jsonrpc": "2.0", "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": []}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tasks/get"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}', -32001),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "CancelTask", "params": {"id": "x"}}', -32001),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": "x"}}', -32001),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "CreateTaskPushNotificationConfig"}', -32003),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ListTaskPushNotificationConfigs"}', -32003),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetExtendedAgentCard"}', -32004),
    ],
)
async def test_what_is_no_call_is_told_in_json_rpc(client: httpx.AsyncClient, body: bytes, code: int) -> None:
    answer = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["jsonrpc"] == "2.0"
    # An id is told as soon as there is one.
    assert told["id"] == (1 if b'"id": 1' in body and not body.startswith(b"[") else None)
    assert told["error"]["code"] == code
    assert told["error"]["data"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/tasks/x", 404, "TASK_NOT_FOUND"),
        ("GET", f"/tasks/{'x' * 200}", 404, "TASK_NOT_FOUND"),
        ("GET", f"/tasks/{'x' * 300}", 400, "INVALID_PARAMS"),
        ("POST", "/tasks/x:cancel", 404, "TASK_NOT_FOUND"),
        ("GET", "/tasks/x:subscribe", 404, "TASK_NOT_FOUND"),
        ("POST", "/tasks/x:subscribe", 404, "TASK_NOT_FOUND"),
        ("GET", "/tasks?pageSize=0", 400, "INVALID_PARAMS"),
        ("GET", "/tasks?pageSize=101", 400, "INVALID_PARAMS"),
        ("GET", "/tasks?pageToken=xx", 400, "INVALID_PARAMS"),
        ("GET", "/tasks?statusTimestampAfter=yesterday", 400, "INVALID_PARAMS"),
        ("GET", "/tasks?statusTimestampAfter=2026-11-21T08:00:00", 400, "INVALID_PARAMS"),
        ("GET", "/tasks?status=done", 400, "INVALID_PARAMS"),
        ("GET", "/tasks/x?historyLength=-1", 400, "INVALID_PARAMS"),
        ("POST", "/tasks/x/pushNotificationConfigs", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("GET", "/tasks/x/pushNotificationConfigs", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("GET", "/tasks/x/pushNotificationConfigs/y", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("DELETE", "/tasks/x/pushNotificationConfigs/y", 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("GET", "/extendedAgentCard", 400, "UNSUPPORTED_OPERATION"),
    ],
)
async def test_errors_over_http_are_googles(
    client: httpx.AsyncClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = await client.request(method, URL + path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    info = error["details"][0]
    assert (info["reason"], info["domain"]) == (reason, "a2a-protocol.org")


@pytest.mark.contract("FACE-10")
@pytest.mark.parametrize("version", ["", "0.3", "2.0", "1.1", "1", "99.0", "1.0.0.0", "one"])
async def test_another_version_is_refused(client: httpx.AsyncClient, version: str) -> None:
    called = await client.post(URL, json=rpc("ListTasks"), headers={"a2a-version": version})
    assert called.json()["error"]["code"] == -32009
    listed = await client.get(f"{URL}/tasks", headers={"a2a-version": version})
    assert (listed.status_code, listed.json()["error"]["details"][0]["reason"]) == (
        400,
        "VERSION_NOT_SUPPORTED",
    )


async def test_the_version_may_have_a_patch_number_or_be_a_parameter(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{URL}/tasks", headers={"a2a-version": "1.0.7"})).status_code == 200
    del client.headers["a2a-version"]
    assert (await client.get(f"{URL}/tasks?A2A-Version=1.0")).status_code == 200


@pytest.mark.contract("TRU-19", "FACE-10")
@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"role": "ROLE_AGENT"}, "message.role"),
        ({"role": None}, "message.role"),
        ({"parts": []}, "message.parts"),
        ({"parts": [dict[str, Any]()]}, "message.parts.0"),
        ({"parts": [{"text": "a", "url": "b"}]}, "message.parts.0"),
        ({"parts": [{"text": 5}]}, "message.parts.0.text"),
        ({"parts": [{"text": ""}]}, "message.parts"),
        ({"parts": [{"text": "x" * 200_001}]}, "message.parts.0.text"),
        ({"parts": [{"text": "x" * 150_000}, {"text": "x" * 150_000}]}, "message"),
        ({"messageId": ""}, "message.messageId"),
        ({"messageId": "x" * 257}, "message.messageId"),
        ({"contextId": "x" * 129}, "message.contextId"),
        ({"metadata": {"a": "x" * 20_000}}, "message.metadata"),
    ],
)
async def test_a_message_that_does_not_fit_is_refused_with_its_place(
    client: httpx.AsyncClient, world: World, changes: dict[str, Any], where: str
) -> None:
    error = await ask(client, "SendMessage", {"message": message(**changes)})
    assert error["code"] == -32602
    (fault,) = [entry for entry in error["data"] if entry["@type"].endswith("BadRequest")]
    assert fault["fieldViolations"][0]["field"] == where
    assert not world.started


@pytest.mark.contract("FACE-10")
async def test_names_of_the_protocols_definition_are_taken_and_unknown_ones_ignored(
    client: httpx.AsyncClient,
) -> None:
    given = {"message_id": "m", "role": "ROLE_USER", "parts": [{"text": "x", "odd": 1}], "odd": 1}
    result = await ask(
        client, "SendMessage", {"message": given, "configuration": {"history_length": 0}, "odd": 1}
    )
    assert "history" not in result["task"]
    assert (await ask(client, "ListTasks", {"page_size": 1}))["pageSize"] == 1


@pytest.mark.contract("FACE-10")
async def test_options_that_are_not_built_are_refused(client: httpx.AsyncClient, world: World) -> None:
    push = {"taskPushNotificationConfig": {"url": "https://example.com"}}
    assert (await ask(client, "SendMessage", {"message": message(), "configuration": push}))["code"] == -32003
    assert (await ask(client, "SendMessage", {"message": message(), "tenant": "x"}))["code"] == -32602
    raw: dict[str, Any] = {"parts": [{"raw": base64.b64encode(b"x").decode()}]}
    assert (await ask(client, "SendMessage", {"message": message(**raw)}))["code"] == -32005
    url: dict[str, Any] = {"parts": [{"url": "https://example.com/a.txt"}]}
    assert (await ask(client, "SendMessage", {"message": message(**url)}))["code"] == -32005
    kind: dict[str, Any] = {"parts": [{"text": "x", "mediaType": "audio/ogg"}]}
    assert (await ask(client, "SendMessage", {"message": message(**kind)}))["code"] == -32005
    form = await client.post(URL, content=b"{}", headers={"content-type": "text/plain"})
    assert form.json()["error"]["code"] == -32005
    posted = await client.post(f"{URL}/message:send", content=b"{}", headers={"content-type": "text/plain"})
    assert posted.status_code == 415
    assert not world.started


@pytest.mark.contract("FACE-10")
async def test_the_protocols_own_media_type_is_taken(client: httpx.AsyncClient) -> None:
    body = json.dumps({"message": message()}).encode()
    answer = await client.post(
        f"{URL}/message:send", content=body, headers={"content-type": "application/a2a+json"}
    )
    assert answer.json()["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_an_agent_that_is_not_there(client: httpx.AsyncClient) -> None:
    called = await client.post("/a2a/nobody", json=rpc("ListTasks"))
    assert (called.status_code, called.json()["error"]["code"]) == (404, -32600)
    for path in ("/a2a/nobody/tasks", f"/a2a/nobody{CARD}"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.contract("TRU-5")
async def test_scopes_hold_on_every_operation(world: World) -> None:
    ports = native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    async with client_of(ports) as client:
        refused = await client.post(URL, json=rpc("ListTasks"))
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json()["error"]["message"]
        client.headers["x-api-key"] = "key-reader"
        assert (await client.post(URL, json=rpc("ListTasks"))).status_code == 200
        for method, params in (("SendMessage", {"message": message()}), ("CancelTask", {"id": "x"})):
            answer = await client.post(URL, json=rpc(method, params))
            assert (answer.status_code, answer.json()["id"]) == (403, 7)
        assert (await client.get(CARD)).status_code == 403
        assert not world.started


@pytest.mark.contract("FACE-10", "AGT-5")
async def test_a_card_says_what_the_agent_is_and_is_kept(world: World) -> None:
    one = info(description="Keeps notes.", starters=["What is on my list?"], capabilities=["files", "images"])
    async with client_of(native_ports(world, agents=Agents(one))) as client:
        del client.headers["a2a-version"]
        found = await client.get(CARD)
        assert found.json() == (await client.get(URL + CARD)).json()
        card = found.json()
        assert [each["url"] for each in card["supportedInterfaces"]] == ["http://localhost/a2a/notes"] * 2
        assert [each["protocolBinding"] for each in card["supportedInterfaces"]] == ["JSONRPC", "HTTP+JSON"]
        assert card["capabilities"] == {
            "streaming": True, "pushNotifications": False, "extendedAgentCard": False,
        }  # fmt: skip
        assert card["version"] == "3"
        assert "image/png" in card["defaultInputModes"]
        assert card["skills"][0]["examples"] == ["What is on my list?"]
        assert "securitySchemes" not in card
        headers = found.headers
        assert headers["cache-control"] == "private, max-age=300"
        assert headers["last-modified"].endswith("GMT")
        for name, value in (
            ("if-none-match", headers["etag"]),
            ("if-none-match", f'"x", W/{headers["etag"]}'),
            ("if-modified-since", headers["last-modified"]),
        ):
            again = await client.get(CARD, headers={name: value})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", headers["etag"])
        for name, value in (("if-none-match", '"x"'), ("if-modified-since", "never")):
            assert (await client.get(CARD, headers={name: value})).status_code == 200


@pytest.mark.contract("FACE-10")
async def test_the_default_card_is_of_the_only_agent_or_of_the_named_one(world: World) -> None:
    two = [info("one"), info("two")]
    async with client_of(native_ports(world, agents=Agents(*two))) as client:
        none = await client.get(CARD)
        assert none.status_code == 404
        assert "/a2a/{agent}" in none.json()["error"]["message"]
    named = [info("one"), info("two", labels={LABEL: "default"})]
    async with client_of(native_ports(world, agents=Agents(*named))) as client:
        assert (await client.get(CARD)).json()["name"] == "Two"


@pytest.mark.contract("TRU-13")
@pytest.mark.parametrize(
    ("hosts", "public", "host", "url"),
    [
        (LOOPBACK_HOSTS, None, "localhost:99", "http://localhost:99/a2a/notes"),
        (["*"], None, "evil.example", "http://localhost/a2a/notes"),
        (["*"], "https://agents.example/x/", "evil.example", "https://agents.example/x/a2a/notes"),
    ],
)
async def test_a_card_names_no_host_that_nobody_checked(
    world: World, hosts: list[str], public: str | None, host: str, url: str
) -> None:
    door = Door(authenticator=FakeAuthenticator(), hosts=Hosts(hosts), public_url=public)
    async with client_of(native_ports(world, door=door)) as client:
        for path in (CARD, URL + CARD):
            card = (await client.get(path, headers={"host": host})).json()
            assert card["supportedInterfaces"][0]["url"] == url
        assert (await client.get(CARD, headers={"host": "evil.example"})).status_code == (
            200 if hosts == ["*"] else 421
        )


async def test_a_mounted_face_names_its_mount(world: World) -> None:
    outer = FastAPI()
    outer.mount("/below", app_of(native_ports(world)))
    transport = httpx.ASGITransport(app=outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=V) as client:
        for path in (CARD, URL + CARD):
            card = (await client.get(f"/below{path}")).json()
            url = card["supportedInterfaces"][0]["url"]
            assert url == "http://localhost/below/a2a/notes"
        assert (await client.get(f"{url}/tasks")).status_code == 200


APPROVE = Question(question_id="q", kind="approval", prompt="Allow it?", tool="erase", arguments={})
ASK = Question(question_id="i", kind="input", prompt="Your name?")


async def waiting(client: httpx.AsyncClient, world: World, *questions: Question) -> str:
    world.finish = False
    task = (
        await ask(client, "SendMessage", {"message": message(), "configuration": {"returnImmediately": True}})
    )["task"]
    assert task["status"]["state"] == "TASK_STATE_WORKING"
    world.write(
        task["id"],
        *(QuestionAsked(question_id=one.question_id, kind=one.kind, prompt=one.prompt) for one in questions),
        RunWaiting(questions=questions),
    )
    world.finish = True
    return task["id"]


@pytest.mark.contract("RUN-8", "FACE-10")
@pytest.mark.parametrize(
    ("questions", "parts", "answers"),
    [
        ([APPROVE], [{"text": " OK. "}], [{"question_id": "q", "approve": True}]),
        ([APPROVE], [{"text": "denied"}], [{"question_id": "q", "approve": False}]),
        (
            [APPROVE],
            [{"text": "because"}, {"data": {"approve": False, "reason": "no"}}],
            [{"question_id": "q", "approve": False, "reason": "no"}],
        ),
        ([ASK], [{"text": "An"}, {"text": "n"}], [{"question_id": "i", "value": "Ann"}]),
        ([ASK], [{"data": {"approve": True}}], [{"question_id": "i", "value": {"approve": True}}]),
        ([ASK], [{"data": None}], [{"question_id": "i"}]),
        ([ASK], [{"data": 1}, {"data": 2}], [{"question_id": "i", "value": [1, 2]}]),
        ([ASK], [{"data": {"questionId": "i", "value": 5}}], [{"question_id": "i", "value": 5}]),
        (
            [APPROVE, ASK],
            [
                {
                    "data": {
                        "answers": [
                            {"questionId": "i", "value": "Ann"},
                            {"question_id": "q", "approve": True},
                        ]
                    }
                }
            ],
            [{"question_id": "i", "value": "Ann"}, {"question_id": "q", "approve": True}],
        ),
        ([APPROVE, ASK], [{"text": "yes"}], None),
        ([APPROVE], [{"text": "yes, but"}], None),
        ([APPROVE], [{"data": {"approve": "yes"}}], None),
        ([APPROVE], [{"data": True}, {"text": "yes"}], None),
        ([APPROVE], [{"data": {"questionId": "other", "approve": True}}], None),
        ([ASK], [{"data": {"questionId": "i"}}], None),
        ([ASK], [{"data": {"answers": ["x"]}}], None),
        ([ASK], [{"raw": "eA=="}], None),
    ],
)
async def test_a_message_answers_questions_by_one_grammar(
    client: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    questions: list[Question],
    parts: list[Any],
    answers: list[Any] | None,
) -> None:
    from tests.faces.fakes import FakeRuns

    given: list[Any] = []
    plain = FakeRuns.answer

    async def noted(self: Any, caller: Any, run_id: str, answers: Any) -> Any:
        given.extend(msgspec.to_builtins(list(answers)))
        return await plain(self, caller, run_id, answers)

    monkeypatch.setattr(FakeRuns, "answer", noted)
    id_ = await waiting(client, world, *questions)
    result = await ask(client, "SendMessage", {"message": message(parts=parts, taskId=id_)})
    if answers is None:
        assert result["code"] in (-32602, -32005), result
        assert not given
    else:
        assert result["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
        assert given == answers
        assert result["task"]["history"][-1]["parts"] == parts


@pytest.mark.contract("TRU-5", "RUN-8")
async def test_who_may_run_agents_may_not_answer_for_people(world: World) -> None:
    ports = native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    async with client_of(ports) as client:
        client.headers["x-api-key"] = "key-runner"
        id_ = await waiting(client, world, APPROVE)
        refused = await client.post(URL, json=rpc("SendMessage", {"message": message("yes", taskId=id_)}))
        assert refused.status_code == 403
        assert "approvals:answer" in refused.json()["error"]["message"]
        assert world.run_rows[id_].status == "waiting"


@pytest.mark.contract("FACE-10", "RUN-5")
async def test_a_task_that_has_ended_is_neither_followed_nor_canceled(
    client: httpx.AsyncClient, world: World
) -> None:
    whole = (await ask(client, "SendMessage", {"message": message()}))["task"]["id"]
    world.finish = False
    sent = {"message": message(), "configuration": {"returnImmediately": True}}
    stopped = (await ask(client, "SendMessage", sent))["task"]["id"]
    task = await ask(client, "CancelTask", {"id": stopped})
    assert task["status"]["state"] == "TASK_STATE_CANCELED"
    for id_ in (whole, stopped):
        assert (await ask(client, "SubscribeToTask", {"id": id_}))["code"] == -32004
        assert (await ask(client, "CancelTask", {"id": id_}))["code"] == -32002


@pytest.mark.contract("FACE-10", "THR-2")
async def test_a_context_of_one_agent_is_none_of_another(world: World) -> None:
    async with client_of(native_ports(world, agents=Agents(info(), info("broken")))) as client:
        for name in ("notes", "broken"):
            sent = rpc("SendMessage", {"message": message(contextId="c")})
            task = (await client.post(f"/a2a/{name}", json=sent)).json()["result"]["task"]
            assert task["contextId"] == "c"
    assert [row.agent for row in world.thread_rows.values()] == ["notes", "broken"]


@pytest.mark.contract("FACE-10")
async def test_an_agent_may_answer_with_a_message(client: httpx.AsyncClient, world: World) -> None:
    world.finish = False
    sending = asyncio.create_task(ask(client, "SendMessage", {"message": message()}))
    await world.until(lambda: world.started)
    (run_id,) = world.run_rows
    world.write(run_id, Custom(name="a2a.message"))
    world.complete(run_id, "Just so.")
    said = (await sending)["message"]
    assert (said["role"], said["parts"], "taskId" in said) == ("ROLE_AGENT", [{"text": "Just so."}], False)
    assert said["contextId"] == world.run_rows[run_id].thread_id


async def test_a_task_is_not_told_before_its_first_event_is(client: httpx.AsyncClient, world: World) -> None:
    world.finish, world.told = False, 0
    sent = {"message": message(), "configuration": {"returnImmediately": True}}
    sending = asyncio.create_task(ask(client, "SendMessage", sent))
    await world.until(lambda: world.following)
    await asyncio.sleep(0.05)
    assert not sending.done()
    world.told = 1
    world.ring()
    task = (await sending)["task"]
    check_a2a_task(task)
    assert (task["status"]["state"], len(task["history"])) == ("TASK_STATE_SUBMITTED", 1)


@pytest.mark.contract("FACE-15", "REL-10")
async def test_a_draining_server_ends_streams_with_a_comment_and_answers_with_the_task(world: World) -> None:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator())
    async with (
        served(app_of(native_ports(world, door=door))) as address,
        httpx.AsyncClient(base_url=f"http://{address}", headers=V) as client,
    ):
        sending = asyncio.create_task(client.post(f"{URL}/message:send", json={"message": message()}))
        await world.until(lambda: world.following == 1)
        async with client.stream("POST", f"{URL}/message:stream", json={"message": message()}) as answer:
            await world.until(lambda: world.following == 2)
            run_id = list(world.run_rows)[-1]
            world.write(
                run_id,
                MessageStarted(message_id="m", role="assistant"),
                TextDelta(message_id="m", delta="Hel"),
            )
            pieces = answer.aiter_bytes()
            body = b""
            while b"Hel" not in body:
                body += await anext(pieces)
            door.drain.start()
            body += b"".join([piece async for piece in pieces])
        frames = read_a2a_frames(body, answer.headers["content-type"], wire="rest")
        check_a2a_stream(frames, whole=False)
        assert body.endswith(b": the server is stopping; subscribe again\n\n")
        assert (await sending).json()["task"]["status"]["state"] == "TASK_STATE_WORKING"


@pytest.mark.contract("EVT-8")
@pytest.mark.parametrize("wire", ["rest", "jsonrpc"])
async def test_a_stream_that_fails_ends_with_an_error(
    client: httpx.AsyncClient, world: World, wire: str
) -> None:
    world.finish = False
    world.fail_follow = RuntimeError("canary")
    if wire == "rest":
        answer = await client.post(f"{URL}/message:stream", json={"message": message()})
        error = json.loads(answer.text.split("\n\n")[-2].removeprefix("event: error\ndata: "))["error"]
        assert error["code"] == 500
    else:
        answer = await client.post(URL, json=rpc("SendStreamingMessage", {"message": message()}))
        told = json.loads(answer.text.split("\n\n")[-2].removeprefix("data: "))
        assert told["id"] == 7
        assert told["error"]["code"] == -32603
    assert "canary" not in answer.text
