"""The fixture's agents in the real engine: the same input, the same answer, in every framework (FACE-16)."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from landline.app.build import Landline, build
from landline.app.loading import load_agents
from landline.app.plugins import adapters
from landline.app.settings import load_settings
from landline.model import events as log
from landline.model.callers import LOCAL
from landline.model.carried import Carried, ClientTool
from landline.model.errors import Invalid, Unsupported
from landline.model.events import Event
from landline.model.messages import ImagePart, OutputPart, Part, TextPart
from landline.model.runs import Answer, Question, Run
from landline.ports.runs import StartRun
from landline.ports.store import MessageQuery
from landline.testing.fixture.brain import shown

E = TypeVar("E", bound=Event)
AGENTS = ("plain", "pydantic_ai", "openai_agents", "langgraph", "ag2")
ASKING = ("plain", "pydantic_ai", "langgraph", "ag2")
CHOOSING = ("plain", "pydantic_ai", "langgraph")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(10)
WEATHER = ClientTool(
    name="get_weather",
    description="Tells the weather.",
    parameters={
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1},
        },
        "required": ["location", "unit"],
    },
)
CLOCK = ClientTool(
    name="clock", parameters={"type": "object", "properties": {"zone": {"type": "string"}}, "required": []}
)


class Line:
    """One agent of a running instance, talked to."""

    def __init__(self, instance: Landline, agent: str) -> None:
        self.instance, self.agent = instance, f"fixture_{agent}"
        self.events: list[Event | log.Unknown] = []
        self.deltas = asyncio.Semaphore(0)
        self.thread: str | None = None
        self._seen = 0

    async def start(self, text: str, *parts: Part, **how: Any) -> Run:
        request = StartRun(
            input=[TextPart(text=text), *parts],
            thread_id=self.thread,
            agent=None if self.thread else self.agent,
            **how,
        )
        run = (await self.instance.runs.start(LOCAL, request)).run
        self.thread, self.events, self._seen = run.thread_id, [], 0
        return run

    async def ended(self, run: Run) -> Run:
        async with asyncio.timeout(20):
            async for batch in self.instance.runs.follow(LOCAL, run.id, after=self._seen):
                for stamped in batch:
                    self._seen = stamped.seq
                    self.events.append(stamped.event())
                    if isinstance(self.events[-1], log.TextDelta):
                        self.deltas.release()
        return await self.instance.runs.get(LOCAL, run.id)

    async def say(self, text: str, *parts: Part, **how: Any) -> Run:
        return await self.ended(await self.start(text, *parts, **how))

    async def answer(self, run: Run, *answers: Answer) -> Run:
        await self.instance.runs.answer(LOCAL, run.id, answers)
        return await self.ended(run)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def loaded() -> Any:
    return load_agents("landline.testing.fixture:agents", adapters())


@pytest.fixture
async def instance(tmp_path: Path, loaded: Any) -> AsyncIterator[Landline]:
    made = build(load_settings(data=tmp_path), loaded, open=True)
    async with made.started():
        yield made


every = pytest.mark.parametrize("agent", AGENTS)


@every
@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hi", "You said: hi"),
        ("x", "You said: x"),
        ("Count from 1 to 5.", "1, 2, 3, 4, 5"),
        ("Say hello in exactly 3 words.", "Hello there friend."),
        ("What is 2 + 3?", "The answer is 5."),
        ("How many r's are in strawberry?", "There are 3 of the letter r in strawberry."),
        ("What is the capital of France?", "The capital of France is Paris."),
    ],
)
async def test_it_answers_in_three_deltas_or_more_with_usage(
    instance: Landline, agent: str, text: str, answer: str
) -> None:
    line = Line(instance, agent)
    run = await line.say(text)
    assert (run.status, run.output) == ("completed", answer)
    deltas = [event.delta for event in line.of(log.TextDelta)]
    assert "".join(deltas) == answer
    assert len(deltas) >= 3
    assert run.usage.total_tokens > 0


@every
@pytest.mark.contract("FACE-16", "THR-3")
async def test_it_knows_what_was_said_before(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    assert (await line.say("My name is Ada.")).output == "Hello, Ada."
    assert (await line.say("again")).output == "Before: My name is Ada.. You said: again"
    assert (await line.say("What is my name?")).output == "Your name is Ada."


@every
@pytest.mark.contract("FACE-16", "FACE-6")
async def test_it_calls_the_tool_of_the_client_that_is_named_and_answers_with_its_result(
    instance: Landline, agent: str
) -> None:
    line = Line(instance, agent)
    run = await line.say("What is the weather in San Francisco?", carried=Carried(tools=[CLOCK, WEATHER]))
    assert run.status == "waiting"
    (question,) = run.questions
    assert (question.kind, question.tool) == ("input", "get_weather")
    assert question.arguments == {"location": "San Francisco", "unit": "celsius"}
    run = await line.answer(
        run, Answer(question_id=question.question_id, value={"sky": "blue", "degrees": 21})
    )
    assert run.output == 'The result of get_weather is: {"degrees":21,"sky":"blue"}.'
    call_ids = {event.call_id for event in line.of(log.ToolCalled)}
    assert call_ids == {question.call_id}


@every
@pytest.mark.contract("FACE-16", "FACE-6")
async def test_it_makes_several_calls_when_it_is_told_to(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.say(
        "The weather in Paris and Oslo, in parallel", carried=Carried(tools=[CLOCK, WEATHER])
    )
    asked: list[Question] = []
    assert len(run.questions) == 2, "both at once"
    while run.status == "waiting":
        asked += run.questions
        answers = [
            Answer(question_id=q.question_id, value=f"rain in {q.arguments['location']}")
            for q in run.questions
        ]
        run = await line.answer(run, *answers)
    assert sorted(question.arguments["location"] for question in asked) == ["Oslo", "Paris"]
    assert run.output == (
        "The result of get_weather is: rain in Paris. The result of get_weather is: rain in Oslo."
    )


@every
@pytest.mark.contract("FACE-16")
async def test_two_runs_never_share_the_id_of_a_call(instance: Landline, agent: str) -> None:
    """A client that answers a call by its id alone must not reach another run."""
    ids: list[Any] = []
    for _ in range(2):
        run = await Line(instance, agent).say("now", carried=Carried(tools=[CLOCK]))
        ids += [question.call_id for question in run.questions]
    assert len({*ids}) == 2


@every
@pytest.mark.contract("FACE-16")
async def test_it_thinks_before_it_answers(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.say("think about it")
    assert "".join(event.delta for event in line.of(log.ReasoningDelta)) == "Let me think. "
    assert run.output == "You said: think about it"


@every
@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize("approve", [True, False])
async def test_its_own_tool_needs_an_approval(instance: Landline, agent: str, *, approve: bool) -> None:
    line = Line(instance, agent)
    run = await line.say("please approve this")
    (question,) = run.questions
    assert (question.kind, question.tool, question.arguments) == ("approval", "delete_note", {"note": "old"})
    reason = None if approve else "not now"
    run = await line.answer(run, Answer(question_id=question.question_id, approve=approve, reason=reason))
    assert run.status == "completed"
    said = "deleted old" if approve else "not now"
    assert run.output == f"The result of delete_note is: {said}."


@every
@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize("text", ["look up 'tea'", "look up both"])
async def test_its_own_tool_runs_on_the_server(instance: Landline, agent: str, text: str) -> None:
    line = Line(instance, agent)
    run = await line.say(text)
    topics = [event.arguments["topic"] for event in line.of(log.ToolCalled)]
    assert sorted(topics) == (["bread", "butter"] if "both" in text else ["tea"])
    assert run.output == " ".join(
        f"The result of look_up is: {topic} has {len(topic)} letters." for topic in sorted(topics)
    )


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize("agent", ASKING)
async def test_it_asks_the_user(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.say("ask me")
    (question,) = run.questions
    assert (question.kind, question.prompt) == ("input", "What is your name?")
    run = await line.answer(run, Answer(question_id=question.question_id, value="Ada"))
    assert run.output == "Hello, Ada."


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize("agent", CHOOSING)
async def test_it_lets_the_user_choose(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.say("let me choose")
    (question,) = run.questions
    assert (question.kind, question.prompt) == ("choice", "Which colour?")
    assert list(question.choices or ()) == ["red", "green", "blue"]
    run = await line.answer(run, Answer(question_id=question.question_id, value="green"))
    assert run.output == "You chose green."


@every
@pytest.mark.contract("FACE-16")
async def test_its_model_fails_when_it_is_told_to(instance: Landline, agent: str) -> None:
    run = await Line(instance, agent).say("fail now")
    assert run.status == "failed"
    assert run.error is not None
    assert run.error.code == "model_unavailable"


@every
@pytest.mark.contract("FACE-16")
async def test_it_waits_until_it_is_cancelled(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.start("wait here")
    reading = asyncio.create_task(line.ended(run))
    async with asyncio.timeout(10):
        await line.deltas.acquire()
        assert (await instance.runs.cancel(LOCAL, run.id)).status == "cancelled"
        await reading


@every
@pytest.mark.contract("FACE-16")
async def test_it_speaks_slowly(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.start("slow please")
    reading = asyncio.create_task(line.ended(run))
    async with asyncio.timeout(10):
        await line.deltas.acquire()
        assert not line.of(log.RunCompleted)
        done = await reading
    assert len(line.of(log.TextDelta)) == 41
    assert str(done.output).endswith("done.")


@every
@pytest.mark.contract("FACE-16", "THR-9")
async def test_it_says_what_came(instance: Landline, agent: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield PNG

    file, _ = await instance.files.upload(LOCAL, "a.png", chunks())
    run = await Line(instance, agent).say("What is in this image?", ImagePart(file_id=file.id))
    assert run.output == f"I see image/png of {len(PNG)} bytes."


@every
@pytest.mark.contract("FACE-16")
async def test_it_says_the_settings_of_its_model(instance: Landline, agent: str) -> None:
    run = await Line(instance, agent).say("settings", settings={"temperature": 0.5, "max_tokens": 70})
    assert run.output == 'Settings: {"max_tokens":70,"temperature":0.5}.'


PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "people": {"type": "integer", "minimum": 5},
        "sights": {"type": "array", "items": {"$ref": "#/$defs/Sight"}},
    },
    "required": ["city", "people", "sights"],
    "additionalProperties": False,
    "$defs": {"Sight": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
}


@every
@pytest.mark.contract("FACE-16", "FACE-6")
async def test_it_answers_as_a_wanted_schema_says(instance: Landline, agent: str) -> None:
    line = Line(instance, agent)
    run = await line.say("Tell me about a place in Oslo", carried=Carried(output_schema=PLACE))
    assert run.output == {"city": "Oslo", "people": 5, "sights": [{"name": "Ada"}]}, run
    assert line.of(log.OutputPartial)
    assert not line.of(log.TextDelta)
    told = Carried(output_schema=PLACE, tools=[WEATHER])
    run = await Line(instance, agent).say("The weather in Oslo", carried=told)
    (question,) = run.questions
    line = Line(instance, agent)
    run = await line.answer(run, Answer(question_id=question.question_id, value={"sky": "blue"}))
    assert run.output == {"city": "Oslo", "people": 5, "sights": [{"name": "Ada"}]}


@every
@pytest.mark.contract("FACE-16", "FACE-6")
async def test_an_answer_that_does_not_fit_fails_with_its_own_code(instance: Landline, agent: str) -> None:
    run = await Line(instance, agent).say("misfit", carried=Carried(output_schema=PLACE))
    assert run.status == "failed"
    assert run.error is not None
    assert run.error.code == "output_schema_mismatch"


@pytest.mark.contract("FACE-6")
async def test_a_schema_that_is_not_one_of_an_object_is_refused(instance: Landline) -> None:
    with pytest.raises(Invalid) as refused:
        await Line(instance, "plain").start("hi", carried=Carried(output_schema={"type": "array"}))
    assert refused.value.code == "invalid_output_schema"


@every
@pytest.mark.contract("FACE-16", "THR-3")
async def test_a_wanted_answer_is_part_of_the_thread_and_the_next_one_is_text(
    instance: Landline, agent: str
) -> None:
    line = Line(instance, agent)
    await line.say("first", carried=Carried(output_schema=PLACE))
    assert (await line.say("second")).output == "Before: first. You said: second"
    messages = await instance.threads.messages(LOCAL, MessageQuery(thread_id=line.thread or ""))
    assert [type(part) for part in messages.items[1].parts] == [OutputPart]


SETTINGS = {
    "top_p": (0.5, AGENTS),
    "seed": (7, ("plain", "pydantic_ai", "ag2")),
    "stop": (["x"], ("plain", "ag2")),
    "parallel_tool_calls": (False, ("plain", "pydantic_ai", "openai_agents", "ag2")),
    "tool_choice": ("none", ("plain", "openai_agents")),
}


@every
@pytest.mark.contract("FACE-16", "ADP-2")
@pytest.mark.parametrize("name", SETTINGS)
async def test_a_setting_reaches_the_model_or_is_refused(instance: Landline, agent: str, name: str) -> None:
    value, takers = SETTINGS[name]
    listed = instance.registry.get(LOCAL, f"fixture_{agent}").settings
    assert (name in listed) is (agent in takers)
    line = Line(instance, agent)
    if agent not in takers:
        with pytest.raises(Unsupported):
            await line.start("settings", settings={name: value})
        return
    run = await line.say("settings", settings={name: value})
    assert run.output == f"Settings: {shown({name: value})}."


def frameworks_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {"pydantic_ai", "agents", "langgraph", "ag2"} & set(done.stdout.split())


@pytest.mark.contract("FACE-16", "AGT-1")
@pytest.mark.parametrize(
    ("agent", "frameworks"),
    [("plain", set[str]()), ("pydantic_ai", {"pydantic_ai"}), ("ag2", {"ag2"})],
)
def test_one_alone_imports_its_framework_only(agent: str, frameworks: Sequence[str]) -> None:
    code = f"from landline.testing.fixture import fixture_{agent}"
    assert frameworks_after(code) == frameworks
