"""How much of a thread an agent is given: n messages, a budget of tokens, or both, at a cost that is bounded (THR-7)."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import landline
from landline.engine.history import History
from landline.engine.registry import describe
from landline.engine.window import FILE_TOKENS, Window, estimated_tokens
from landline.model.callers import LOCAL
from landline.model.events import Event
from landline.model.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.ports.adapter import Finished, Turn
from landline.ports.store import MessageQuery
from landline.testing.fakes import ScriptAdapter, say
from tests.engine.conftest import Server

pytestmark = pytest.mark.contract("THR-7")


def message(number: int, role: Role, *parts: Part, run: int | None = None) -> Message:
    return Message(
        id=f"m{number}", thread_id="t", run_id=f"r{number // 2 if run is None else run}", seq=number, role=role,
        parent_id=f"m{number - 1}" if number else None, content="", parts=parts, created_at="",
    )  # fmt: skip


def text(size: int) -> TextPart:
    return TextPart(text="x" * size)


def turns(count: int, *, size: int = 40) -> list[Message]:
    """Turns of one question and one answer, each of `size` bytes."""
    return [message(n, "assistant" if n % 2 else "user", text(size)) for n in range(2 * count)]


def ids(branch: Sequence[Message]) -> list[int]:
    return [int(item.id[1:]) for item in branch]


def test_a_message_is_estimated_by_its_bytes() -> None:
    """A quarter of them, rounded up, never 0; what is not text counts with its JSON, a file as 1,000."""
    assert estimated_tokens(message(0, "user", text(40))) == 10
    assert estimated_tokens(message(0, "user", text(41))) == 11
    assert estimated_tokens(message(0, "user", TextPart(text="漢" * 40))) == 30
    assert estimated_tokens(message(0, "user", TextPart(text="\ud800"))) == 1
    assert estimated_tokens(message(0, "user")) == 1
    call = ToolCallPart(call_id="c", name="look", arguments={"q": "y" * 400})
    assert 100 < estimated_tokens(message(0, "assistant", call)) < 130
    result = ToolResultPart(call_id="c", name="look", result="z" * 4_000)
    assert 1_000 < estimated_tokens(message(0, "assistant", result)) < 1_030
    files = message(0, "user", FilePart(file_id="f"), ImagePart(file_id="i"), text(4))
    assert estimated_tokens(files) == 2 * FILE_TOKENS + 1


@pytest.mark.parametrize(
    ("window", "given"),
    [
        (Window(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Window(messages=3), [5, 6, 7]),
        (Window(messages=0), []),
        (Window(tokens=40), [4, 5, 6, 7]),
        (Window(tokens=39), [6, 7]),
        (Window(tokens=19), []),
        (Window(tokens=0), []),
        (Window(tokens=10_000), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Window(tokens=40, messages=3), [6, 7]),
        (Window(tokens=20, messages=6), [6, 7]),
        (Window(messages=2, besides=1), [5, 6, 7]),
        (Window(messages=0, besides=1), [7]),
        (Window(tokens=0, besides=1), [7]),
        (Window(tokens=20, besides=1), [6, 7]),
        (Window(tokens=30, besides=1), [4, 5, 6, 7]),
        (Window(tokens=5, besides=20), [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_what_is_in_a_window(window: Window, given: list[int]) -> None:
    """Four turns of 20 tokens each. A budget is never exceeded and begins with a turn; both limits hold together."""
    assert ids(window.of(turns(4))) == given


def test_a_tool_call_is_never_parted_from_its_result() -> None:
    """Whatever the budget, the history begins with a user's message that began its turn."""
    branch = [
        message(0, "user", text(40), run=0),
        message(1, "assistant", ToolCallPart(call_id="a", name="look", arguments={}), run=0),
        message(2, "user", text(8), run=0),  # given to the run while it ran
        message(3, "tool", ToolResultPart(call_id="a", name="look", result="r" * 40), run=0),
        message(4, "assistant", text(40), run=0),
        message(5, "user", text(40), run=1),
        message(6, "assistant", text(40), run=1),
    ]
    seen: set[tuple[int, ...]] = set()
    for tokens in range(sum(map(estimated_tokens, branch)) + 1):
        given = ids(Window(tokens=tokens).of(branch))
        seen.add(tuple(given))
    assert seen == {(), (5, 6), tuple(range(7))}


