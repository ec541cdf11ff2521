"""Bulkheads on a whole server: who waits is stored, shown, cancelled, timed out and let begin in turn (RES-6)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

import landline
from landline.app.build import Landline
from landline.app.settings import ConfigError, load_settings
from landline.model.callers import Caller
from landline.model.errors import Conflict, LandlineError, RateLimited, Unavailable
from landline.model.messages import TextPart
from landline.model.runs import Answer, Run
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery

pytestmark = pytest.mark.contract("RES-6")

ANN, BOB = Caller(tenant="a", user="ann"), Caller(tenant="b", user="bob")
ENDED = ("completed", "failed", "cancelled")


class Doors:
    """Agents that go on until they are let go, and what they were doing."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._open: dict[str, asyncio.Event] = {}
        self.server: Landline | None = None

    def _door(self, name: str) -> asyncio.Event:
        return self._open.setdefault(name, asyncio.Event())

    def open(self, name: str) -> None:
        self._door(name).set()

    async def hold(self, run: Any) -> str:
        self.began.append(run.input)
        await self._door(run.input).wait()
        return "done"

    async def asks(self, run: Any) -> str:
        return f"you said {await run.ask('what?')}"

    async def calls(self, run: Any) -> str:
        """Start a run of the agent that the message names, with the rest of it, and wait for its end."""
        agent, _, rest = run.input.partition(" ")
        child = await started(self.there, ANN, agent, rest)
        return f"{agent}: {(await ended(self.there, ANN, child)).output}"

    @property
    def there(self) -> Landline:
        assert self.server is not None
        return self.server


@asynccontextmanager
async def serving(folder: Path, doors: Doors, *rules: str, **options: Any) -> AsyncGenerator[Landline]:
    agents = [
        landline.agent(doors.hold, name="hold", upstream="one"),
        landline.agent(doors.hold, name="other", upstream="two"),
        landline.agent(doors.asks, name="asks", upstream="one"),
        landline.agent(doors.calls, name="calls", upstream="one"),
        landline.agent(doors.calls, name="deep", upstream="one"),
        landline.agent(doors.hold, name="own"),
        *options.pop("agents", []),
    ]
    doors.server = server = Landline(agents, data=folder, open=True, bulkheads=list(rules), **options)
    async with server.started():
        yield server


async def started(server: Landline, caller: Caller, agent: str, text: str, **more: Any) -> str:
    wanted = StartRun(input=[TextPart(text=text)], agent=agent, **more)
    return (await server.runs.start(caller, wanted)).run.id


async def status(server: Landline, caller: Caller, run_id: str) -> str:
    return (await server.runs.get(caller, run_id)).status


async def until(server: Landline, caller: Caller, run_id: str, *wanted: str) -> Run:
    async with asyncio.timeout(10):
        while (run := await server.runs.get(caller, run_id)).status not in wanted:  # noqa: ASYNC110 - the engine tells readers of the log, and a queued run has none to tell
            await asyncio.sleep(0.005)
    return run


async def ended(server: Landline, caller: Caller, run_id: str) -> Run:
    return await until(server, caller, run_id, *ENDED)


