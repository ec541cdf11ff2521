"""The demo's three agents, each through its own adapter, on the offline script."""

import logging
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from landline.adapters.plain import adapter as plain
from landline.adapters.pydantic_ai import adapter as pydantic_ai
from landline.demo import agents
from landline.model.callers import Caller
from landline.model.events import OutputPartial, QuestionAsked, TextDelta, ToolCalled, ToolCompleted
from landline.model.messages import Message, TextPart
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of

ANNA, BOB = Caller(tenant="t", user="anna"), Caller(tenant="t", user="bob")


def demo(data: Path, env: Mapping[str, str] | None = None) -> dict[str, AgentSpec]:
    return {spec.name: spec for spec in agents(data, env or {}, delay_s=0)}


async def say(
    spec: AgentSpec, text: str, line: MemoryLine | None = None, *, caller: Caller = ANNA, **given: Any
) -> tuple[Finished, MemoryLine]:
    """One segment, as the engine would give it."""
    line = line or MemoryLine()
    adapter = plain if plain.matches(spec.agent) else pydantic_ai
    context = spec.context(caller, None) if spec.context else None
    turn = turn_of(line, spec, text, caller=caller, context=context, **given)
    return await drive(adapter, line, turn), line


async def stopped(
    spec: AgentSpec, text: str, line: MemoryLine | None = None, *, caller: Caller = ANNA
) -> MemoryLine:
    """A segment that ends with questions."""
    line = line or MemoryLine()
    with pytest.raises(Suspended):
        await say(spec, text, line, caller=caller)
    return line


@pytest.mark.contract("CLI-5", "WIRE-6")
def test_the_demo_has_its_three_agents_and_says_that_a_script_answers(tmp_path: Path) -> None:
    """Names are fixed on the wire; nobody may take the script for a model."""
    specs = demo(tmp_path)
    assert list(specs) == ["notes", "bank_support", "student_teacher"]
    for spec in specs.values():
        assert spec.labels["model"] == "offline script (not a language model)"
        assert spec.title
        assert spec.starters
        adapter = plain if plain.matches(spec.agent) else pydantic_ai
        assert adapter.describe(spec).description
    assert not list(tmp_path.iterdir()), "nothing is written before the first note"


@pytest.mark.contract("CLI-5", "ADP-3", "RUN-8")
async def test_a_note_is_made_listed_and_deleted_once_a_human_agrees(tmp_path: Path) -> None:
    """The agents are made anew for the second segment, as after a restart."""
    notes = demo(tmp_path)["notes"]
    done, line = await say(notes, "Create a note titled Shopping: milk, bread")
    assert done.output == "Created note [1] Shopping."
    assert done.model == "landline-offline-script"
    assert line.of(ToolCalled)[0].arguments == {"title": "Shopping", "content": "milk, bread"}
    assert len(line.of(TextDelta)) > 1, "it streams"

    _, line = await say(notes, "What notes do I have?")
    assert [end.result for end in line.of(ToolCompleted)] == ["- [1] Shopping"]

    line = await stopped(notes, "Delete note 1")
    (question,) = line.of(QuestionAsked)
    assert (question.kind, question.tool, question.arguments) == ("approval", "delete_note", {"note_id": 1})
    line.answer(next(iter(line.questions)), approve=True)
    again = demo(tmp_path)["notes"]
    done, line = await say(again, "Delete note 1", line.resumed())
    assert done.output == "Deleted note [1]."
    check_grammar(line.events)
    _, line = await say(again, "List my notes")
    assert [end.result for end in line.of(ToolCompleted)] == ["No notes found."]


@pytest.mark.contract("CLI-5", "ADP-3")
async def test_a_denied_deletion_leaves_the_note(tmp_path: Path) -> None:
    """And the answer says why."""
    notes = demo(tmp_path)["notes"]
    await say(notes, "Remember to call Anna")
    line = await stopped(notes, "Delete the note about calling… call Anna")
    line.answer(next(iter(line.questions)), approve=False, reason="I still need it")
    done, _ = await say(notes, "Delete the note about calling… call Anna", line.resumed())
    assert "I still need it" in done.output
    done, _ = await say(notes, "list notes")
    assert "- [1] call Anna" in done.output


