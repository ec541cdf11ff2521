"""FastAgency's wire without a server: what a reply answers, how a run's end is told, and who may use the wire at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from landline.faces.fastagency import face
from landline.faces.fastagency.decode import answer_of
from landline.faces.fastagency.encode import Speech, asking
from landline.model.agents import AgentInfo
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    TextDelta,
    ToolCalled,
    ToolFailed,
    stamp,
)
from landline.model.runs import Question, Usage
from landline.testing.faces.fastagency import check_workflow
from landline.web import problems
from landline.web.door import Door
from landline.web.guard import Guard
from landline.web.route import assert_declared
from tests.faces.fakes import AT, FakeAuthenticator, World, native_ports
from tests.faces.serving import served

APPROVAL = Question(
    question_id="q", kind="approval", prompt="Delete?", tool="erase", call_id="c", arguments={"name": "milk"}
)
CHOICE = Question(question_id="q", kind="choice", prompt="Which?", choices=["A", "B"])
SEVERAL = Question(
    question_id="q", kind="choice", prompt="Which?", choices=["A", "B"], arguments={"single": False}
)
INPUT = Question(question_id="q", kind="input", prompt="Why?")


def told(*events: Event) -> list[dict[str, Any]]:
    info = AgentInfo(name="a", title="A", framework="plain", version="1")
    speech = Speech(UUID(int=1), info)
    log = [
        stamp(event, seq=seq, run_id=str(UUID(int=2)), thread_id="t", at=AT)
        for seq, event in enumerate(events, 1)
    ]
    return [speech.begun({}), *(message for stamped in log for message in speech.tell(stamped))]


@pytest.mark.contract("FACE-12", "RUN-8")
@pytest.mark.parametrize(
    ("reply", "approve"),
    [
        ("Approve", True),
        (" yes ", True),
        ("Y", True),
        ("Deny", False),
        ("no", False),
        ("n", False),
        ("", None),
        ("perhaps", None),
        ("Approve it", None),
        ("not yes", None),
    ],
)
def test_only_a_plain_yes_approves(reply: str, approve: bool | None) -> None:
    """A human who types anything else is asked again."""
    answer = answer_of(APPROVAL, reply)
    assert (answer and answer.approve) is approve


@pytest.mark.contract("FACE-12", "RUN-8")
@pytest.mark.parametrize(
    ("question", "reply", "value"),
    [
        (CHOICE, "A", "A"),
        (CHOICE, "C", None),
        (CHOICE, "A, B", None),
        (SEVERAL, "A, B", ["A", "B"]),
        (SEVERAL, "A, C", None),
        (INPUT, "because", "because"),
    ],
)
def test_a_reply_is_one_of_the_choices(question: Question, reply: str, value: Any) -> None:
    answer = answer_of(question, reply)
    assert (answer and answer.value) == value


@pytest.mark.contract("FACE-12", "RUN-8")
def test_an_approval_shows_what_is_approved_and_is_not_given_by_the_return_key() -> None:
    speech = Speech(UUID(int=1), AgentInfo(name="a", title="A", framework="plain", version="1"))
    asked = asking(speech, APPROVAL)
    assert asked["type"] == "multiple_choice"
    assert asked["content"] == {
        "prompt": 'Delete? erase({"name":"milk"})',
        "choices": ["Approve", "Deny"],
        "default": "Deny",
        "single": True,
    }


@pytest.mark.contract("FACE-12", "FACE-17")
@pytest.mark.parametrize(
    ("end", "kinds", "result"),
    [
        (
            RunCompleted(output="whole", message_id="m", usage=Usage()),
            ["workflow_started", "workflow_completed"],
            "whole",
        ),
        (
            RunFailed(error=ErrorInfo(code="agent_failed", message="It broke.")),
            ["workflow_started", "error", "workflow_completed"],
            "It broke.",
        ),
        (RunCancelled(by="ann"), ["workflow_started", "workflow_completed"], "The run was cancelled."),
    ],
)
def test_every_end_is_told_as_what_it_is(end: Event, kinds: list[str], result: str) -> None:
    heard = told(MessageStarted(message_id="m", role="assistant"), TextDelta(message_id="m", delta="wh"), end)
    assert check_workflow(heard) == result
    assert [message["type"] for message in heard] == kinds, "a message that was cut off is not told"


@pytest.mark.contract("FACE-12", "FACE-17")
def test_a_message_and_a_tool_that_failed_are_told_once() -> None:
    heard = told(
        MessageStarted(message_id="m", role="assistant"),
        TextDelta(message_id="m", delta="Hel"),
        TextDelta(message_id="m", delta="lo"),
        MessageCompleted(message_id="m", text="Hello"),
        ToolCalled(call_id="c", name="erase", arguments={"name": "milk"}),
        ToolFailed(call_id="c", error=ErrorInfo(code="tool_failed", message="No milk.")),
        RunCompleted(output="Hello", message_id="m", usage=Usage()),
    )
    assert check_workflow(heard) == "Hello"
    assert [message["content"] for message in heard[1:-1]] == [
        {"body": "Hello"},
        {"function_name": "erase", "call_id": "c", "arguments": {"name": "milk"}},
        {"function_name": "erase", "call_id": "c", "retval": "No milk."},
    ]


def build(world: World) -> Guard:
    ports = native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=False)))
    app = FastAPI(openapi_url=None)
    app.include_router(face(ports))
    problems.install(app)
    assert_declared(app)
    return Guard(app, door=ports.door)


@pytest.mark.contract("FACE-12", "TRU-5")
async def test_each_door_asks_for_the_scopes_of_what_is_behind_it(world: World) -> None:
    """A reader sees what there is; who may not answer for people opens no socket, on which they would be asked."""
    body = {"workflow_name": "notes", "workflow_uuid": "x"}
    async with served(build(world)) as address:
        async with httpx.AsyncClient(base_url=f"http://{address}/fastagency") as client:
            for key, seen, begun in (("none", 401, 401), ("key-reader", 200, 403), ("key-runner", 200, 200)):
                headers = {"X-API-Key": key}
                assert (await client.get("/discovery", headers=headers)).status_code == seen
                answer = await client.post("/initiate_workflow", json=body, headers=headers)
                assert answer.status_code == begun
        for key, status in (("none", 401), ("key-reader", 403), ("key-runner", 403)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/fastagency/ws", additional_headers={"X-API-Key": key})
            assert refused.value.response.status_code == status
        async with connect(
            f"ws://{address}/fastagency/ws", additional_headers={"X-API-Key": "key-local"}
        ) as socket:
            assert socket.state.name == "OPEN"
    assert not world.started
