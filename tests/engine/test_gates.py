"""Gates on runs: asked by admission in order, and between the agent and the log while a segment goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from landline.model.agents import AgentInfo
from landline.model.callers import LOCAL, Caller
from landline.model.carried import Carried, ClientTool
from landline.model.errors import ErrorInfo, Forbidden
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta, UsageReported
from landline.model.ids import new_id
from landline.model.messages import TextPart
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec, Ask, Finished, ToolCall, ToolPolicy, ToolRaised, Turn
from landline.ports.gates import GatedRun
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery, ThreadQuery
from landline.testing.fakes import say
from tests.engine.conftest import Boot, Server


class Plain:
    """A gate that lets everything through and notes what it saw; tests change one verb each."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.gated: GatedRun | None = None

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        self.noted.append(f"admit {agent.name}")
        return request

    def on_line(self, gated: GatedRun) -> "Plain | None":
        self.gated = gated
        return self

    async def passing(self, event: Event) -> Sequence[Event]:
        return [event]

    def seen(self, event: Event) -> None:
        self.noted.append(event.type)

    async def before_tool(self, call: ToolCall) -> None:
        self.noted.append(f"before {call.name}")

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        return (), finished

    def closed(self, last: str | None) -> None:
        self.noted.append(f"closed {last}")


async def fitted(boot: Boot, *gates: Plain, **agents: Any) -> Server:
    server = await boot(**agents)
    server.core.admission.gates = server.core.driver.gates = gates
    return server


async def over(gate: Plain) -> None:
    """Return once the gate was closed, which happens after readers have heard the end."""
    async with asyncio.timeout(5):
        while not gate.noted[-1].startswith("closed"):  # noqa: ASYNC110 - a gate tells nobody when it is closed
            await asyncio.sleep(0.005)


def talk(turn: Turn) -> AsyncIterator[Event | Finished]:
    return say("one ", "two")


async def test_a_refusal_at_the_door_leaves_nothing_behind_and_an_input_may_be_changed(boot: Boot) -> None:
    class Refuses(Plain):
        async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
            raise Forbidden("Not today.", code="no")

    class Changes(Plain):
        async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
            return replace(request, input=(TextPart(text="hidden"),))

    server = await fitted(boot, Refuses(), talk=talk)
    with pytest.raises(Forbidden):
        await server.start("secret")
    assert not (await server.core.runs.history(LOCAL, RunQuery())).items
    assert not (await server.core.threads.list(LOCAL, ThreadQuery())).items
    changes = Changes()
    server.core.admission.gates = server.core.driver.gates = (changes,)
    run = await server.start("secret")
    events = await server.ended(run.id)
    assert b"hidden" in events[0].body
    assert all(b"secret" not in event.body for event in events)
    await over(changes)
    assert changes.noted[-1] == "closed run.completed"


async def test_what_the_agent_says_goes_through_every_gate_in_order(boot: Boot) -> None:
    class Shouts(Plain):
        async def passing(self, event: Event) -> Sequence[Event]:
            if isinstance(event, TextDelta):
                return [TextDelta(message_id=event.message_id, delta=event.delta.upper())]
            if isinstance(event, MessageCompleted):
                return [MessageCompleted(message_id=event.message_id, text=event.text.upper())]
            return [event]

        async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
            return (), replace(finished, output=str(finished.output).upper())

    first, second = Shouts(), Plain()
    server = await fitted(boot, first, second, talk=talk)
    run = await server.start()
    events = await server.ended(run.id)
    assert (await server.get(run.id)).output == "ONE TWO"
    assert b"ONE TWO" in events[-1].body
    assert second.noted.count("message.completed") == 1


async def test_a_gate_ends_a_run_and_the_agent_does_nothing_more(boot: Boot) -> None:
    class Once(Plain):
        def seen(self, event: Event) -> None:
            if isinstance(event, UsageReported) and self.gated is not None:
                self.gated.stop(ErrorInfo(code="budget", message="That was enough."))
                self.gated.stop(ErrorInfo(code="other", message="Never told."))

    went_on = False

    async def spends(turn: Turn) -> AsyncIterator[Event | Finished]:
        nonlocal went_on
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        yield TextDelta(message_id=message_id, delta="partly")
        await turn.line.emit(UsageReported(input_tokens=1, output_tokens=1, total_tokens=2))
        went_on = True
        yield MessageCompleted(message_id=message_id, text="partly")
        yield Finished(output="partly")

    gate = Once()
    server = await fitted(boot, gate, spends=spends)
    run = await server.start()
    await server.ended(run.id)
    ended = await server.get(run.id)
    assert (ended.status, ended.error) == ("failed", ErrorInfo(code="budget", message="That was enough."))
    assert not went_on
    await over(gate)
    assert gate.noted[-1] == "closed run.failed"


