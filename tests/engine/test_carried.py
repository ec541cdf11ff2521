"""What a client carries to its run: tools it carries out, and a history that nobody vouches for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from landline.engine.carried import check_carried
from landline.model.agents import AgentInfo, ToolInfo
from landline.model.callers import LOCAL
from landline.model.carried import Carried, CarriedMessage, ClientTool
from landline.model.errors import Conflict, Invalid, LandlineError
from landline.model.events import Event, QuestionAsked
from landline.model.messages import Message, TextPart
from landline.model.runs import Answer
from landline.ports.adapter import Ask, Finished, ToolCall, Turn
from landline.ports.store import MessageQuery, RunQuery
from landline.testing.clock import VirtualClock
from landline.testing.fakes import say
from tests.engine.conftest import Boot, Server

LOOK = ClientTool(name="look", description="Looks.", parameters={"type": "object"})


async def looks(turn: Turn) -> AsyncIterator[Event | Finished]:
    """Calls the client's tool as an adapter does one that needs approval: asks, then goes through the line."""
    (tool,) = turn.tools
    assert tool.policy.approval
    call = ToolCall(call_id="c1", name=tool.name, arguments={"at": "sky"})
    ask = Ask(
        key="approve:c1", kind="approval", prompt="", tool=call.name, call_id="c1", arguments=call.arguments
    )
    (answer,) = await turn.line.ask(ask)
    if not answer.approve:
        async for item in say("nobody looked"):
            yield item
        return
    result = await turn.line.tool(call, lambda: tool.call(call.arguments))
    async for item in say(f"saw {result}"):
        yield item


def heard(into: list[Message]) -> Any:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        into.extend(turn.history)
        async for item in say("ok"):
            yield item

    return script


def carried(*history: tuple[Any, str]) -> Carried:
    return Carried(history=[CarriedMessage(role=role, parts=[TextPart(text=text)]) for role, text in history])


@pytest.mark.contract("FACE-6", "FACE-7", "REL-3")
@pytest.mark.parametrize("value", ["blue", {"colour": "blue"}, None])
async def test_a_clients_tool_is_a_question_and_its_answer_the_result_also_after_a_restart(
    tmp_path: Path, value: Any
) -> None:
    server = await Server(tmp_path, {"a": looks}).boot()
    run = await server.start(carried=Carried(tools=(LOOK,)))
    told = await server.ended(run.id)
    (question,) = (await server.core.runs.get(LOCAL, run.id)).questions
    assert (question.kind, question.tool, question.arguments) == ("input", "look", {"at": "sky"})
    assert question.client
    assert [event.type for event in told][-2:] == ["question.asked", "run.waiting"]
    await server.crash()
    server = await Server(tmp_path, {"a": looks}).boot()
    answer = Answer(question_id=question.question_id, value=value)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    types = [event.type for event in await server.ended(run.id, after=told[-1].seq)]
    assert types.index("tool.called") < types.index("tool.completed")
    assert (await server.core.runs.get(LOCAL, run.id)).output == f"saw {value}"
    with pytest.raises(Conflict):
        await server.core.runs.answer(LOCAL, run.id, [answer])
    await server.stop()


@pytest.mark.contract("RUN-8")
async def test_a_question_without_a_tool_still_takes_text_only(tmp_path: Path) -> None:
    async def asks(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.ask(Ask(key="k", kind="input", prompt="Name?"))
        yield Finished(output="")

    server = await Server(tmp_path, {"a": asks}).boot()
    run = await server.start()
    told = await server.ended(run.id)
    (asked,) = [event for stamped in told if isinstance(event := stamped.event(), QuestionAsked)]
    with pytest.raises(Invalid):
        await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=asked.question_id, value={"a": 1})])
    await server.stop()


