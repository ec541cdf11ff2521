"""What is new in a request, and what its answers are: pure functions on bodies of every kind."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from landline.faces.ag_ui import decode
from landline.faces.ag_ui.answers import answers_for
from landline.faces.ag_ui.capabilities import capabilities_of
from landline.faces.ag_ui.interrupts import interrupt_of
from landline.faces.ag_ui.wire import MAX_INPUT_CHARS, MessageBody, RunBody
from landline.model.agents import AgentInfo, ToolInfo
from landline.model.errors import Invalid, LandlineError
from landline.model.runs import Answer, Question, Run
from tests.faces.fakes import AT, World
from tests.faces.test_ag_ui import build

APPROVAL = Question(
    question_id="q1", kind="approval", prompt="May I?", tool="erase", call_id="c1", arguments={}
)
CHOICE = Question(question_id="q2", kind="choice", prompt="Which?", choices=["a", "b"])
CALL = Question(
    question_id="q3", kind="input", prompt="p", tool="paint", call_id="c3", arguments={}, client=True
)
CALL_TOO = Question(
    question_id="q4", kind="input", prompt="p", tool="paint", call_id="c4", arguments={}, client=True
)


def body(*messages: dict[str, Any], **more: Any) -> RunBody:
    said = [{"id": f"m{index}", **message} for index, message in enumerate(messages)]
    return RunBody.model_validate({"threadId": "t", "runId": "r", "messages": said, **more})


def run(*questions: Question) -> Run:
    return Run(id="run", thread_id="thread", agent="a", status="waiting", created_at=AT, questions=questions)


def resolved(id_: str, payload: Any) -> dict[str, Any]:
    return {"interruptId": id_, "status": "resolved", "payload": payload}


def tool(call: str, content: Any = "done", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "toolCallId": call, "content": content, **more}


@pytest.mark.contract("FACE-8", "TRU-19")
def test_the_end_of_the_messages_is_new_and_nothing_else() -> None:
    user, assistant, beside = {"role": "user"}, {"role": "assistant"}, {"role": "reasoning"}
    found = decode.new_users(body(user, assistant, user, beside, user).messages, {"m2"})
    assert [message.id for _, message in found] == ["m4"]
    assert decode.new_users(body(user, assistant).messages, set()) == []
    last = decode.last_user(body(assistant, user, beside).messages)
    assert last is not None
    assert last.id == "m1"
    assert decode.last_user(body(user, assistant).messages) is None


@pytest.mark.contract("FACE-8", "RUN-8")
def test_all_that_is_open_is_answered_at_once() -> None:
    waiting = run(APPROVAL, CHOICE, CALL)
    whole = body(tool("c3"), resume=[resolved("q1", {"approved": True}), resolved("q2", "a")])
    answers = answers_for(waiting, whole)
    assert answers is not None
    assert list(answers.given) == [
        Answer(question_id="q3", value="done"),
        Answer(question_id="q1", approve=True),
        Answer(question_id="q2", value="a"),
    ]
    assert answers.results == {"c3:result": "m0"}
    for part in (
        body(tool("c3"), resume=[resolved("q1", {"approved": True})]),
        body(resume=[resolved("q1", {"approved": True}), resolved("q2", "a")]),
        body(tool("c3")),
    ):
        with pytest.raises(Invalid):
            answers_for(waiting, part)
    with pytest.raises(Invalid) as refusal:
        answers_for(run(CALL, CALL_TOO), body(tool("c3")))
    assert refusal.value.code == "call_unanswered"
    assert answers_for(waiting, body({"role": "user", "content": "hi"})) is None


@pytest.mark.contract("FACE-8")
def test_an_abandoned_question_stops_the_run_and_an_abandoned_approval_is_denied() -> None:
    cancelled = [{"interruptId": id_, "status": "cancelled"} for id_ in ("q1", "q2")]
    denied = answers_for(run(APPROVAL), body(resume=cancelled[:1]))
    assert denied is not None
    assert [(answer.approve, bool(answer.reason)) for answer in denied.given] == [(False, True)]
    stopped = answers_for(run(APPROVAL, CHOICE), body(resume=cancelled))
    assert stopped is not None
    assert list(stopped.given) == []


@pytest.mark.contract("FACE-8")
@pytest.mark.parametrize(
    ("message", "value"),
    [
        (tool("c3", "text"), "text"),
        (tool("c3", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab"),
        (tool("c3", "", error="broken"), {"error": "broken"}),
        (tool("c3", "half", error="broken"), {"error": "broken", "content": "half"}),
    ],
)
def test_results_of_the_applications_tools(message: dict[str, Any], value: Any) -> None:
    answers = answers_for(run(CALL), body(message))
    assert answers is not None
    assert [answer.value for answer in answers.given] == [value]


@pytest.mark.contract("FACE-8")
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "invalid_request"),
        ({"type": "text"}, "invalid_request"),
        ([{"type": "text"}], "invalid_request"),
        ([{"type": "image", "source": {"type": "data"}}], "invalid_request"),
        ([{"type": "binary", "mimeType": "image/png"}], "invalid_request"),
        ([{"type": "text", "text": "x"}] * 65, "invalid_request"),
        ("x" * (MAX_INPUT_CHARS + 1), "invalid_request"),
    ],
)
def test_content_that_is_none_is_refused(content: Any, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decode.content(MessageBody(id="m", role="user", content=content), 3)
    assert refusal.value.code == code
    assert list(refusal.value.errors[0].loc[:4]) == ["body", "messages", 3, "content"]


def test_attribute_names_of_python_clients_are_taken() -> None:
    sent: dict[str, Any] = {
        "thread_id": "t",
        "run_id": "r",
        "messages": [],
        "forwarded_props": {"a": 1},
        "novel": 1,
    }
    read = RunBody.model_validate(sent)
    assert (read.thread_id, read.run_id, read.forwarded_props) == ("t", "r", {"a": 1})


@pytest.mark.contract("FACE-8")
def test_capabilities_are_the_protocols_own_shape() -> None:
    from ag_ui.core.capabilities import AgentCapabilities

    info = AgentInfo(
        name="a",
        title="A",
        framework="plain",
        version="1",
        tools=[ToolInfo(name="look")],
        capabilities=["tools", "approvals", "images", "client_tools"],
    )
    shown = capabilities_of(info)
    read = AgentCapabilities.model_validate(shown)
    assert read.model_dump(mode="json", by_alias=True) == shown
    assert shown["humanInTheLoop"]["interrupts"]
    assert shown["multimodal"]["input"] == {"image": True, "file": False}


def test_an_interrupt_tells_when_it_ends() -> None:
    late = Question(question_id="q", kind="approval", prompt="p", expires_at=AT, needed=2)
    shown = interrupt_of(late)
    assert (shown["expiresAt"], shown["reason"]) == (AT, "confirmation")
    assert set(shown["responseSchema"]["properties"]) == {"approved", "reason"}


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PART = some.fixed_dictionaries(
    {"type": some.sampled_from(["text", "image", "binary", "document", "x"])},
    optional={
        "text": some.text(max_size=5) | JSON,
        "source": some.fixed_dictionaries(
            {"type": some.sampled_from(["data", "url", "file", "x"])},
            optional={
                "value": some.text(max_size=9) | JSON,
                "mimeType": JSON,
                "provider": some.just("landline") | JSON,
            },
        )
        | JSON,
        "metadata": some.fixed_dictionaries({"filename": JSON}) | JSON,
        "data": JSON,
        "mimeType": JSON,
    },
)
MESSAGE = some.fixed_dictionaries(
    {
        "id": some.sampled_from(["a", "b", "c"]),
        "role": some.sampled_from(["user", "user", "assistant", "tool", "system", "activity", "x"]),
    },
    optional={
        "content": some.text(max_size=5) | some.lists(PART, max_size=3) | JSON,
        "toolCallId": some.text(max_size=3) | JSON,
        "error": some.text(max_size=3) | JSON,
    },
)
INPUT = some.fixed_dictionaries(
    {
        "threadId": some.sampled_from(["t1", "t2"]) | JSON,
        "runId": some.text(min_size=1, max_size=3) | JSON,
        "messages": some.lists(MESSAGE | JSON, max_size=4) | JSON,
    },
    optional={
        "state": JSON | some.just({"output": 1}),
        "tools": some.lists(
            JSON | some.fixed_dictionaries({"name": some.text(), "description": some.text()}), max_size=2
        )
        | JSON,
        "context": some.lists(
            some.fixed_dictionaries({"description": some.text(), "value": some.text()}), max_size=2
        )
        | JSON,
        "forwardedProps": JSON,
        "resume": some.lists(
            some.fixed_dictionaries({"interruptId": some.text(max_size=3), "status": some.just("resolved")}),
            max_size=2,
        )
        | JSON,
    },
)


@pytest.mark.contract("FACE-8", "TRU-11")
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sent=INPUT)
async def test_no_input_is_a_fault_of_the_server(world: World, sent: dict[str, Any]) -> None:
    transport = httpx.ASGITransport(app=build(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/ag-ui/notes", json=sent)
    assert answer.status_code < 500, (sent, answer.text)
    assert answer.status_code == 200 or answer.json()["type"] == "RUN_ERROR"


def test_refusals_are_domain_errors() -> None:
    with pytest.raises(LandlineError):
        decode.check_input(body(state=[1]))
    decode.check_input(body(state={}))
    decode.check_input(body(state={"output": {"a": 1}}))
