"""Workflows: what a `ui` tells and asks is in the log, once, whatever happens to the server in between."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

import landline
from landline import UI, AsyncUI
from landline.adapters.plain import adapter
from landline.model.errors import AgentFailed
from landline.model.events import Custom, Event, MessageCompleted, QuestionAsked, ToolProgress
from landline.ports.adapter import Ask, Suspended
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine
from tests.adapters.plain_kit import play, play_on, texts

pytestmark = pytest.mark.contract("ADP-11")


# As FastAgency's documentation has them: only the import of UI is another.
def exam(ui: UI, params: dict[str, Any]) -> str:
    """Ask in every way, tell in every way."""
    initial_message = ui.text_input(
        sender="Workflow",
        recipient="User",
        prompt="What do you want to learn today?",
        suggestions=["1) Mona Lisa", "2) Innovations"],
    )
    try:
        ui.system_message(
            sender="function call logger",
            recipient="system",
            message={"operation": "storing final answers", "content": initial_message},
        )
        grade = ui.multiple_choice(
            sender="student", recipient="teacher", prompt="Which grade?", choices=["A", "B", "F"], default="B"
        )
    except Exception as e:  # as in FastAgency's examples: a question must pass it
        return f"FAILED! {e}"
    ui.text_message(sender="teacher", recipient="student", body=f"Your grade is {grade}.")
    return f"{initial_message}: {grade}"


async def async_exam(ui: AsyncUI, params: dict[str, Any]) -> str:
    """The same, async."""
    topic = await ui.text_input("Workflow", "User", prompt="What?", suggestions=["1) Mona Lisa"])
    await ui.system_message(sender="logger", message={"content": topic})
    grade = await ui.multiple_choice("student", "teacher", prompt="Grade?", choices=["A", "B", "F"])
    await ui.text_message("teacher", "student", body=f"Your grade is {grade}.")
    return f"{topic}: {grade}"


def as_asked(ask: Ask) -> dict[str, Any]:
    """Answer a text with Leonardo and a choice with A."""
    return {"value": "A" if ask.kind == "choice" else "Leonardo"}


@pytest.mark.contract("ADP-3", "RUN-8")
@pytest.mark.parametrize("fn", [exam, async_exam])
async def test_a_workflow_tells_and_asks(fn: Any) -> None:
    """Each question ends a segment; the answers come to another one."""
    output, line = await play_on(fn, MemoryLine(), as_asked)
    assert output == "Leonardo: A"
    assert texts(line) == ["Your grade is A.", "Leonardo: A"]
    check_grammar(line.events)
    first, second = line.of(QuestionAsked)
    assert (first.kind, second.kind, second.choices) == ("input", "choice", ["A", "B", "F"])
    assert {**first.arguments, "suggestions": first.arguments["suggestions"][0]} == {
        "sender": "Workflow", "recipient": "User", "suggestions": "1) Mona Lisa",
    }  # fmt: skip
    assert {"default": "B", **second.arguments} == {
        "sender": "student", "recipient": "teacher", "default": "B",
    }  # fmt: skip
    system, told = line.of(Custom)
    assert (system.name, system.data["message"]["content"]) == ("system_message", "Leonardo")
    said = line.of(MessageCompleted)[0]
    assert (told.name, told.data) == (
        "text_message",
        {"message_id": said.message_id, "sender": "teacher", "recipient": "student", "auto_reply": False},
    )


@pytest.mark.contract("ADP-4", "REL-3")
@pytest.mark.parametrize("fn", [exam, async_exam])
async def test_a_crash_at_any_event_loses_nothing_and_says_nothing_twice(fn: Any) -> None:
    """The log without its resumes is the one of a run that met no crash."""

    def told(line: MemoryLine) -> list[Any]:
        asked = [event.prompt for event in line.of(QuestionAsked)]
        beside = [(event.name, {**event.data, "message_id": None}) for event in line.of(Custom)]
        return [texts(line), asked, beside]

    whole, calm = await play_on(fn, MemoryLine(), as_asked)
    ends = len(calm.events)
    for at in range(ends):
        output, line = await _play_on_with_a_crash(fn, at)
        assert output == whole
        assert told(line) == told(calm), f"after a crash at event {at}"
        check_grammar(line.events)


async def _play_on_with_a_crash(fn: Any, at: int) -> tuple[Any, MemoryLine]:
    """Crash once, when the log would get its event number `at`, in whichever segment that is."""
    line, crashed = MemoryLine(crash_at=at), False
    while True:
        try:
            output = await play(fn, line)
            assert crashed
            return output, line
        except Crashed:
            crashed = True
        except Suspended:
            for key, ask in list(line.questions.items()):
                line.answer(key, **as_asked(ask))
        line = line.resumed(drop=False, crash_at=None if crashed else max(at, len(line.events) + 1))


async def test_a_sync_workflow_never_runs_on_the_loops_thread() -> None:
    seen: set[int] = set()

    def workflow(ui: UI) -> None:
        seen.add(threading.get_ident())
        ui.step("look", lambda: seen.add(threading.get_ident()))

    await play(workflow, MemoryLine())
    assert len(seen) == 1
    assert threading.get_ident() not in seen


@pytest.mark.contract("ADP-4")
async def test_what_a_step_did_is_not_done_again() -> None:
    """Neither after an answer nor after a crash; progress is the step's own."""
    done: list[int] = []

    async def workflow(ui: AsyncUI) -> str:
        async def work(n: int) -> int:
            done.append(n)
            await ui.progress("half", fraction=0.5)
            await ui.text_message("worker", "all", body=f"working on {n}")
            return n * 10

        first = await ui.step("work", work, 1)
        await ui.progress("between")
        answer = await ui.text_input(prompt="Go on?")
        return f"{first + await ui.step('work', work, 2)} {answer}"

    output, line = await play_on(workflow, MemoryLine(), lambda ask: {"value": "yes"})
    assert output == "30 yes"
    assert done == [1, 2]
    assert texts(line) == ["working on 1", "working on 2", "30 yes"]
    assert len(line.of(ToolProgress)) == 2
    customs = [(event.name, event.data) for event in line.of(Custom)]
    assert [name for name, _ in customs] == ["text_message", "progress", "text_message"]
    for (_, data), (message_id, _, _) in zip(customs[::2], line.messages(), strict=False):
        assert data["message_id"] == message_id