class CountingStore:
    """The one call of a store that the history makes, with how many messages it read."""

    def __init__(self, branch: list[Message]) -> None:
        self.messages = branch
        self.read = 0

    async def branch(self, caller: Any, thread_id: str, head_id: str, *, limit: int | None) -> list[Message]:
        found = (
            self.messages if limit is None else self.messages[len(self.messages) - limit :] if limit else []
        )
        found = found if limit is None or limit < len(self.messages) else self.messages
        self.read += len(found)
        return list(found)


@pytest.mark.contract("PRF-5")
@pytest.mark.parametrize(
    ("window", "count", "most"),
    [
        (Window(tokens=40), 4, 40),
        (Window(tokens=1_000), 100, 64 + 256),
        (Window(tokens=40, messages=10), 4, 10),
        (Window(tokens=100_000, messages=10), 10, 10),
        (Window(messages=10), 10, 10),
        (Window(tokens=0), 0, 0),
    ],
)
async def test_a_long_thread_is_not_read_for_a_small_window(window: Window, count: int, most: int) -> None:
    """20,000 messages: what is read hangs on the window alone."""
    store = CountingStore(turns(10_000))
    history = History(store)  # pyright: ignore[reportArgumentType] - a store has more calls, none of which is made
    given = await history.upto(LOCAL, "t", "m19999", window)
    assert len(given) == count
    assert store.read <= most


class Telling:
    """An agent that answers with 40 bytes and notes the history it was given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def __call__(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        self.given.append([item.content for item in turn.history])
        said = "".join(part.text for part in turn.input if isinstance(part, TextPart))
        return say(f"answer to {said.strip('.')}".ljust(40, "."))


async def _server(folder: Path, telling: Telling, **options: Any) -> Server:
    return await Server(folder=folder, agents={"telling": telling}, options={"telling": options}).boot()


@pytest.mark.parametrize("restarted", [False, True], ids=["warm", "cold"])
async def test_the_budget_holds_on_a_thread_of_a_server(tmp_path: Path, restarted: bool) -> None:
    """Warm in memory or read from the disk, the agent is given the same."""
    telling = Telling()
    server = await _server(tmp_path, telling, history_tokens=45)
    thread: str | None = None
    for number in range(4):
        if restarted:
            await server.stop()
            server = await _server(tmp_path, telling, history_tokens=45)
        run = await server.start(f"{number}".ljust(40, "."), thread_id=thread)
        await server.ended(run.id)
        thread = run.thread_id
    await server.stop()
    assert [len(given) for given in telling.given] == [0, 2, 4, 4]
    assert [content.strip(".") for content in telling.given[-1]] == ["1", "answer to 1", "2", "answer to 2"]


@pytest.mark.contract("THR-5")
@pytest.mark.parametrize("options", [{"history_tokens": 5}, {"history_messages": 0}])
async def test_a_message_that_is_answered_again_is_given_whatever_the_window(
    tmp_path: Path, options: dict[str, int]
) -> None:
    """It is the turn's input, not its history."""
    telling = Telling()
    server = await _server(tmp_path, telling, **options)
    question = "a long question".ljust(100, ".")
    first = await server.start(question)
    await server.ended(first.id)
    page = await server.core.threads.messages(LOCAL, MessageQuery(thread_id=first.thread_id))
    again = await server.start(thread_id=first.thread_id, input=None, parent_id=page.items[0].id)
    await server.ended(again.id)
    assert (await server.get(again.id)).output == "answer to a long question".ljust(40, ".")
    assert telling.given == [[], []]
    await server.stop()


@pytest.mark.contract("AGT-2")
def test_the_limits_of_an_agent_are_listed() -> None:
    """Its own ones, by the names they were given with, whatever adapter it has; none when it has none."""
    limits = {"deadline_s": 60.0, "idle_timeout_s": 5.0, "history_messages": 20, "history_tokens": 8_000}
    adapter = ScriptAdapter()
    listed = describe(landline.agent(Telling(), name="a", **limits), adapter)  # pyright: ignore[reportArgumentType] - each has its own type
    assert listed.info.limits == limits
    assert describe(landline.agent(Telling(), name="b"), adapter).info.limits == {}
    for name in ("history_tokens", "history_messages"):
        with pytest.raises(ValueError, match="0 or more"):
            landline.agent(Telling(), name="c", **{name: -1})  # pyright: ignore[reportArgumentType] - each has its own type
