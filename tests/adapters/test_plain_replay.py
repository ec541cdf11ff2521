"""Plain functions are resumed by running again: cut at any event they end as if nothing had happened."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from landline.model.errors import AgentFailed
from landline.model.events import (
    Custom,
    Event,
    MessageStarted,
    OutputPartial,
    RunResumed,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
)
from landline.ports.adapter import Ask, Suspended, ToolPolicy, ToolRaised
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine
from tests.adapters.plain_kit import play, play_on, texts

ran: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    ran.clear()


def work(name: str) -> str:
    ran[name] += 1
    return f"<{name}>"


async def work_async(name: str) -> str:
    return work(name)


def broken() -> None:
    ran["broken"] += 1
    raise ValueError("no")


def answer(ask: Ask) -> dict[str, Any]:
    if ask.kind == "approval":
        return {"approve": True}
    return {"value": f"answer to {ask.prompt}"}


async def whole(run: Any) -> str:
    """A function with one of everything."""
    await run.text("I ")
    first = await run.step("first", work, "a", idempotent=True)
    await run.text(f"did {first} ")
    await run.emit("stage", {"n": 1})
    await run.emit("stage", {"n": 2})
    try:
        await run.step("broken", broken, idempotent=True)
    except ToolRaised as error:
        await run.text(f"({error.code}: {error.message}) ")
    for number in range(2):
        await run.step("loop", work_async, f"loop{number}", idempotent=True)
    said = await run.ask("Your name?")
    await run.text(f"hello {said} ")

    async def speaks() -> str:
        await run.text("from inside ")
        await run.progress("half", fraction=0.5)
        await run.output({"inside": True})
        return "spoken"

    await run.text(await run.step("speaks", speaks, idempotent=True))
    paid = await run.tool("pay", work, name="paid")
    await run.source("a source")
    await run.output({"paid": paid})
    return "the end"


def whole_sync(run: Any) -> str:
    """The same in a thread."""
    run.text("I ")
    first = run.step("first", work, "a", idempotent=True)
    run.text(f"did {first} ")
    run.emit("stage", {"n": 1})
    said = run.ask("Your name?")
    run.text(f"hello {said} ")

    def speaks() -> str:
        run.text("from inside ")
        return "spoken"

    run.text(run.step("speaks", speaks, idempotent=True))
    run.output({"paid": run.tool("pay", work, name="paid")})
    return "the end"


async def whole_generator(run: Any) -> AsyncIterator[Any]:
    """The same as a generator."""
    yield "I "
    yield f"did {await run.step('first', work, 'a', idempotent=True)} "
    yield Custom(name="stage", data=1)
    yield f"hello {await run.ask('Your name?')}"
    yield {"partial": await run.tool("pay", work, name="paid")}
    yield {"partial": "whole"}


POLICY = {"pay": ToolPolicy(approval=True, idempotent=True)}


def told(events: list[Event]) -> list[tuple[Any, ...]]:
    """What readers are told, without message ids and resumptions, and with neighbouring deltas as one."""
    seen: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case RunResumed():
                pass
            case TextDelta(delta=delta):
                if seen and seen[-1][0] == "text":
                    seen[-1] = ("text", seen[-1][1] + delta)
                else:
                    seen.append(("text", delta))
            case MessageStarted():
                seen.append(("started",))
            case ToolCalled(call_id=id_, name=name, arguments=arguments):
                seen.append(("called", id_, name, str(arguments)))
            case ToolCompleted(call_id=id_, result=result):
                seen.append(("completed", id_, str(result)))
            case ToolFailed(call_id=id_, error=error):
                seen.append(("failed", id_, error.code, error.message))
            case Custom(name=name, data=data):
                seen.append((name, str(data)))
            case OutputPartial(output=output):
                seen.append(("output", str(output)))
            case _:
                seen.append((event.type,))
    return seen


@pytest.mark.contract("ADP-11", "ADP-4", "EVT-4")
@pytest.mark.parametrize("fn", [whole, whole_sync, whole_generator])
async def test_a_function_cut_at_any_event_ends_as_if_it_had_not_been(fn: Callable[..., Any]) -> None:
    """Every crash point, and a second crash some events after each: same log, same output, nothing doubled."""
    output, line = await play_on(fn, MemoryLine(), answer, tools=POLICY)
    expected = told(line.events)
    for first in range(len(line.events)):
        for second in (None, 1, 3, 8):
            cut = MemoryLine(crash_at=first)
            if second is not None:
                with pytest.raises((Crashed, Suspended)):
                    await play(fn, cut, tools=POLICY)
                for key, ask in list(cut.questions.items()):
                    cut.answer(key, **answer(ask))
                cut = cut.resumed(drop=False, crash_at=len(cut.events) + 1 + second)
            again, last = await play_on(fn, cut, answer, tools=POLICY)
            assert (again, told(last.events)) == (output, expected), f"cut at {first}, then {second} later"


@pytest.mark.contract("ADP-4", "ADP-11")
async def test_finished_steps_and_tools_are_not_run_again() -> None:
    """Run again after the end, everything is given back."""
    output, line = await play_on(whole, MemoryLine(), answer, tools=POLICY)
    assert set(ran.values()) == {1}
    again = line.resumed()
    before = told(again.events)
    assert await play(whole, again, tools=POLICY) == output
    assert set(ran.values()) == {1}
    assert told(again.events) == before


async def lost_in(fn: Callable[..., Any], **given: Any) -> MemoryLine:
    """The line of a run whose worker was lost after a call had been done and before that was stored."""
    line = MemoryLine()
    line.die_before = ToolCompleted
    with pytest.raises(Crashed):
        await play(fn, line, **given)
    return line.resumed(drop=False)


@pytest.mark.contract("ADP-4", "RUN-8")
@pytest.mark.parametrize("approve", [True, False])
async def test_a_step_in_flight_at_a_crash_is_run_again_only_when_a_human_says_so(approve: bool) -> None:
    """Nobody knows whether the money went out. What the step had said is taken back before anybody is asked."""

    async def fn(run: Any) -> str:
        async def pay() -> str:
            await run.text("paying…")
            return work("paid")

        await run.text("first")
        try:
            return await run.step("pay", pay)
        except ToolRaised as error:
            return f"{error.code}: {error.message}"

    line = await lost_in(fn)
    with pytest.raises(Suspended):
        await play(fn, line)
    ((key, ask),) = line.questions.items()
    assert (key, ask.kind, ask.tool) == (f"unknown:{ask.call_id}", "approval", "pay")
    assert ran["paid"] == 1
    assert all(complete for _, _, complete in line.messages())
    line.answer(key, approve=approve)
    line = line.resumed(drop=False)
    output = await play(fn, line)
    assert ran["paid"] == (2 if approve else 1)
    assert output.startswith("<paid>" if approve else "outcome_unknown: Whether pay ran is not known")
    # Again from the end: the decision stands, and so does the log.
    assert texts(line) == ["first", *(["paying…"] if approve else []), output]
    assert await play(fn, line.resumed(drop=False)) == output


@pytest.mark.contract("ADP-4", "ADP-11")
async def test_a_model_that_answers_otherwise_when_asked_again_takes_its_cut_message_back() -> None:
    """A step that streams a model's words: cut anywhere, readers end with the words of one answer."""
    answers = ["the first answer", "another one, which is longer", "brief"]

    async def fn(run: Any) -> str:
        async def stream() -> str:
            words = answers[min(ran["asked"], 2)]
            work("asked")
            for word in words.split(" "):
                await run.text(word + " ")
            return words

        await run.text("One moment.")
        said = await run.step("answer", stream, idempotent=True)
        await run.text("Is that all?")
        return said

    for crash_at in range(14):
        ran.clear()
        said, line = await play_on(fn, MemoryLine(crash_at=crash_at), answer)
        check_grammar(line.events)
        assert texts(line) == ["One moment.", said + " ", "Is that all?", said]
        output, _ = await play_on(fn, line.resumed(drop=False), answer)
        assert output == said