async def test_one_tenants_flood_delays_another_by_one_run_at_most(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 2 runs") as server:
        flood = [await started(server, ANN, "hold", f"flood {number}") for number in range(50)]
        await until(server, ANN, flood[1], "running")
        single = await started(server, BOB, "hold", "single")
        await until(server, BOB, single, "queued")
        assert doors.began == ["flood 0", "flood 1"]
        doors.open("flood 1")
        await until(server, BOB, single, "running")
        assert doors.began == ["flood 0", "flood 1", "single"]
        for number in range(50):
            doors.open(f"flood {number}")
        assert {(await ended(server, ANN, run_id)).status for run_id in flood} == {"completed"}
        assert [name for name in doors.began if name != "single"] == [f"flood {n}" for n in range(50)]


async def test_a_full_upstream_does_not_slow_another(tmp_path: Path) -> None:
    doors = Doors()
    doors.open("quick")
    async with serving(tmp_path, doors, "upstream:one: 1 run", "upstream:two: 1 run") as server:
        runs = [await started(server, ANN, "hold", f"slow {number}") for number in range(3)]
        await until(server, ANN, runs[2], "queued")
        for agent in ("other", "own"):
            quick = await started(server, ANN, agent, "quick")
            assert (await ended(server, ANN, quick)).status == "completed"
        assert doors.began == ["slow 0", "quick", "quick"]


async def test_a_run_that_waits_is_stored_and_listed_as_queued_and_has_not_begun(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "tenant: 1 run") as server:
        first = await started(server, ANN, "hold", "first")
        second = await started(server, ANN, "other", "second")
        run = await until(server, ANN, second, "queued")
        assert run.started_at is None
        page = await server.runs.history(ANN, RunQuery())
        assert [(item.id, item.status) for item in page.items] == [(second, "queued"), (first, "running")]
        doors.open("first")
        doors.open("second")
        assert (await ended(server, ANN, second)).status == "completed"


async def test_a_run_that_is_cancelled_in_the_queue_never_begins_and_holds_nothing(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run queue 2") as server:
        await started(server, ANN, "hold", "first")
        gone = [await started(server, ANN, "hold", f"gone {number}") for number in range(2)]
        await until(server, ANN, gone[1], "queued")
        with pytest.raises(Unavailable):
            await started(server, ANN, "hold", "too many")
        for run_id in gone:
            assert (await server.runs.cancel(ANN, run_id)).status == "cancelled"
        last = await started(server, ANN, "hold", "last")
        doors.open("first")
        await until(server, ANN, last, "running")
        assert doors.began == ["first", "last"]


async def test_a_run_in_the_queue_is_interrupted_and_takes_no_other_input(tmp_path: Path) -> None:
    doors = Doors()
    agent = Agent(FunctionModel(stream_function=_says), name="steered")
    steered = landline.agent(agent, name="steered", upstream="one")
    async with serving(tmp_path, doors, "upstream: 1 run", agents=[steered]) as server:
        await started(server, ANN, "hold", "first")
        waits = await until(server, ANN, await started(server, ANN, "steered", "waits"), "queued")
        on: dict[str, Any] = {"thread_id": waits.thread_id}
        with pytest.raises(Conflict) as refused:
            await started(server, ANN, "steered", "more", on_busy="steer", **on)
        assert refused.value.code == "run_queued"
        instead = await started(server, ANN, "steered", "instead", on_busy="interrupt", **on)
        assert await status(server, ANN, waits.id) == "cancelled"
        doors.open("first")
        assert (await ended(server, ANN, instead)).output == "said"


async def _says(messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[str]:
    yield "said"


async def test_a_run_that_is_cancelled_while_it_runs_gives_its_place_to_the_next(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run") as server:
        first, second = [await started(server, ANN, "hold", name) for name in ("first", "second")]
        await until(server, ANN, second, "queued")
        await server.runs.cancel(ANN, first)
        await until(server, ANN, second, "running")


async def test_a_run_that_waits_for_too_long_fails_with_a_code_of_its_own(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run wait 0.2s") as server:
        await started(server, ANN, "hold", "first")
        late = await ended(server, ANN, await started(server, ANN, "hold", "late"))
        assert late.status == "failed"
        assert late.error is not None
        assert late.error.code == "bulkhead_busy"
        next_one = await started(server, BOB, "hold", "next")
        doors.open("first")
        await until(server, BOB, next_one, "running")
        assert doors.began == ["first", "next"]


async def test_the_deadline_of_a_run_counts_while_it_waits(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run") as server:
        await started(server, ANN, "hold", "first")
        late = await ended(server, ANN, await started(server, ANN, "hold", "late", deadline_s=0.2))
        assert late.error is not None
        assert late.error.code == "timed_out"
        assert doors.began == ["first"]


@pytest.mark.parametrize(
    ("rule", "raised"), [("upstream:one: 1 run queue 1", Unavailable), ("tenant: 1 run queue 1", RateLimited)]
)
async def test_a_full_queue_refuses_and_says_when_to_come_back(
    tmp_path: Path, rule: str, raised: type[LandlineError]
) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, rule) as server:
        made = await asyncio.gather(
            *(started(server, ANN, "hold", f"{number}") for number in range(5)), return_exceptions=True
        )
        refused = [one for one in made if isinstance(one, LandlineError)]
        assert len(refused) == 3
        for refusal in refused:
            assert isinstance(refusal, raised)
            assert (refusal.code, refusal.retry_after_s) == ("queue_full", 1)
        assert len((await server.runs.history(ANN, RunQuery())).items) == 2
        assert await status(server, BOB, await started(server, BOB, "hold", "b")) in ("queued", "running")


async def test_a_run_that_waits_for_a_human_holds_no_place(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run") as server:
        asks = await started(server, ANN, "asks", "hi")
        question = (await until(server, ANN, asks, "waiting")).questions[0]
        other = await started(server, BOB, "hold", "other")
        await until(server, BOB, other, "running")
        answer = Answer(question_id=question.question_id, value="blue")
        await server.runs.answer(ANN, asks, [answer])
        assert (await until(server, ANN, asks, "queued")).started_at is not None
        doors.open("other")
        assert (await ended(server, ANN, asks)).output == "you said blue"


async def test_an_agent_that_calls_others_of_its_upstream_does_not_wait_for_itself(tmp_path: Path) -> None:
    doors = Doors()
    doors.open("x")
    async with serving(tmp_path, doors, "upstream: 1 run wait 5s", "tenant: 1 run wait 5s") as server:
        parents = [await started(server, ANN, "calls", "deep calls hold x") for _ in range(3)]
        for run_id in parents:
            assert (await ended(server, ANN, run_id)).output == "deep: calls: hold: done"


async def test_a_parent_has_its_place_again_before_it_asks_its_model(tmp_path: Path) -> None:
    """A child hands its place on to another run; the parent's next request to its model waits for that one."""
    doors, asked = Doors(), list[str]()

    async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncGenerator[str | DeltaToolCalls]:
        asked.append("asked")
        if len(asked) == 1:
            yield {0: DeltaToolCall(name="delegate", json_args="{}", tool_call_id="c1")}
        else:
            yield "all done"

    agent = Agent(FunctionModel(stream_function=model))

    @agent.tool_plain
    async def delegate() -> str:
        child = await started(doors.there, ANN, "hold", "child")
        again = await started(doors.there, ANN, "hold", "again")
        doors.open("child")
        await ended(doors.there, ANN, child)
        await until(doors.there, ANN, again, "running")
        return "asked"

    delegating = landline.agent(agent, name="delegating", upstream="one")
    async with serving(tmp_path, doors, "upstream: 1 run", agents=[delegating]) as server:
        parent = await started(server, ANN, "delegating", "go")
        async with asyncio.timeout(10):
            while doors.began != ["child", "again"]:  # noqa: ASYNC110 - the agents ring no bell
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert asked == ["asked"]
        doors.open("again")
        assert (await ended(server, ANN, parent)).output == "all done"


async def test_a_restart_begins_with_all_places_free_and_all_runs_in_the_queue(tmp_path: Path) -> None:
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run queue 2") as server:
        runs = [await started(server, ANN, "hold", f"{number}") for number in range(3)]
        await until(server, ANN, runs[2], "queued")
    doors = Doors()
    async with serving(tmp_path, doors, "upstream: 1 run queue 0") as server:
        async with asyncio.timeout(10):
            while sorted([await status(server, ANN, one) for one in runs])[:2] != ["queued"] * 2:  # noqa: ASYNC110 - as in `until`
                await asyncio.sleep(0.005)
        for number in range(3):
            doors.open(f"{number}")
        assert [(await ended(server, ANN, run_id)).status for run_id in runs] == ["completed"] * 3


async def test_what_a_child_leaves_behind_in_a_thread_does_not_hold_its_parent(tmp_path: Path) -> None:
    """A parent whose run waits behind its thread gives its place up for the run that is in the way."""
    doors = Doors()
    doors.open("in the way")
    doors.open("behind")

    async def waits_behind(run: Any) -> str:
        there = doors.there
        thread_id = (await there.runs.get(ANN, run.input)).thread_id
        child = await started(there, ANN, "hold", "behind", thread_id=thread_id, on_busy="queue")
        return str((await ended(there, ANN, child)).output)

    agents = [
        landline.agent(waits_behind, name="behind", upstream="one"),
        landline.agent(doors.hold, name="slow", upstream="one"),
    ]
    async with serving(tmp_path, doors, "upstream: 1 run", agents=agents) as server:
        first = await started(server, ANN, "slow", "first")
        await until(server, ANN, first, "running")
        way = await started(server, ANN, "slow", "in the way")
        await until(server, ANN, way, "queued")
        parent = await started(server, BOB, "behind", way)
        await until(server, BOB, parent, "queued")
        doors.open("first")
        assert (await until(server, BOB, parent, *ENDED)).output == "done"


async def test_without_a_bulkhead_there_is_no_gate(tmp_path: Path) -> None:
    async with serving(tmp_path, Doors()) as server:
        assert "Bulkheads" not in [type(gate).__name__ for gate in server.core.driver.gates]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("20 runs", "names no scope"),
        ("upstreams: 20 runs", "did you mean upstream"),
        ("upstream: many", "cannot be read"),
        ("upstream: 0 runs", "is not between 1"),
        ("upstream:a b: 1 run", "is no name"),
        ("tenant: 1 run wait 0s", "lets nobody wait"),
    ],
)
def test_a_bulkhead_that_cannot_be_read_keeps_the_server_from_starting(rule: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(bulkheads=[rule])
    assert said in f"{refused.value} {refused.value.how}"


def test_an_upstream_is_a_name() -> None:
    with pytest.raises(ValueError, match="upstream 'a b'"):
        landline.agent(Doors().hold, name="hold", upstream="a b")