@pytest.mark.contract("TRU-20")
async def test_a_refused_tool_is_told_to_the_agent_and_never_runs(boot: Boot) -> None:
    class Denies(Plain):
        async def before_tool(self, call: ToolCall) -> None:
            raise ToolRaised("tool_denied", "This tool is not allowed here.")

    ran: list[str] = []

    async def uses(turn: Turn) -> AsyncIterator[Event | Finished]:
        async def work() -> str:
            ran.append("work")
            return "done"

        try:
            await turn.line.tool(ToolCall(call_id="c1", name="erase", arguments={}), work)
        except ToolRaised as refused:
            async for item in say(refused.message):
                yield item

    server = await fitted(boot, Denies(), uses=uses)
    run = await server.start()
    events = await server.ended(run.id)
    assert not ran
    assert [event.type for event in events if event.type.startswith("tool.")] == [
        "tool.called",
        "tool.failed",
    ]
    assert b"tool_denied" in next(event.body for event in events if event.type == "tool.failed")
    assert (await server.get(run.id)).output == "This tool is not allowed here."


def uses_tool(calls: list[tuple[str, Any]], ran: list[Any], told: list[str]) -> Any:
    """Return an agent that calls tools, asking before each, and says what became of it."""

    async def uses(turn: Turn) -> AsyncIterator[Event | Finished]:
        for at, (name, arguments) in enumerate(calls):

            async def work(arguments: Any = arguments) -> str:
                ran.append(arguments)
                return "done"

            try:
                await turn.line.tool(ToolCall(call_id=f"c{at}", name=name, arguments=arguments), work)
                told.append("done")
            except ToolRaised as refused:
                told.append(refused.code)
        async for item in say("over"):
            yield item

    return uses


@pytest.mark.contract("TRU-20")
async def test_a_denied_tool_and_one_that_nobody_knew_are_refused(boot: Boot) -> None:
    ran: list[Any] = []
    told: list[str] = []
    calls: list[tuple[str, Any]] = [("erase", {}), ("read", {"n": 1}), ("new", {})]
    server = await boot()
    await server.stop()
    server.agents = {"uses": uses_tool(calls, ran, told)}
    tools = {"erase": ToolPolicy(deny=True), "read": ToolPolicy()}
    server.options = {
        "uses": {"tools": tools, "unknown_tools": AgentSpec(agent=uses_tool, name="x").unknown_tools}
    }
    await server.boot()
    run = await server.start()
    events = await server.ended(run.id)
    assert told == ["tool_denied", "done", "tool_denied"]
    assert ran == [{"n": 1}]
    failed = [event.body for event in events if event.type == "tool.failed"]
    assert len(failed) == 2
    # The owner reads what to write, and where.
    assert b'unknown_tools=\\"allow\\"' in failed[1]
    assert b"unknown_tools" not in failed[0]


@pytest.mark.contract("TRU-20")
@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("changes", ["nothing", "arguments", "tool"])
async def test_only_the_call_that_was_approved_is_made(boot: Boot, edited: bool, changes: str) -> None:
    """The model repeats a call under the approved id with something else: the server holds what was approved."""
    ran: list[Any] = []
    told: list[str] = []

    async def pays(turn: Turn) -> AsyncIterator[Event | Finished]:
        asked = {"to": "ann", "amount": 5}
        (answer,) = await turn.line.ask(
            Ask(key="c1", kind="approval", prompt="Pay?", tool="pay", call_id="c1", arguments=asked)
        )
        assert answer.approve
        arguments: dict[str, Any] = answer.arguments or asked
        if changes == "arguments":
            arguments = {**arguments, "amount": 5000}
        call = ToolCall(
            call_id="c1", name="erase" if changes == "tool" else "pay", arguments=arguments, idempotent=True
        )

        async def pay() -> str:
            ran.append(arguments)
            return "paid"

        try:
            told.append(await turn.line.tool(call, pay))
        except ToolRaised as refused:
            told.append(refused.code)
        async for item in say("over"):
            yield item

    server = await boot(pays=pays)
    run = await server.start()
    await server.ended(run.id)
    question = (await server.get(run.id)).questions[0]
    given = {"to": "ann", "amount": 4} if edited else None
    answer = Answer(question_id=question.question_id, approve=True, arguments=given)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    await server.ended(run.id)
    if changes == "nothing":
        assert (told, ran) == (["paid"], [given or {"to": "ann", "amount": 5}])
    else:
        assert (told, ran) == (["arguments_changed"], [])


@pytest.mark.contract("TRU-20")
async def test_arguments_that_do_not_fit_a_brought_tool_are_told_to_the_model_and_nobody_is_asked(
    boot: Boot,
) -> None:
    told: list[Any] = []

    async def uses(turn: Turn) -> AsyncIterator[Event | Finished]:
        (tool,) = turn.tools
        ask = Ask(key="c1", kind="approval", prompt="?", tool=tool.name, call_id="c1", arguments={"n": "x"})
        (answer,) = await turn.line.ask(ask)
        told.append((answer.approve, answer.reason))
        try:
            call = ToolCall(call_id="c1", name=tool.name, arguments={"n": "x"})
            await turn.line.tool(call, lambda: tool.call({"n": "x"}))
        except ToolRaised as refused:
            told.append(refused.code)
        async for item in say("over"):
            yield item

    server = await boot(uses=uses)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    carried = Carried(tools=[ClientTool(name="add", parameters=schema)])
    run = await server.start(carried=carried)
    await server.ended(run.id)
    assert told == [
        (False, "add was not called: the arguments.n is not of type integer."),
        "invalid_arguments",
    ]