async def test_a_message_that_is_written_anew_has_its_sender_again() -> None:
    """A step that was cut off may say something else; then its message has a new id, and the event names it."""
    words = iter(["first words", "other words"])
    line = MemoryLine()
    line.die_before = MessageCompleted

    async def workflow(ui: AsyncUI) -> None:
        async def say() -> None:
            await ui.text_message("poet", "all", body=next(words))

        await ui.step("say", say, idempotent=True)

    _, line = await play_on(workflow, line, as_asked)
    ((message_id, text, _),) = line.messages()
    assert text == "other words"
    named = [event.data["message_id"] for event in line.of(Custom)]
    assert named[-1] == message_id
    assert len(named) == 2
    check_grammar(line.events)


@pytest.mark.contract("FACE-17")
async def test_messages_told_side_by_side_stay_whole() -> None:
    """Also when the log makes them wait in mid-message."""

    class Slow(MemoryLine):
        async def emit(self, *events: Event) -> None:
            await asyncio.sleep(0)
            await super().emit(*events)

    async def workflow(ui: AsyncUI) -> str:
        await asyncio.gather(*(ui.text_message(f"s{n}", body=f"message {n}") for n in range(5)))
        return "done"

    line = Slow()
    await play(workflow, line)
    assert texts(line) == [*(f"message {n}" for n in range(5)), "done"]
    senders = {event.data["message_id"]: event.data["sender"] for event in line.of(Custom)}
    assert [senders.get(message_id) for message_id, _, _ in line.messages()] == [
        "s0", "s1", "s2", "s3", "s4", None,
    ]  # fmt: skip


