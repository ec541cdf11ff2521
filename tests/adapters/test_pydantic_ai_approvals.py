"""Who is asked when a tool needs a human: approvals, questions, unknown outcomes."""

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred

from landline.adapters.pydantic_ai import adapter
from landline.model import events as log
from landline.model.errors import Unsupported
from landline.ports.adapter import AgentSpec, Suspended, ToolPolicy
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.test_pydantic_ai_tools import failures, go, telling


@pytest.mark.contract("ADP-3")
async def test_landlines_own_policy_makes_any_tool_ask() -> None:
    ran: list[str] = []
    agent = Agent(telling(("drop", {"table": "t"})))

    @agent.tool_plain
    async def drop(table: str) -> str:
        ran.append(table)
        return "dropped"

    policy = ToolPolicy(approval=True, approvers=2, expires_s=60)
    spec = AgentSpec(agent=agent, name="a", tools={"drop": policy})
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    ((key, ask),) = line.questions.items()
    assert (key, ask.approvers, ask.expires_s, ask.arguments, ran) == ("drop", 2, 60, {"table": "t"}, [])
    assert line.of(log.ToolCalled) == []
    line.answer(key, approve=True)
    _, finished = await go(spec, line.resumed())
    assert (finished.output, ran) == ("drop: dropped", ["t"])


@pytest.mark.contract("ADP-3")
async def test_a_tool_may_ask_for_approval_from_its_own_body() -> None:
    ran: list[int] = []
    agent = Agent(telling(("pay", {"amount": 500})))

    @agent.tool
    async def pay(ctx: RunContext[object], amount: int) -> str:
        if amount > 100 and not ctx.tool_call_approved:
            raise ApprovalRequired({"reason": "A large sum."})
        ran.append(amount)
        return "paid"

    spec = AgentSpec(agent=agent, name="a")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    assert line.questions["pay"].prompt == "A large sum."
    line.answer("pay", approve=True, arguments={"amount": 200})
    line, finished = await go(spec, line.resumed())
    assert (finished.output, ran) == ("pay: paid", [200])
    assert failures(line) == [("deferred", "The call stopped to wait for an answer.")]
    # Taken up once more, everything comes from the journal.
    assert (await go(spec, line.resumed()))[1].output == "pay: paid"
    assert ran == [200]


@pytest.mark.contract("ADP-3")
async def test_a_tool_that_asks_a_question_gets_the_answer_as_its_result() -> None:
    agent = Agent(
        telling(("ask", {"question": "Which city?"}), ("choose", {"choices": ["a", "b"]}), ("late", {}))
    )

    @agent.tool_plain
    async def ask(question: str) -> str:
        raise CallDeferred(kind="question")

    @agent.tool_plain
    async def choose(choices: list[str]) -> str:
        raise CallDeferred({"prompt": "Pick one."}, kind="question")

    @agent.tool_plain
    async def late() -> str:
        raise CallDeferred(kind="question")

    spec = AgentSpec(agent=agent, name="a")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    asked = [(q.kind, q.prompt, q.choices) for q in line.of(log.QuestionAsked)]
    assert asked == [
        ("input", "Which city?", None),
        ("choice", "Pick one.", ["a", "b"]),
        ("input", "The tool late needs an answer.", None),
    ]
    line.answer("ask", value="Paris")
    line.answer("choose", value="b")
    line.answer("late", approve=False)
    line, finished = await go(spec, line.resumed())
    assert finished.output.startswith("ask: Paris | choose: b | late: ")
    assert "Nobody answered." in finished.output
    assert [event.result for event in line.of(log.ToolCompleted)] == ["Paris", "b"]
    assert (await go(spec, line.resumed()))[1].output == finished.output


@pytest.mark.contract("ADP-3")
async def test_a_call_for_the_client_to_run_is_refused_not_faked() -> None:
    agent = Agent(telling(("elsewhere", {})))

    @agent.tool_plain
    async def elsewhere() -> str:
        raise CallDeferred

    line = MemoryLine()
    with pytest.raises(Unsupported, match="elsewhere"):
        await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))


@pytest.mark.contract("ADP-3", "ADP-4")
async def test_an_approved_call_of_unknown_outcome_asks_once_more() -> None:
    """Its first approval was for one run of the tool; whether to run it again is another question."""
    ran: list[str] = []
    agent = Agent(telling(("wipe", {}), ("look", {})))

    @agent.tool_plain(requires_approval=True)
    async def wipe() -> str:
        ran.append("wipe")
        return "wiped"

    @agent.tool_plain
    async def look() -> str:
        ran.append("look")
        return "seen"

    spec = AgentSpec(agent=agent, name="a")
    line = MemoryLine()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line.answer("wipe", approve=True)
    line = line.resumed()
    line.die_before = log.ToolCompleted
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line = line.resumed()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    assert list(line.questions) == ["unknown:wipe"]
    assert ran == ["look", "wipe"]
    line.answer("unknown:wipe", approve=True)
    _, finished = await go(spec, line.resumed())
    assert ran == ["look", "wipe", "wipe"]
    assert finished.output == "wipe: wiped | look: seen"


@pytest.mark.contract("ADP-3", "ADP-4")
async def test_unknown_outcomes_and_approvals_are_asked_together() -> None:
    agent = Agent(telling(("pay", {}), ("wipe", {})))

    @agent.tool_plain
    async def pay() -> str:
        return "paid"

    @agent.tool_plain(requires_approval=True)
    async def wipe() -> str:
        return "wiped"

    spec = AgentSpec(agent=agent, name="a")
    line = MemoryLine()
    line.die_before = log.ToolCompleted
    with pytest.raises(Crashed):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    line = line.resumed()
    with pytest.raises(Suspended):
        await drive(adapter, line, turn_of(line, spec, "hi"))
    assert set(line.questions) == {"unknown:pay", "wipe"}
    line.answer("unknown:pay", approve=False)
    line.answer("wipe", approve=True)
    line, finished = await go(spec, line.resumed())
    assert "wiped" in finished.output
    assert failures(line)[0][0] == "outcome_unknown"