@pytest.mark.contract("CLI-5", "ADP-3")
async def test_two_deletions_at_once_are_two_questions(tmp_path: Path) -> None:
    """Answered separately, one note goes and one stays; its number is not given again."""
    notes = demo(tmp_path)["notes"]
    await say(notes, "create a note titled A: a")
    await say(notes, "create a note titled B: b")
    line = await stopped(notes, "Delete all my notes")
    keys = list(line.questions)
    assert [line.questions[key].arguments for key in keys] == [{"note_id": 1}, {"note_id": 2}]
    line.answer(keys[0], approve=False)
    line.answer(keys[1], approve=True)
    await say(notes, "Delete all my notes", line.resumed())
    done, _ = await say(notes, "create a note titled C: c")
    assert done.output == "Created note [3] C."
    done, _ = await say(notes, "list my notes")
    assert "- [1] A\n- [3] C" in done.output


@pytest.mark.contract("CLI-5", "THR-2")
async def test_each_user_has_notes_of_their_own(tmp_path: Path) -> None:
    """By tenant and user, also for names that look like paths."""
    notes = demo(tmp_path)["notes"]
    await say(notes, "create a note titled Anna's: x", caller=ANNA)
    for other in (BOB, Caller(tenant="t/anna", user=""), Caller(tenant="other", user="anna")):
        _, line = await say(notes, "list my notes", caller=other)
        assert [end.result for end in line.of(ToolCompleted)] == ["No notes found."]


@pytest.mark.contract("CLI-5")
@pytest.mark.parametrize("words", ["help", "What is the weather?", "💡", "delete", "note"])
async def test_the_script_says_what_it_understands(tmp_path: Path, words: str) -> None:
    """A reply that pretends to understand would be worse than none."""
    done, _ = await say(demo(tmp_path)["notes"], words)
    assert "offline script" in done.output or "nothing to delete" in done.output


async def test_a_second_turn_goes_by_the_newest_words(tmp_path: Path) -> None:
    """The history holds earlier requests and their tools."""
    notes = demo(tmp_path)["notes"]
    first, line = await say(notes, "create a note titled A: a")
    history = [
        _message("m1", "user", "create a note titled A: a", None),
        _message("m2", "assistant", line.messages()[-1][1], first),
    ]
    done, line = await say(notes, "list my notes", history=history, run_id="run-2")
    assert [call.name for call in line.of(ToolCalled)] == ["list_notes"]
    assert "- [1] A" in done.output


def _message(id_: str, role: Any, text: str, finished: Finished | None) -> Message:
    return Message(
        id=id_, thread_id="thread-1", run_id="run-1", parent_id=None, seq=0, role=role, content=text,
        parts=[TextPart(text=text)], created_at="2026-01-01T00:00:00.000Z",
        native=finished.native if finished else None,
    )  # fmt: skip


@pytest.mark.contract("CLI-5", "EVT-3")
@pytest.mark.parametrize(
    ("words", "block", "risk"),
    [
        ("I lost my card!", True, 8),
        ("I did not make this payment", True, 9),
        ("Can I pay by moonlight?", False, 0),
    ],
)
async def test_bank_support_streams_a_growing_object(
    tmp_path: Path, words: str, block: bool, risk: int
) -> None:
    """The last partial equals the output."""
    done, line = await say(demo(tmp_path)["bank_support"], words)
    check_grammar(line.events)
    partials = [event.output for event in line.of(OutputPartial)]
    assert partials[-1] == done.output
    assert (done.output["block_card"], done.output["risk_level"]) == (block, risk)
    assert set(done.output) == {"support_advice", "block_card", "risk_level", "follow_up_actions"}
    advice = [partial.get("support_advice", "") for partial in partials]
    assert len(set(advice)) > 5
    assert all(later.startswith(earlier) for earlier, later in pairwise(advice))