@pytest.mark.contract("ADP-11", "RUN-8")
@pytest.mark.parametrize("sync", [False, True])
async def test_asking_ends_the_segment_whatever_the_code_catches(sync: bool) -> None:
    """A control-flow exception outside `Exception`; and what is caught all the same is raised again."""

    async def fn(run: Any) -> str:
        try:
            return str(await run.ask("Name?"))
        except Exception:  # what users' code does: the question must pass it
            return "swallowed"
        except BaseException:  # the worst that users' code does: it is raised again
            return "swallowed whole"

    def sync_fn(run: Any) -> str:
        try:
            return str(run.ask("Name?"))
        except BaseException:  # as above, and it goes on speaking
            run.text("one more word")
            return "swallowed whole"

    fn_ = sync_fn if sync else fn
    line = MemoryLine()
    with pytest.raises(Suspended):
        await play(fn_, line)
    output, line = await play_on(fn_, line.resumed(drop=False), answer)
    assert (output, texts(line)) == ("answer to Name?", ["answer to Name?"])


@pytest.mark.contract("ADP-11")
async def test_each_kind_of_question_gives_what_code_expects() -> None:
    """An approval is a bool, so that `if await run.ask(...)` is right; an expired input is None."""

    async def fn(run: Any) -> Any:
        return [
            await run.ask("Go?", kind="approval"),
            await run.ask("Which?", kind="choice", choices=["a", "b"]),
            await run.ask("Gone?", expires_s=1),
        ]

    given: dict[str, dict[str, Any]] = {
        "Go?": {"approve": False},
        "Which?": {"value": "b"},
        "Gone?": {"approve": False},
    }
    asked: list[Ask] = []

    def answers(ask: Ask) -> dict[str, Any]:
        asked.append(ask)
        return given[ask.prompt]

    output, _ = await play_on(fn, MemoryLine(), answers)
    assert output == [False, "b", None]
    assert [(ask.key, ask.expires_s) for ask in asked] == [("ask:0", None), ("ask:1", None), ("ask:2", 1)]


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_an_approved_tool_runs_with_the_arguments_the_human_left() -> None:
    """Approve, edit, deny."""
    calls: list[dict[str, Any]] = []

    def pay(**arguments: Any) -> str:
        calls.append(arguments)
        return "paid"

    async def fn(run: Any) -> str:
        try:
            return await run.tool("pay", pay, to="Bob", amount=100)
        except ToolRaised as error:
            return f"{error.code}: {error.message}"

    policy = {"pay": ToolPolicy(approval=True)}
    asked: list[Ask] = []

    async def with_answer(**given: Any) -> tuple[Any, MemoryLine]:
        return await play_on(fn, MemoryLine(), lambda ask: asked.append(ask) or given, tools=policy)

    output, line = await with_answer(approve=True)
    assert (output, calls) == ("paid", [{"to": "Bob", "amount": 100}])
    assert asked[0].arguments == {"to": "Bob", "amount": 100}
    calls.clear()
    await with_answer(approve=True, arguments={"to": "Bob", "amount": 1})
    assert calls == [{"to": "Bob", "amount": 1}]
    calls.clear()
    output, line = await with_answer(approve=False, reason="too much")
    assert (output, calls) == ("denied: too much", [])
    assert [failed.error.code for failed in line.of(ToolFailed)] == ["denied"]
    assert await play(fn, line.resumed(), tools=policy) == output