async def test_a_sync_workflow_tells_from_within_its_steps() -> None:
    """And a step that is done says nothing again."""

    def workflow(ui: UI) -> str:
        def work() -> str:
            ui.progress("half", fraction=0.5)
            ui.text_message("worker", body="working")
            return "worked"

        return f"{ui.step('work', work)} {ui.text_input(prompt='Go on?')}"

    output, line = await play_on(workflow, MemoryLine(), lambda ask: {"value": "yes"})
    assert (output, texts(line)) == ("worked yes", ["working", "worked yes"])
    assert (len(line.of(ToolProgress)), len(line.of(Custom))) == (1, 1)


async def test_ids_that_differ_each_time_are_no_mismatch() -> None:
    """FastAgency's calls take a uuid, which is made anew when the workflow runs again."""

    def workflow(ui: UI) -> str | None:
        ui.text_message(uuid=str(uuid4()), body="hello")
        return ui.text_input(uuid=str(uuid4()), prompt="?")

    output, line = await play_on(workflow, MemoryLine(), lambda ask: {"value": "yes"})
    assert (output, texts(line)) == ("yes", ["hello", "yes"])


async def test_another_question_than_before_is_a_mismatch() -> None:
    """An answer never goes to a question that was not asked."""
    prompts = iter(["one?", "two?"])

    def workflow(ui: UI) -> str | None:
        return ui.text_input(prompt=next(prompts))

    with pytest.raises(AgentFailed) as failed:
        await play_on(workflow, MemoryLine(), as_asked)
    assert failed.value.code == "replay_mismatch"


@pytest.mark.contract("RUN-8")
async def test_a_choice_of_several_where_one_is_asked_for_is_asked_again() -> None:
    """`single=False` takes several, joined as FastAgency does; nobody's answer is the default."""
    answers = iter([["A", "B"], ["B"], ["A", "B"], None])

    async def workflow(ui: AsyncUI) -> list[Any]:
        one = await ui.multiple_choice(prompt="one", choices=["A", "B"])
        several = await ui.multiple_choice(prompt="several", choices=["A", "B"], single=False)
        return [one, several, await ui.multiple_choice(prompt="late", choices=["A", "B"], default="A")]

    output, line = await play_on(workflow, MemoryLine(), lambda ask: {"value": next(answers)})
    assert output == ["B", "A,B", "A"]
    about = [event.arguments for event in line.of(QuestionAsked)]
    assert about == [None, None, {"single": False}, {"default": "A"}]
    assert [event.prompt for event in line.of(QuestionAsked)] == ["one", "one", "several", "late"]


async def test_everything_else_a_ui_tells_is_an_event_of_its_name() -> None:
    def workflow(ui: UI) -> None:
        ui.workflow_started(name="inner", description="d", params={"a": 1})
        ui.suggested_function_call(function_name="f", call_id="c", arguments={"x": 1})
        ui.function_call_execution(function_name="f", call_id="c", retval=2)
        ui.error(short="no", long="not at all")
        ui.workflow_completed(result="done")
        ui.keep_alive()
        ui.text_message("a", "b")

    line = MemoryLine()
    await play(workflow, line)
    common = {"sender": None, "recipient": None, "auto_reply": False}
    assert [(event.name, event.data) for event in line.of(Custom)] == [
        ("workflow_started", {**common, "name": "inner", "description": "d", "params": {"a": 1}}),
        ("suggested_function_call", {**common, "function_name": "f", "call_id": "c", "arguments": {"x": 1}}),
        ("function_call_execution", {**common, "function_name": "f", "call_id": "c", "retval": 2}),
        ("error", {**common, "short": "no", "long": "not at all"}),
        ("workflow_completed", {**common, "result": "done"}),
        ("text_message", {**common, "sender": "a", "recipient": "b"}),
    ]


@pytest.mark.parametrize(
    ("text", "params"),
    [('{"city": "Paris"}', {"city": "Paris"}), ("Paris", {"input": "Paris"}), ("[1]", {"input": "[1]"})],
)
async def test_params_are_the_messages_entries_or_its_text(text: str, params: dict[str, Any]) -> None:
    async def workflow(ui: AsyncUI, params: dict[str, Any]) -> dict[str, Any]:
        return {"params": params, "id": ui.workflow_uuid == ui.run.id, "input": ui.run.input}

    assert await play(workflow, MemoryLine(), text=text) == {"params": params, "id": True, "input": text}