@pytest.mark.contract("CLI-5")
async def test_bank_support_looks_up_the_balance_of_who_asks(tmp_path: Path) -> None:
    """The customer comes from the caller, not from the words."""
    bank = demo(tmp_path)["bank_support"]
    answers = {
        caller.user: (await say(bank, "What is my balance?", caller=caller))[0] for caller in (ANNA, BOB)
    }
    again, line = await say(bank, "What is my balance?")
    assert [call.name for call in line.of(ToolCalled)] == ["customer_balance"]
    assert again.output == answers["anna"].output != answers["bob"].output
    assert line.of(ToolCompleted)[0].result in again.output["support_advice"]


@pytest.mark.contract("CLI-5", "ADP-11", "RUN-8")
async def test_the_lesson_asks_the_user_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Whatever was cut off, the whole lesson reads the same."""
    line = await stopped(demo(tmp_path)["student_teacher"], "Teach me about photosynthesis")
    (question,) = line.of(QuestionAsked)
    assert (question.kind, "photosynthesis" in question.prompt) == ("input", True)
    assert [text.split()[0] for _, text, _ in line.messages()] == [
        "**Teacher:**",
        "**Student:**",
        "**Teacher:**",
    ]
    line.answer(next(iter(line.questions)), value="Why are leaves green?")
    waiting = line
    done, line = await say(
        demo(tmp_path)["student_teacher"], "Teach me about photosynthesis", waiting.resumed(drop=False)
    )
    whole = [text for _, text, _ in line.messages()]
    check_grammar(line.events)
    assert "**Student:** Why are leaves green?" in whole
    assert done.output == "\n\n".join(whole)
    for crash_at in range(len(waiting.events) + 1, len(line.events)):
        cut = waiting.resumed(drop=False, crash_at=crash_at)
        with pytest.raises(Crashed):
            await say(demo(tmp_path)["student_teacher"], "Teach me about photosynthesis", cut)
        _, again = await say(
            demo(tmp_path)["student_teacher"], "Teach me about photosynthesis", cut.resumed(drop=False)
        )
        assert [text for _, text, _ in again.messages()] == whole


@pytest.mark.contract("CLI-5")
@pytest.mark.parametrize(
    ("env", "name", "base_url"),
    [
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt-x"}, "gpt-x", None),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "LANDLINE_DEMO_MODEL": "own"},
            "own",
            "http://127.0.0.1:9/v1/",
        ),
    ],
)
def test_a_key_or_an_address_in_the_environment_brings_the_real_model(
    tmp_path: Path, env: dict[str, str], name: str, base_url: str | None
) -> None:
    """The same agents, and their label is the model's name."""
    specs = demo(tmp_path, env)
    assert {spec.labels["model"] for spec in specs.values()} == {name}
    model = specs["notes"].agent.model
    assert (type(model).__name__, model.model_name) == ("OpenAIChatModel", name)
    assert base_url is None or model.base_url == base_url


@pytest.mark.contract("CLI-5")
def test_the_script_can_be_asked_for_although_there_is_a_key(tmp_path: Path) -> None:
    """A demo in front of people should not depend on a network."""
    specs = demo(tmp_path, {"OPENAI_API_KEY": "k", "LANDLINE_DEMO_MODEL": "offline"})
    assert "offline script" in specs["notes"].labels["model"]


@pytest.mark.contract("CLI-5", "ADP-10")
def test_a_missing_package_is_said_and_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An Anthropic key without its package runs the script and says so; without Pydantic AI the lesson is left."""
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai.models.anthropic", None)
    with caplog.at_level(logging.WARNING):
        specs = demo(tmp_path, {"ANTHROPIC_API_KEY": "k"})
    assert "anthropic package is not installed" in caplog.text
    assert "anthropic package is not installed" in specs["notes"].labels["notice"]
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai", None)
    with caplog.at_level(logging.WARNING):
        assert list(demo(tmp_path)) == ["student_teacher"]
    assert 'pip install "landline[pydantic-ai]"' in caplog.text
