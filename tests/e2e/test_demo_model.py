"""The demo's agents on a real model client: the `openai` package, over HTTP, against a scripted model server.

Whatever that server does wrong, a run ends as failed with a stable code, and never as an answer that lacks its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.demo.lesson_model import lesson_voice
from landline.model.errors import AgentFailed
from landline.testing.grammar import check_stream
from landline.testing.upstream import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    Reply,
    Request,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.e2e.calls import Event, Server
from tests.e2e.test_demo_line import Demo, demo, grows, of

__all__ = ["demo"]

ANSWER = "The answer has many words and this one is its END"
ADVICE = {
    "support_advice": "Your card is blocked.",
    "block_card": True,
    "risk_level": 8,
    "follow_up_actions": ["Wait for the new card", "Activate it"],
}
WARM = ("landline.demo.agents", "pydantic_ai.models.openai", "pydantic_ai.providers.openai")
INTERNALS = ("127.0.0.1", "traceback", "openai", "pydantic", "httpx", "json", "scripted", "site-packages")
PACE_S = 0.03
IDLE_S = 6.0
"""Longer than the client's two retries take, and what a model that fell silent gets."""


def brain(request: Request) -> Reply:
    """Say what the user's words call for; a name of FAULTS in them spoils it."""
    answer = whole(request)
    name = next((name for name in FAULTS if f"<{name}>" in str(request.items)), None)
    if name is None:
        return replace(answer, interval_s=PACE_S)
    fault = FAULTS[name]
    return replace(fault, answer=answer)


def whole(request: Request) -> Reply:
    """Use a tool first where the words name one, then answer in the form the agent wants."""
    words = request.text
    if request.turn == 0 and "create" in words:
        return ToolCalls([ToolCall("create_note", {"title": "Milk", "content": "two bottles"})], text="Well,")
    if request.turn == 0 and "delete" in words:
        return ToolCalls([ToolCall("delete_note", {"note_id": 1})])
    if request.turn == 0 and "balance" in words:
        return ToolCalls([ToolCall("customer_balance", {"include_pending": False})])
    if any(name.startswith("final_result") for name in request.tools):
        return Structured(ADVICE)
    return Text(ANSWER)