@pytest.mark.contract("RUN-8")
async def test_an_approval_does_not_cover_other_arguments() -> None:
    """The function asks for 1 and, run again, wants to pay 1000 under the old answer."""
    amounts = iter([1, 1000])

    async def fn(run: Any) -> str:
        return await run.tool("pay", work, name=str(next(amounts)))

    with pytest.raises(AgentFailed) as failed:
        await play_on(fn, MemoryLine(), answer, tools={"pay": ToolPolicy(approval=True)})
    assert failed.value.code == "replay_mismatch"
    assert not ran


@pytest.mark.contract("ADP-11")
@pytest.mark.parametrize(
    "segments",
    [
        (["one ", "two"], ["one ", "three"]),
        (["one ", "two"], ["one "]),
        (["one"], ["one", "two"]),
    ],
)
async def test_other_text_than_before_is_a_replay_mismatch(segments: tuple[list[str], list[str]]) -> None:
    """Readers would be left with a text that nobody said."""
    plays = iter(segments)

    async def fn(run: Any) -> str:
        for word in next(plays):
            await run.text(word)
        await run.ask("?")
        return ""

    line = MemoryLine()
    with pytest.raises(Suspended):
        await play(fn, line)
    with pytest.raises(AgentFailed) as failed:
        await play(fn, line.resumed(drop=False))
    assert failed.value.code == "replay_mismatch"