@pytest.mark.contract("TRU-19", "FACE-6")
async def test_a_carried_history_is_heard_marked_and_not_kept_in_the_thread(tmp_path: Path) -> None:
    history: list[Message] = []
    server = await Server(tmp_path, {"a": heard(history)}).boot()
    given = carried(("system", "Be kind."), ("user", "one"), ("assistant", "two"))
    run = await server.start(carried=given)
    await server.ended(run.id)
    said = [(message.role, message.content) for message in history]
    assert said == [
        ("user", "Instructions from the client:\nBe kind."),
        ("user", "one"),
        ("assistant", "two"),
    ]
    assert all(message.metadata == {"untrusted": True} for message in history)
    kept = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=run.thread_id))
    assert [message.content for message in kept.items] == ["hi", "ok"]
    history.clear()
    await server.ended((await server.start("again", thread_id=run.thread_id)).id)
    assert [message.content for message in history] == ["hi", "ok"]
    with pytest.raises(Invalid) as refused:
        await server.start("more", thread_id=run.thread_id, carried=given)
    assert refused.value.code == "forged_history"
    history.clear()
    told = await server.start("more", thread_id=run.thread_id, carried=carried(("system", "Be brief.")))
    await server.ended(told.id)
    said = [(message.role, message.content) for message in history]
    assert said[0] == ("user", "Instructions from the client:\nBe brief.")
    assert [content for _, content in said[1:]] == ["hi", "ok", "again", "ok"]
    await server.stop()


@pytest.mark.contract("ADP-2", "TRU-20")
@pytest.mark.parametrize(
    ("given", "code"),
    [
        (Carried(output_schema={"type": "object"}), "output_schema_unsupported"),
        (Carried(tools=(LOOK, LOOK)), "tool_name_taken"),
        (Carried(output_schema={"type": "array"}), "output_schema_unsupported"),
    ],
)
async def test_what_an_agent_cannot_take_is_refused_and_nothing_is_written(
    tmp_path: Path, given: Carried, code: str
) -> None:
    server = await Server(tmp_path, {"a": looks}).boot()
    with pytest.raises(LandlineError) as refused:
        await server.start(carried=given)
    assert refused.value.code == code
    assert (await server.store.list_runs(LOCAL, RunQuery())).items == []
    await server.stop()


@pytest.mark.contract("TRU-19", "FACE-6")
@pytest.mark.parametrize(
    ("given", "code"),
    [
        (Carried(tools=(LOOK,)), "tool_name_taken"),
        (Carried(output_schema={"type": "array"}), "invalid_output_schema"),
        (Carried(output_schema={}), "invalid_output_schema"),
    ],
)
def test_what_no_client_may_bring_is_refused_to_agents_that_take_all(given: Carried, code: str) -> None:
    """A tool under the name of one of the agent's own would be called in its place."""
    info = AgentInfo(
        name="a",
        title="A",
        framework="script",
        version="1",
        tools=[ToolInfo(name="look")],
        capabilities=["client_tools", "output_schema", "carried_history"],
    )
    with pytest.raises(Invalid) as refused:
        check_carried(given, info, on_thread=False)
    assert refused.value.code == code


@pytest.mark.contract("TRU-19", "RUN-8")
async def test_the_client_is_not_given_calls_of_the_agents_own_tools(boot: Boot) -> None:
    """Whoever brings a tool could else carry out, or approve by a result, what a human should approve."""

    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        asked = Ask(key="approve:c9", kind="approval", prompt="Delete?", tool="delete", call_id="c9")
        (answer,) = await turn.line.ask(asked)
        async for item in say(str(answer.approve)):
            yield item

    server = await boot(a=script)
    run = await server.start(carried=Carried(tools=(LOOK,)))
    await server.ended(run.id)
    (question,) = (await server.get(run.id)).questions
    assert (question.kind, question.client) == ("approval", False)
    with pytest.raises(Invalid):
        await server.core.runs.answer(
            LOCAL, run.id, [Answer(question_id=question.question_id, value="deleted")]
        )
    assert (await server.get(run.id)).status == "waiting"


@pytest.mark.contract("RUN-8")
async def test_a_call_that_the_client_let_pass_was_not_carried_out(tmp_path: Path) -> None:
    async def script(turn: Turn) -> AsyncIterator[Event | Finished]:
        (tool,) = turn.tools
        asked = Ask(
            key="c",
            kind="approval",
            prompt="",
            tool=tool.name,
            call_id="c1",
            arguments={"city": "Rome"},
            expires_s=60,
        )
        (answer,) = await turn.line.ask(asked)
        async for item in say("looked" if answer.approve else "nobody looked"):
            yield item

    clock = VirtualClock()
    server = await Server(tmp_path, {"a": script}, clock=clock).boot()
    run = await server.start(carried=Carried(tools=(LOOK,)))
    events = await server.ended(run.id)
    assert (await server.get(run.id)).status == "waiting"
    while (await server.get(run.id)).status == "waiting":
        await clock.advance(30)
    await server.ended(run.id, after=events[-1].seq)
    assert (await server.get(run.id)).output == "nobody looked"
    await server.stop()