class Trip(BaseModel):
    city: str
    days: int = 1

    @field_validator("city")
    @classmethod
    def known(cls, city: str) -> str:
        if city == "Atlantis":
            raise ValueError("canary")
        return city


class Plan(TypedDict):
    city: str


async def typed(trip: Trip) -> str:
    return f"{trip.days} in {trip.city}"


async def typed_params(ui: AsyncUI, params: Plan) -> str:
    return params["city"]


@pytest.mark.contract("AGT-2")
async def test_typed_input_is_listed_and_held_to() -> None:
    """What does not fit is said by place, without what a validator of the user's raised."""
    assert await play(typed, MemoryLine(), text='{"city": "Rome", "days": 2}') == "2 in Rome"
    assert await play(typed_params, MemoryLine(), text='{"city": "Rome"}') == "Rome"
    info = adapter.describe(landline.agent(typed, name="typed"))
    assert info.input_schema["contentMediaType"] == "application/json"
    assert info.input_schema["contentSchema"]["required"] == ["city"]
    params = adapter.describe(landline.agent(typed_params, name="typed_params"))
    assert params.input_schema["contentSchema"]["required"] == ["city"]
    for text, said in [
        ("x", "the input"),
        ('{"days": "x"}', "days"),
        ('{"city": "Atlantis"}', "not accepted"),
    ]:
        with pytest.raises(AgentFailed) as failed:
            await play(typed, MemoryLine(), text=text)
        assert failed.value.code == "invalid_input"
        assert said in str(failed.value.detail)
        assert "canary" not in str(failed.value.detail)


@pytest.mark.contract("AGT-2")
def test_only_what_is_true_of_the_input_is_listed() -> None:
    """A function that takes the text says so; one that takes its run may look at anything."""

    async def text(text: str) -> str:
        return text

    async def run(run: Any) -> str:
        return run.input

    def schema(fn: Any) -> dict[str, Any]:
        return dict(adapter.describe(landline.agent(fn, name="x")).input_schema)

    assert [schema(text), schema(run), schema(exam)] == [
        {"type": "string"},
        {},
        {"type": "string", "contentMediaType": "application/json"},
    ]


@pytest.mark.contract("AGT-2")
def test_a_workflow_is_described_by_its_decorator() -> None:
    """And can do what a function with its run can."""

    @landline.workflow(name="lesson", description="A lesson", starters=["Fractions"], deadline_s=5)
    async def lesson(ui: AsyncUI) -> str:
        return str(ui.run.settings)

    info = adapter.describe(lesson)
    assert (info.name, info.description, info.starters) == ("lesson", "A lesson", ("Fractions",))
    assert info.output_schema == {"type": "string"}
    assert {"ask", "tool_resume", "context", "settings"} <= set(info.capabilities)
    assert "temperature" in info.settings
    assert "settings" not in adapter.describe(landline.agent(exam, name="exam")).capabilities


def _no_ui(run: Any) -> None: ...
def _more(ui: Any, params: Any, more: Any) -> None: ...
def _other(ui: Any, other: Any) -> None: ...
def _nothing() -> None: ...


@pytest.mark.parametrize("body", [_no_ui, _more, _other, _nothing])
def test_a_function_that_is_no_workflow_is_refused_where_it_is_written(body: Any) -> None:
    with pytest.raises(TypeError, match=r"takes \(ui\) or \(ui, params\)"):
        landline.workflow(name="x")(body)
    with pytest.raises(TypeError, match=r"takes \(ui\) or \(ui, params\)"):
        landline.Workflow().register("x")(body)


async def test_asking_in_a_step_is_refused() -> None:
    """The step's outcome would be unknown after the answer."""

    async def workflow(ui: AsyncUI) -> None:
        await ui.step("ask", lambda: ui.text_input(prompt="?"))

    with pytest.raises(AgentFailed):
        await play(workflow, MemoryLine())
    with pytest.raises(Suspended):
        await play(async_exam, MemoryLine())