async def test_text_that_is_no_text_is_found_again_in_the_log() -> None:
    """A lone surrogate cannot be stored; its stand-in must match when the function says it again."""

    async def fn(run: Any) -> str:
        await run.text("a\ud800b ä")
        await run.ask("?")
        with pytest.raises(TypeError, match="must be JSON data"):
            await run.tool("pay", work, name="\ud800")
        return "end"

    _, line = await play_on(fn, MemoryLine(), answer)
    assert texts(line) == ["a\ufffdb ä", "end"]


@pytest.mark.contract("ADP-11")
async def test_another_question_than_before_is_a_replay_mismatch() -> None:
    """The old answer is not an answer to it."""
    prompts = iter(["Delete a?", "Delete everything?"])

    async def fn(run: Any) -> str:
        return str(await run.ask(next(prompts), kind="approval"))

    with pytest.raises(AgentFailed) as failed:
        await play_on(fn, MemoryLine(), answer)
    assert failed.value.code == "replay_mismatch"


@pytest.mark.contract("ADP-3")
async def test_results_of_parallel_calls_are_kept_when_one_of_them_asks() -> None:
    """The segment ends only when the others have finished, so none of them is in flight."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        await go_on.wait()
        return work("slow")

    async def asks(run: Any) -> str:
        await started.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
        return str(await run.ask("Name?"))

    async def with_gather(run: Any) -> list[str]:
        return [*await asyncio.gather(run.step("slow", slow), asks(run))]

    async def with_group(run: Any) -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[str]] = [
                group.create_task(run.step("slow", slow)),
                group.create_task(asks(run)),
            ]
        return [task.result() for task in tasks]

    fns: list[Callable[..., Any]] = [with_gather, with_group]
    for fn in fns:
        ran.clear()
        output, _ = await play_on(fn, MemoryLine(), answer)
        assert output == ["<slow>", "answer to Name?"]
        assert ran["slow"] == 1


async def test_steps_of_one_name_in_one_call_of_the_function_are_told_apart_by_their_order() -> None:
    """And the same function in another run has call ids of its own."""

    async def fn(run: Any) -> list[str]:
        return [await run.step("same", work, name) for name in "ab"]

    line, other = MemoryLine(), MemoryLine()
    assert await play(fn, line) == ["<a>", "<b>"]
    await play(fn, other, run_id="run-2")
    ids = [e.call_id for log in (line, other) for e in log.events if isinstance(e, ToolCalled)]
    assert len(set(ids)) == 4
    assert all(len(id_) <= 40 for id_ in ids)


async def test_asking_inside_a_step_is_refused() -> None:
    """The step would be in flight for days."""

    async def fn(run: Any) -> str:
        await run.step("asks", lambda: run.ask("?"))
        return ""

    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await play(fn, line)
    assert (failed.value.code, line.questions) == ("tool_error", {})


@pytest.mark.contract("ADP-4")
async def test_a_step_knows_a_key_that_stays_the_same() -> None:
    """What it calls can refuse a repeat by it."""
    keys: list[str | None] = []

    async def fn(run: Any) -> str:
        await run.step("pay", lambda: keys.append(run.call_id), idempotent=True)
        return ""

    await play(fn, await lost_in(fn))
    assert len(keys) == 2
    assert keys[0] == keys[1] is not None


@pytest.mark.contract("ADP-11")
async def test_progress_inside_a_step_belongs_to_it_and_replaying_is_told() -> None:
    """A demo that types slowly need not type again what readers have."""
    seen: list[bool] = []

    async def fn(run: Any) -> str:
        await run.step("work", lambda: run.progress("half", fraction=0.5))
        seen.append(run.replaying)
        await run.text("hello")
        seen.append(run.replaying)
        return "hello"

    line = MemoryLine()
    await play(fn, line)
    assert [e.fraction for e in line.events if isinstance(e, ToolProgress)] == [0.5]
    await play(fn, line.resumed(drop=False))
    assert seen == [False, False, True, False]