FAULTS: dict[str, Fault] = {
    "429": Status(429),
    "500": Status(500),
    "503": Status(503),
    "401": Status(401),
    "stall": Stall(),
    "stall in the middle": Stall(after_tokens=3),
    "cut": Cut(),
    "cut in the middle": Cut(after_tokens=3),
    "clean cut": CutClean(),
    "clean cut in the middle": CutClean(after_tokens=3),
    "clean cut before the finish": CutClean(after_tokens=10_000),
    "malformed": Malformed(),
    "malformed in the middle": Malformed(after_tokens=3),
    "html": Html(),
    "stream error": StreamError(),
    "stream error in the middle": StreamError(after_tokens=3),
}
CODES = {
    "tool_error",
    "model_rate_limited",
    "model_unavailable",
    "model_auth",
    "model_truncated",
    "model_invalid_response",
    "timed_out",
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(brain) as server:
        yield server


async def on(demo: Demo, upstream: ScriptedUpstream, **environ: str) -> Server:
    return await demo(warm=WARM, OPENAI_BASE_URL=upstream.base_url, OPENAI_API_KEY="test", **environ)


async def ended(server: Server, agent: str, text: str) -> list[Event]:
    """Start a run, follow it to its end, and return its whole log, which is well-formed."""
    run = await server.run(agent, text)
    events = await server.ended(run["id"])
    check_stream(events, whole=events[-1]["type"] != "run.waiting")
    assert events == await server.log(run["id"])
    return events


@pytest.mark.contract("CLI-5", "FACE-17")
async def test_the_label_is_the_models_name_and_the_answers_are_the_models(
    demo: Demo, upstream: ScriptedUpstream
) -> None:
    server = await on(demo, upstream, OPENAI_MODEL="gpt-own")
    agents = await server.items("/agents?limit=50")
    assert {agent["labels"]["model"] for agent in agents} == {"gpt-own"}
    events = await ended(server, "notes", "say something")
    assert events[-1]["output"] == ANSWER
    assert len(of(events, "text.delta")) > 1, "it streams"
    seen = upstream.requests[-1]
    assert (seen.model, seen.headers["authorization"]) == ("gpt-own", "Bearer test")
    assert set(seen.tools) == {"create_note", "list_notes", "delete_note"}
    assert (await server.get(events[0]["run_id"]))["model"] == "gpt-own"


@pytest.mark.contract("CLI-5", "RUN-8")
async def test_a_note_is_made_and_deleted_once_through_a_restart(
    demo: Demo, upstream: ScriptedUpstream
) -> None:
    server = await on(demo, upstream)
    made = await ended(server, "notes", "create a note")
    assert [event["result"] for event in of(made, "tool.completed")] == ["Created note [1] Milk."]
    assert made[-1]["output"] == ANSWER
    asked = await ended(server, "notes", "delete it")
    assert asked[-1]["type"] == "run.waiting"
    await server.restart()
    inbox = await server.items("/approvals?limit=50")
    assert [(one["tool"], one["arguments"]) for one in inbox] == [("delete_note", {"note_id": 1})]
    calls = len(upstream.requests)
    answer = await server.answer(asked[0]["run_id"], inbox, approve=True)
    assert answer.status == 200, answer.body
    events = await server.ended(asked[0]["run_id"])
    check_stream(events)
    assert [event["result"] for event in of(events, "tool.completed")] == ["Deleted note [1]."]
    assert events[-1]["output"] == ANSWER
    assert len(upstream.requests) == calls + 1, "the model is asked for what it has not said yet, once"


@pytest.mark.contract("CLI-5", "EVT-3", "FACE-17")
async def test_structured_output_grows_over_the_wire_of_a_real_client(
    demo: Demo, upstream: ScriptedUpstream
) -> None:
    server = await on(demo, upstream)
    events = await ended(server, "bank_support", "what is my balance?")
    assert [event["name"] for event in of(events, "tool.called")] == ["customer_balance"]
    partials = [event["output"] for event in of(events, "output.partial")]
    assert len(partials) > 5
    assert all(grows(before, after) for before, after in pairwise(partials)), partials
    assert partials[-1] == events[-1]["output"] == ADVICE


@pytest.mark.contract("CLI-5", "RUN-8", "ADP-11")
async def test_the_lesson_is_spoken_by_the_model_and_goes_on_after_a_restart(
    demo: Demo, upstream: ScriptedUpstream
) -> None:
    server = await on(demo, upstream)
    asked = await ended(server, "student_teacher", "teach me fractions")
    assert asked[-1]["type"] == "run.waiting"
    assert next(event["text"] for event in of(asked, "message.completed")) == f"**Teacher:** {ANSWER}"
    await server.restart()
    calls = len(upstream.requests)
    (question,) = asked[-1]["questions"]
    given = [{"question_id": question["question_id"], "value": "What is a half?"}]
    run_id = asked[0]["run_id"]
    assert (await server.ask("POST", f"/runs/{run_id}/answers", body={"answers": given})).status == 200
    events = await server.ended(run_id)
    check_stream(events)
    assert events[-1]["type"] == "run.completed"
    assert "**Student:** What is a half?" in [event["text"] for event in of(events, "message.completed")]
    assert len(upstream.requests) == calls + 2, "what was prepared before the restart is not prepared again"


# A step is not ended by the idle timeout; what bounds the lesson's has a test of its own.
CASES = [
    (agent, text, name)
    for name, fault in FAULTS.items()
    for agent, text in (
        ("notes", "say something"),
        ("notes", "create a note"),
        ("bank_support", "I lost my card"),
        ("bank_support", "what is my balance?"),
        ("student_teacher", "fractions"),
    )
    if agent != "student_teacher" or not isinstance(fault, Stall)
]


@pytest.mark.contract("RES-5", "EVT-8", "FACE-17", "CLI-5")
async def test_no_fault_of_the_model_ends_as_an_answer(demo: Demo, upstream: ScriptedUpstream) -> None:
    """Every fault, in answers, in tool calls and in structured output."""
    server = await on(demo, upstream, LANDLINE_IDLE_TIMEOUT_S=str(IDLE_S))
    room = asyncio.Semaphore(12)

    async def offence(agent: str, text: str, name: str) -> str:
        async with room:
            events = await ended(server, agent, f"{text} <{name}>")
        run = await server.get(events[0]["run_id"])
        wrong = offence_in(events) or ("" if run["error"] == events[-1]["error"] else f"the run says {run}")
        return wrong and f"{agent}, {text} <{name}>: {wrong}"

    offences = await asyncio.gather(*(offence(*case) for case in CASES))
    assert not any(offences), "\n".join(filter(None, offences))


def offence_in(events: list[Event]) -> str:
    """Return what is wrong with a run whose model failed, or "" ."""
    last = events[-1]
    if last["type"] != "run.failed":
        return f"it ends with {last}"
    if any(event["text"] for event in of(events, "message.completed")):
        return "what the model had not ended was taken for a message"
    if of(events, "tool.completed"):
        return "a tool call that the model had not ended was made"
    code, text = last["error"]["code"], last["error"]["message"]
    if code not in CODES:
        return f"the code is {code}"
    if leaked := [word for word in INTERNALS if word in text.lower()]:
        return f"{text!r} shows {leaked}"
    return ""


@pytest.mark.contract("RES-5")
async def test_arguments_that_are_no_json_go_back_to_the_model_and_run_nothing(demo: Demo) -> None:
    """The model mends its call, and the note is there once."""

    def brain(request: Request) -> Reply:
        call = ToolCalls([ToolCall("create_note", {"title": "Milk", "content": "two bottles"})])
        return [BadArguments(answer=call), call, Text("done")][min(request.turn, 2)]

    with ScriptedUpstream(brain) as upstream:
        server = await on(demo, upstream)
        events = await ended(server, "notes", "create a note")
    assert events[-1]["output"] == "done"
    assert [event["result"] for event in of(events, "tool.completed")] == ["Created note [1] Milk."]


@pytest.mark.contract("RES-5")
async def test_a_model_that_is_down_for_a_moment_is_asked_again(demo: Demo) -> None:
    """The client's own retries, before the first token: one whole answer, no trace of the rest."""
    with ScriptedUpstream(lambda _: Status(503, first=1, answer=Text(ANSWER))) as upstream:
        server = await on(demo, upstream)
        events = await ended(server, "notes", "say something")
        assert len(upstream.requests) == 2
    assert events[-1]["output"] == ANSWER
    assert len(of(events, "message.started")) == 1


@pytest.mark.contract("RES-5")
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Stall(), "model_timeout"),
        (Stall(after_tokens=2), "model_timeout"),
        (CutClean(after_tokens=2), "model_truncated"),
        (Text(ANSWER, finish="length"), "model_truncated"),
    ],
)
async def test_the_lesson_takes_whole_answers_only_and_does_not_wait_forever(reply: Reply, code: str) -> None:
    """It asks the model inside a step, which nothing else ends."""
    with ScriptedUpstream(lambda _: reply) as upstream:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0)
        model = OpenAIChatModel("gpt-own", provider=OpenAIProvider(openai_client=client))
        async with client:
            with pytest.raises(AgentFailed) as failed:
                await lesson_voice(model, "teacher", "fractions", "", within_s=0.5)
    assert failed.value.code == code
