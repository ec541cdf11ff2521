"""Plain functions in all shapes: how they are called, and what becomes of what they return, yield and raise."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import landline
from landline.adapters.plain import adapter
from landline.model.errors import AgentFailed
from landline.model.events import (
    Custom,
    Event,
    FileAdded,
    OutputPartial,
    ReasoningDelta,
    RunCompleted,
    SourceAdded,
)
from landline.model.runs import Usage
from landline.ports.adapter import ToolRaised
from landline.testing.line import MemoryLine
from tests.adapters.plain_kit import play, texts


class Weather(BaseModel):
    city: str
    celsius: float = 0


@dataclasses.dataclass
class Point:
    x: int


class Options(TypedDict):
    size: int


async def greet(run: Any) -> str:
    """Greets."""
    return f"hello {run.input}"


async def echo(text: str) -> str:
    return text.upper()


async def nothing() -> str:
    return "none"


def sync_greet(run: Any) -> str:
    return f"hello {run.input}"


async def words(run: Any) -> AsyncIterator[str]:
    yield "hello "
    yield run.input


def sync_words(text: str) -> Iterator[str]:
    yield "hello "
    yield text


async def streaming(run: Any) -> None:
    await run.text("hello ")
    await run.text(run.input)


async def streaming_and_returning(run: Any) -> str:
    await run.text("hello ")
    return "hello " + run.input


class Greeter:
    async def greet(self, run: Any) -> str:
        return f"hello {run.input}"


async def greet_in(language: str, run: Any) -> str:
    return f"hello {run.input}"


@pytest.mark.contract("ADP-11")
@pytest.mark.parametrize(
    "fn",
    [
        greet,
        sync_greet,
        words,
        sync_words,
        streaming,
        streaming_and_returning,
        Greeter().greet,
        partial(greet_in, "en"),
    ],
)
async def test_every_shape_of_function_says_one_message_and_answers_with_it(fn: Callable[..., Any]) -> None:
    """A user writes the function that comes to mind."""
    line = MemoryLine()
    assert await play(fn, line) == "hello hi"
    assert texts(line) == ["hello hi"]


async def test_a_function_may_take_the_text_or_nothing() -> None:
    """The rule is in shape.py: `str` means the text, no parameter means nothing."""
    assert await play(echo, MemoryLine()) == "HI"
    assert await play(nothing, MemoryLine()) == "none"


async def test_a_text_returned_after_another_is_a_message_of_its_own() -> None:
    """What was streamed stands; nothing is said twice."""

    async def fn(run: Any) -> str:
        await run.text("thinking…")
        return "42"

    line = MemoryLine()
    assert await play(fn, line) == "42"
    assert texts(line) == ["thinking…", "42"]


async def test_returning_nothing_at_all_is_an_empty_answer_without_a_message() -> None:
    """A run that only did something needs no words."""

    async def fn(run: Any) -> None:
        return None

    line = MemoryLine()
    assert await play(fn, line) == ""
    assert line.events == []


@pytest.mark.contract("ADP-11", "EVT-3")
@pytest.mark.parametrize("value", [Weather(city="Graz"), Point(1), {"a": 1}, [1, 2], 7, True])
async def test_structured_results_are_the_last_partial_and_the_output(value: Any) -> None:
    """The last output.partial equals the final output."""

    async def fn(run: Any) -> Any:
        return value

    line = MemoryLine()
    output = await play(fn, line)
    assert [e.output for e in line.events if isinstance(e, OutputPartial)] == [output]
    assert output == (
        dataclasses.asdict(value)
        if isinstance(value, Point)
        else value.model_dump()
        if isinstance(value, Weather)
        else value
    )


@pytest.mark.contract("ADP-11", "EVT-3")
async def test_a_generator_mixes_text_events_and_growing_outputs() -> None:
    """The last object yielded is the answer."""

    async def fn(run: Any) -> AsyncIterator[str | Event | Weather]:
        yield "looking… "
        yield SourceAdded(message_id="", title="weather.example")
        yield Weather(city="G")
        yield Weather(city="Graz", celsius=21)

    line = MemoryLine()
    assert await play(fn, line) == {"city": "Graz", "celsius": 21.0}
    assert [e.output["city"] for e in line.events if isinstance(e, OutputPartial)] == ["G", "Graz"]
    (source,) = [e for e in line.events if isinstance(e, SourceAdded)]
    assert source.message_id == line.messages()[0][0]


async def test_a_sync_generators_return_value_is_the_answer() -> None:
    """`return` in a generator means what it means in a function."""

    def fn(run: Any) -> Iterator[str]:
        yield "hello"
        return Weather(city="Graz")

    assert await play(fn, MemoryLine()) == {"city": "Graz", "celsius": 0.0}


@pytest.mark.contract("ADP-11")
async def test_a_run_emits_events_of_its_own_and_none_of_the_engines() -> None:
    """A function that could write run.completed could end a log that goes on."""

    async def fn(run: Any) -> str:
        await run.emit("stage", {"point": Point(1)})
        await run.reasoning("let me think")
        await run.emit(FileAdded(message_id="", file_id="f", name="a.txt", media_type="text/plain"))
        await run.progress("half", fraction=0.5)
        with pytest.raises(TypeError, match="cannot emit RunCompleted"):
            await run.emit(RunCompleted(output=None, message_id=None, usage=Usage()))
        return "done"

    line = MemoryLine()
    await play(fn, line)
    customs = {e.name: e.data for e in line.events if isinstance(e, Custom)}
    assert customs == {"stage": {"point": {"x": 1}}, "progress": {"message": "half", "fraction": 0.5}}
    assert [e.delta for e in line.events if isinstance(e, ReasoningDelta)] == ["let me think"]


@pytest.mark.contract("EVT-8")
async def test_an_exceptions_text_stays_out_of_the_failure() -> None:
    """It may hold anything; only words that were written to be shown are shown."""

    async def secret(run: Any) -> str:
        raise ValueError("password=hunter2")

    async def meant(run: Any) -> str:
        raise AgentFailed("Come back tomorrow.", code="closed")

    async def exits(run: Any) -> str:
        raise SystemExit(1)

    for fn, code, text in (
        (secret, "agent_error", "The agent failed."),
        (meant, "closed", "Come back tomorrow."),
        (exits, "agent_error", "The agent tried to end the process."),
    ):
        with pytest.raises(AgentFailed) as failed:
            await play(fn, MemoryLine())
        assert failed.value.code == code
        assert failed.value.detail.startswith(text)


async def test_what_cannot_be_recorded_is_refused_in_clear_words() -> None:
    """A result that cannot be given back after a crash must not look as if it could."""

    async def step(run: Any) -> str:
        try:
            await run.step("open", object)
        except ToolRaised as error:
            return f"{error.code}: {error.message}"
        return "no error"

    async def output(run: Any) -> Any:
        return object()

    assert (await play(step, MemoryLine())).startswith("not_json: what open returns must be JSON data")
    with pytest.raises(AgentFailed, match="what an agent returns must be JSON data"):
        await play(output, MemoryLine())


async def test_the_run_knows_its_turn() -> None:
    """ADP-11 names these."""

    async def fn(run: Any) -> dict[str, Any]:
        return {
            "id": run.id, "thread": run.thread_id, "input": run.input, "context": run.context, "user": run.caller.user,
            "history": run.history, "attempt": run.attempt, "cancelled": run.cancelled, "settings": run.settings,
            "file": (await run.read_file("f"))[0], "parts": len(run.parts), "call": run.call_id,
        }  # fmt: skip

    line = MemoryLine(files={"f": ("a.txt", "text/plain", b"x")})
    assert await play(fn, line, context={"k": 1}) == {
        "id": "run-1", "thread": "thread-1", "input": "hi", "context": {"k": 1}, "user": "u", "history": [],
        "attempt": 1, "cancelled": False, "settings": {}, "file": "a.txt", "parts": 1, "call": None,
    }  # fmt: skip


# -- what is known without running


@pytest.mark.contract("AGT-1")
def test_functions_match_and_classes_and_values_do_not() -> None:
    """The framework is found from the object alone."""
    assert all(adapter.matches(fn) for fn in (greet, sync_greet, words, sync_words, Greeter().greet))
    assert adapter.matches(partial(greet_in, "en"))
    assert not any(adapter.matches(other) for other in (Greeter, Greeter(), "greet", None, print, Weather))


@pytest.mark.contract("AGT-2")
def test_a_function_describes_itself() -> None:
    """Name, docstring, version by source, and only the abilities that this function has."""
    info = adapter.describe(
        landline.agent(greet, name="greet_me", tools={"pay": landline.tool(approval=True)})
    )
    assert (info.title, info.description, info.framework) == ("Greet me", "Greets.", "plain")
    assert info.version == adapter.describe(landline.agent(greet, name="other")).version
    assert info.version != adapter.describe(landline.agent(echo, name="echo")).version
    assert {"ask", "tools", "streaming"} <= set(info.capabilities)
    assert [(tool.name, tool.approval) for tool in info.tools] == [("pay", True)]
    assert not {"ask", "tools"} & set(adapter.describe(landline.agent(echo, name="echo")).capabilities)


@pytest.mark.contract("AGT-2")
def test_settings_are_accepted_only_by_a_function_that_reads_them() -> None:
    """An option that is accepted must work."""

    async def warm(run: Any) -> str:
        return str(run.settings.get("temperature"))

    assert "temperature" in adapter.describe(landline.agent(warm, name="warm")).settings
    assert not adapter.describe(landline.agent(greet, name="greet")).settings


async def to_weather(run: Any) -> Weather: ...


async def to_stream(run: Any) -> AsyncIterator[str | Weather]:
    yield ""


def to_point(run: Any) -> Point | None: ...


def to_options(run: Any) -> Options: ...


def to_unknown(run: Any) -> "Missing": ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType] - a name for type checkers only


def test_the_output_schema_comes_from_the_annotation() -> None:
    """Models, dataclasses and TypedDicts, also where a generator yields them."""

    def fields(fn: Any) -> list[str]:
        return list(adapter.describe(landline.agent(fn, name="a")).output_schema.get("properties", {}))

    assert fields(to_weather) == fields(to_stream) == ["city", "celsius"]
    assert (fields(to_point), fields(to_options), fields(to_unknown)) == (["x"], ["size"], [])
    assert adapter.describe(landline.agent(greet, name="a")).output_schema == {"type": "string"}


def test_a_function_that_needs_more_arguments_is_refused_at_once() -> None:
    """Not at its first run."""

    async def fn(run: Any, extra: str) -> str:
        return extra

    with pytest.raises(TypeError, match="'extra'"):
        adapter.describe(landline.agent(fn, name="a"))


async def test_a_sync_function_that_gives_a_coroutine_says_so() -> None:
    """It would otherwise answer with the coroutine's repr."""

    def wrapped(run: Any) -> Any:
        return greet(run)

    with pytest.raises(AgentFailed) as failed:
        await play(wrapped, MemoryLine())
    assert "make it an `async def`" in str(failed.value.__cause__)
