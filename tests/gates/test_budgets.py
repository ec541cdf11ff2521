"""Budgets on the line: what is reserved, counted and stopped, over runs, restarts and days."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import landline
from landline.gates.budgets import Budgets, Prices, Rule
from landline.model.callers import LOCAL, SYSTEM
from landline.model.errors import BudgetExceeded
from landline.model.events import Event, UsageReported
from landline.model.messages import TextPart
from landline.model.runs import Run
from landline.ports.adapter import Ask, Finished, ToolCall, Turn
from landline.ports.runs import StartRun
from landline.ports.usage import UsageQuery
from landline.testing.clock import VirtualClock
from landline.testing.fakes import Script, say
from tests.engine.conftest import Boot, Server


def budgeted(server: Server, *rules: str, prices: dict[str, Any] | None = None) -> Server:
    gate = Budgets([Rule.of(rule) for rule in rules], server.store, server.clock)
    server.core.admission.gates = server.core.driver.gates = (gate,)
    server.core.driver.price = Prices(prices or {})
    return server


def used(*, tokens: int = 100, model: str | None = "m", cost: float | None = None) -> UsageReported:
    return UsageReported(
        input_tokens=tokens - 1, output_tokens=1, total_tokens=tokens, model=model, cost_usd=cost
    )


def looping(
    calls: list[str], *, announce: bool = True, tools: bool = True, pause_s: float = 0.0, **usage: Any
) -> Script:
    """A script that asks its model and calls a tool again and again."""

    async def loop(turn: Turn) -> AsyncIterator[Event | Finished]:
        async def work() -> str:
            calls.append("tool")
            return "done"

        for number in range(200):
            if announce:
                await turn.line.before_model()
            calls.append("model")
            await asyncio.sleep(pause_s)
            await turn.line.emit(used(**usage))
            if tools:
                await turn.line.tool(ToolCall(call_id=f"c{number}", name="work", arguments={}), work)
        yield Finished(output="never")

    return loop


def once(*, announce: bool = True, **usage: Any) -> Script:
    """A script that asks its model once and answers."""

    async def one(turn: Turn) -> AsyncIterator[Event | Finished]:
        if announce:
            await turn.line.before_model()
        await turn.line.emit(used(**usage))
        async for item in say("done"):
            yield item

    return one


async def end_of(server: Server, run: Run, **how: Any) -> Run:
    await server.ended(run.id, **how)
    return await server.core.runs.get(how.get("caller", LOCAL), run.id)


@pytest.mark.contract("TRU-9")
@pytest.mark.parametrize(
    ("rule", "code", "models", "tools"),
    [
        ("run: 10 tool calls", "budget_run_tool_calls", 11, 10),
        ("run: 5 model calls", "budget_run_model_calls", 5, 5),
        ("run: 250 tokens", "budget_run_tokens", 3, 3),
        ("run: 0.5 usd", "budget_run_usd", 2, 2),
        ("thread: 3 model calls", "budget_thread_model_calls", 3, 3),
        ("user: 3 model calls/day", "budget_user_model_calls_day", 3, 3),
        ("agent:loop: 3 model calls", "budget_agent_model_calls", 3, 3),
        ("tenant: 3 model calls", "budget_tenant_model_calls", 3, 3),
        ("key: 3 model calls", "budget_key_model_calls", 3, 3),
    ],
)
async def test_a_loop_stops_at_its_limit(boot: Boot, rule: str, code: str, models: int, tools: int) -> None:
    calls: list[str] = []
    server = budgeted(await boot(loop=looping(calls, cost=0.25)), "agent:other: 0 usd", rule)
    caller = replace(LOCAL, key_id="k1")
    run = await end_of(server, await server.start(caller=caller))
    assert run.error
    assert (run.status, run.error.code) == ("failed", code)
    assert rule in run.error.message
    assert (calls.count("model"), calls.count("tool")) == (models, tools)


@pytest.mark.contract("TRU-9")
async def test_a_run_within_its_budget_ends_well_and_so_does_one_whose_last_call_went_over(
    boot: Boot,
) -> None:
    server = budgeted(
        await boot(one=once(tokens=100)), "run: 100 tokens", "run: 1 model calls", "run: 0 tool calls"
    )
    assert (await end_of(server, await server.start())).status == "completed"
    server = budgeted(server, "run: 99 tokens")
    assert (await end_of(server, await server.start())).status == "completed"


@pytest.mark.contract("TRU-9")
async def test_an_agent_that_announces_nothing_is_stopped_after_the_call_that_exceeds(boot: Boot) -> None:
    calls: list[str] = []
    server = budgeted(await boot(loop=looping(calls, announce=False)), "user: 250 tokens")
    run = await end_of(server, await server.start())
    assert run.error
    assert run.error.code == "budget_user_tokens"
    assert calls.count("model") == 3


@pytest.mark.contract("TRU-9")
async def test_who_has_used_its_budget_up_is_refused_until_midnight(boot: Boot) -> None:
    server = budgeted(await boot(one=once(tokens=100)), "user: 100 tokens/day")
    await end_of(server, await server.start())
    with pytest.raises(BudgetExceeded) as refusal:
        await server.start()
    now = datetime.now(UTC)
    left = 86_400 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    assert refusal.value.code == "budget_user_tokens_day"
    assert abs((refusal.value.retry_after_s or 0) - left) < 5
    other = replace(LOCAL, user="somebody else")
    assert (await end_of(server, await server.start(caller=other), caller=other)).status == "completed"


@pytest.mark.contract("TRU-9")
@pytest.mark.parametrize("unit", ["tokens", "usd", "model calls"])
async def test_twenty_runs_of_one_user_exceed_their_budget_by_one_call_at_most(boot: Boot, unit: str) -> None:
    calls: list[str] = []
    amount = {"tokens": 1_250, "usd": 12.5, "model calls": 13}[unit]
    script = looping(calls, tools=False, pause_s=0.001, tokens=100, cost=1.0)
    server = budgeted(await boot(loop=script), f"user: {amount} {unit}/day")
    runs = await asyncio.gather(*(server.start() for _ in range(20)))
    ended = await asyncio.gather(*(end_of(server, run) for run in runs))
    assert {run.error.code for run in ended if run.error} == {Rule.of(f"user: 1 {unit}/day").code}
    assert len(ended) == len([run for run in ended if run.status == "failed"]) == 20
    assert calls.count("model") == 13


@pytest.mark.contract("TRU-9")
async def test_twenty_runs_of_one_user_call_no_tool_too_many(boot: Boot) -> None:
    calls: list[str] = []
    server = budgeted(await boot(loop=looping(calls, pause_s=0.001)), "user: 33 tool calls/day")
    runs = await asyncio.gather(*(server.start() for _ in range(20)))
    await asyncio.gather(*(end_of(server, run) for run in runs))
    assert calls.count("tool") == 33


@pytest.mark.contract("TRU-9", "REL-1")
@pytest.mark.parametrize("rule", ["user: 350 tokens/day", "run: 350 tokens", "thread: 4 model calls"])
async def test_what_was_spent_survives_a_crash(boot: Boot, rule: str) -> None:
    calls: list[str] = []
    struck, crashes = asyncio.Event(), True

    async def loop(turn: Turn) -> AsyncIterator[Event | Finished]:
        async def work() -> str:
            return "done"

        for number in range(200):
            key = f"model:{number}"
            if turn.line.recorded(key) is None:
                await turn.line.before_model()
                calls.append("model")
                turn.line.record(key, b"1")
                await turn.line.emit(used(tokens=100))
            await turn.line.tool(ToolCall(call_id=f"c{number}", name="work", arguments={}), work)
            if crashes and len(calls) == 2:
                struck.set()
                await asyncio.Event().wait()
        yield Finished(output="never")

    server = budgeted(await boot(loop=loop), rule)
    run = await server.start()
    await struck.wait()
    await server.crash()
    crashes = False
    server.gates = lambda store, clock: (Budgets([Rule.of(rule)], store, clock),)
    await server.boot()
    ended = await end_of(server, run)
    assert ended.error
    assert ended.error.code == Rule.of(rule).code
    assert len(calls) == 4  # 100 tokens each; the third leaves 50
    if not rule.startswith("run"):
        with pytest.raises(BudgetExceeded):
            await server.start(thread_id=run.thread_id)


@pytest.mark.contract("TRU-9")
async def test_money_that_nobody_can_count_ends_the_run(boot: Boot) -> None:
    calls: list[str] = []
    server = budgeted(await boot(loop=looping(calls, model="nobody's model")), "user: 5 usd/day")
    run = await end_of(server, await server.start())
    assert run.error
    assert run.error.code == "budget_price_unknown"
    assert calls.count("model") == 1
    calls.clear()
    server = budgeted(server, "user: 5 usd/day", prices={"*": (10_000, 10_000)})
    run = await end_of(server, await server.start())
    assert run.error
    assert run.error.code == "budget_user_usd_day"
    assert calls.count("model") == 5


@pytest.mark.contract("TRU-9")
async def test_seconds_are_counted_while_the_run_runs(boot: Boot) -> None:
    async def sleeps(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.before_model()
        await asyncio.Event().wait()
        yield Finished(output="never")

    server = budgeted(await boot(sleeps=sleeps), "run: 1 seconds")
    began = asyncio.get_running_loop().time()
    run = await end_of(server, await server.start())
    assert run.error
    assert run.error.code == "budget_run_seconds"
    assert 0.9 < asyncio.get_running_loop().time() - began < 3


@pytest.mark.contract("TRU-9")
async def test_a_run_that_waited_in_the_queue_while_others_spent_does_not_begin(boot: Boot) -> None:
    began: list[str] = []
    go = asyncio.Event()

    async def slow(turn: Turn) -> AsyncIterator[Event | Finished]:
        began.append(turn.run_id)
        await go.wait()
        await turn.line.emit(used(tokens=100))
        async for item in say("done"):
            yield item

    server = budgeted(await boot(slow=slow), "user: 100 tokens")
    first = await server.start()
    second = await server.start(thread_id=first.thread_id, on_busy="queue")
    go.set()
    assert (await end_of(server, first)).status == "completed"
    ended = await end_of(server, second)
    assert ended.error
    assert ended.error.code == "budget_user_tokens"


@pytest.mark.contract("TRU-9", "RUN-8")
async def test_a_run_that_waits_for_an_answer_keeps_what_it_spent(boot: Boot) -> None:
    from landline.model.runs import Answer

    async def asks(turn: Turn) -> AsyncIterator[Event | Finished]:
        for number in range(9):
            key = f"model:{number}"
            if turn.line.recorded(key) is None:
                await turn.line.before_model()
                turn.line.record(key, b"1")
                await turn.line.emit(used())
            if number == 1:
                await turn.line.ask(Ask(key="q", kind="input", prompt="Go on?"))
        yield Finished(output="never")

    server = budgeted(await boot(asks=asks), "run: 3 model calls")
    run = await end_of(server, await server.start())
    assert run.status == "waiting"
    (question,) = run.questions
    await server.core.runs.answer(LOCAL, run.id, [Answer(question_id=question.question_id, value="yes")])
    seen = len(await server.told(run.id))
    ended = await end_of(server, run, after=seen)
    assert ended.error
    assert ended.error.code == "budget_run_model_calls"
    (total,) = (await server.store.usage(LOCAL, UsageQuery(group_by=()))).items
    assert (total.model_calls, total.runs) == (3, 1)


@pytest.mark.contract("TRU-9")
async def test_a_new_day_has_a_new_budget_for_runs_under_way(boot: Boot) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC))
    go = asyncio.Event()

    async def late(turn: Turn) -> AsyncIterator[Event | Finished]:
        await turn.line.before_model()
        await turn.line.emit(used())
        await go.wait()
        await turn.line.before_model()
        await turn.line.emit(used())
        async for item in say("done"):
            yield item

    server = await boot(late=late)
    gate = Budgets([Rule.of("user: 1 model calls/day")], server.store, clock)
    server.core.admission.gates = server.core.driver.gates = (gate,)
    run = await server.start()
    while not any(event.type == "usage" for event in await server.told(run.id)):  # noqa: ASYNC110 - the log has no such event
        await asyncio.sleep(0.01)
    with pytest.raises(BudgetExceeded) as refusal:
        await server.start()
    assert refusal.value.retry_after_s == 2
    await clock.advance(2)
    go.set()
    assert (await end_of(server, run)).status == "completed"


@pytest.mark.contract("TRU-10")
async def test_usage_is_what_the_log_says(boot: Boot) -> None:
    calls: list[str] = []
    server = budgeted(
        await boot(loop=looping(calls, tokens=50, model="mine")),
        "run: 4 tool calls",
        prices={"mine": (0, 1_000_000)},
    )
    caller = replace(LOCAL, key_id="k1")
    run = await end_of(
        server, (await server.core.runs.start(caller, StartRun(input=(TextPart(text="go"),)))).run
    )
    query = UsageQuery(group_by=("key", "model", "agent"))
    (row,) = (await server.store.usage(SYSTEM, query)).items
    assert (row.key, row.model, row.agent) == ("k1", "mine", "loop")
    assert (row.runs, row.model_calls, row.tool_calls, row.unpriced_calls) == (1, 5, 4, 0)
    assert (row.total_tokens, row.cost_usd) == (run.usage.total_tokens, run.usage.cost_usd) == (250, 5)
    assert row.seconds > 0


@pytest.mark.contract("TRU-9")
async def test_an_agents_own_budget_counts_and_stops_its_own_runs_alone(boot: Boot) -> None:
    costly = list[str]()
    server = await boot(costly=looping(costly), cheap=once(tokens=90))

    def gated() -> None:
        rules = [Rule.of("run: 3 tool calls", agent="costly"), Rule.of("user: 100 tokens/day", agent="cheap")]
        gate = Budgets(rules, server.store, server.clock)
        server.core.admission.gates = server.core.driver.gates = (gate,)

    gated()
    ended = await end_of(server, await server.start(agent="costly"))
    assert ended.error is not None
    assert (ended.error.code, costly.count("tool")) == ("budget_run_tool_calls", 3)
    # What the other agent used, 400 tokens and more, is none of this one's.
    assert (await end_of(server, await server.start(agent="cheap"))).status == "completed"
    gated()  # counted anew, from the store
    assert (await end_of(server, await server.start(agent="cheap"))).status == "completed"
    with pytest.raises(BudgetExceeded) as refused:
        await server.start(agent="cheap")
    assert refused.value.code == "budget_user_tokens_day"


@pytest.mark.contract("TRU-9")
def test_a_budget_in_an_agents_description_is_read_at_once() -> None:
    spec = landline.agent(once(), name="a", budgets=["run: 3 tool calls"])
    assert spec.budgets == ("run: 3 tool calls",)
    for wrong in ("run: lots", "agent:other: 1 usd"):
        with pytest.raises(ValueError, match="budget"):
            landline.agent(once(), name="a", budgets=[wrong])
