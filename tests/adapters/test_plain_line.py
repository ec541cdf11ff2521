"""A line in memory that can be cut at any event, as a crash would, and how the tests of plain agents drive one."""

import msgspec
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from landline.adapters.plain import adapter
from landline.model.callers import Caller
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    QuestionAsked,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
)
from landline.model.messages import TextPart
from landline.model.runs import Answer
from landline.ports.adapter import (
    Ask,
    Finished,
    OutcomeUnknown,
    Suspended,
    ToolCall,
    ToolPolicy,
    ToolRaised,
    Turn,
)
import landline


@dataclass
class CutLine:
    """The log is `stored`: each event with the records that reach the disk no later than it."""

    stored: list[tuple[dict[str, bytes], Event]] = field(default_factory=list[tuple[dict[str, bytes], Event]])
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    asked: list[Ask] = field(default_factory=list[Ask])
    left_running: list[str] = field(default_factory=list[str])
    files: dict[str, tuple[str, str, bytes]] = field(default_factory=dict[str, tuple[str, str, bytes]])
    cancelled: bool = False
    on_event: Callable[[Event], None] = lambda event: None

    def __post_init__(self) -> None:
        self._records = {key: value for records, _ in self.stored for key, value in records.items()}
        self._pending: dict[str, bytes] = {}
        done = {e.call_id for e in self.events if isinstance(e, (ToolCompleted, ToolFailed))}
        self._inherited = {e.call_id for e in self.events if isinstance(e, ToolCalled)} - done
        self._told = messages(self.events)

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.stored]

    def after_crash(self, at: int | None = None) -> "CutLine":
        """The line of the next segment, when only the first `at` events were stored."""
        return CutLine(
            stored=self.stored[:at], answers=self.answers, asked=list(self.asked), files=self.files
        )

    def _add(self, event: Event) -> None:
        msgspec.json.encode(event)
        self.stored.append((self._pending, event))
        self._pending = {}
        self.on_event(event)

    async def emit(self, *events: Event) -> None:
        for event in events:
            self._add(event)

    async def tool(
        self,
        call: ToolCall,
        run: Callable[[], Awaitable[Any]],
        *,
        failure: Callable[[Exception], tuple[str, str] | None] | None = None,
    ) -> Any:
        for event in self.events:
            if isinstance(event, ToolCompleted) and event.call_id == call.call_id:
                return event.result
            if isinstance(event, ToolFailed) and event.call_id == call.call_id:
                raise ToolRaised(event.error.code, event.error.message)
        if call.call_id in self._inherited:
            allowed = self.answers.get(f"unknown:{call.call_id}")
            if not call.idempotent and not (allowed and allowed.approve):
                raise OutcomeUnknown(call)
        else:
            self._add(ToolCalled(call_id=call.call_id, name=call.name, arguments=call.arguments))
        try:
            result = await run()
        except Exception as error:
            code, message = (failure(error) if failure else None) or ("tool_error", "failed")
            self._add(ToolFailed(call_id=call.call_id, error=ErrorInfo(code=code, message=message)))
            raise
        self._add(ToolCompleted(call_id=call.call_id, result=result))
        return result

    async def ask(self, *asks: Ask) -> list[Answer]:
        open_ = [ask for ask in asks if ask.key not in self.answers]
        for ask in open_:
            self.asked.append(ask)
            self._add(QuestionAsked(question_id=ask.key, kind=ask.kind, prompt=ask.prompt))
        if open_:
            raise Suspended
        return [self.answers[ask.key] for ask in asks]

    def answer_to(self, key: str) -> Answer | None:
        return self.answers.get(key)

    def recorded(self, key: str) -> bytes | None:
        return self._records.get(key)

    def record(self, key: str, value: bytes) -> None:
        self._records[key] = self._pending[key] = value

    def emitted_text(self, ordinal: int) -> tuple[str, str, bool] | None:
        return self._told[ordinal] if ordinal < len(self._told) else None

    def finishing(self, call_id: str) -> None:
        self.left_running.append(call_id)

    async def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        return self.files[file_id]


def messages(events: Sequence[Event]) -> list[tuple[str, str, bool]]:
    """(id, text, complete) of each message, and that the grammar of messages holds."""
    found: dict[str, tuple[str, bool]] = {}
    for event in events:
        if isinstance(event, MessageStarted):
            assert event.message_id not in found, "a message starts once"
            assert all(complete for _, complete in found.values()), "one message is open at a time"
            found[event.message_id] = ("", False)
        elif isinstance(event, TextDelta):
            text, complete = found[event.message_id]
            assert not complete, "a complete message gets no more text"
            found[event.message_id] = (text + event.delta, False)
        elif isinstance(event, MessageCompleted):
            text, complete = found[event.message_id]
            assert not complete, "a message is completed once"
            assert text == event.text, "the deltas add up to the text"
            found[event.message_id] = (text, True)
    return [(id_, text, complete) for id_, (text, complete) in found.items()]


def texts(line: CutLine) -> list[str]:
    return [text for _, text, _ in messages(line.events)]


def turn_of(
    fn: Any,
    line: CutLine,
    *,
    text: str = "hi",
    tools: Mapping[str, ToolPolicy] | None = None,
    context: Any = None,
    user: str = "u",
    run_id: str = "run-1",
) -> Turn:
    return Turn(
        run_id=run_id,
        thread_id="thread-1",
        caller=Caller(tenant="t", user=user),
        spec=landline.agent(fn, name="plain", tools=tools),
        agent=fn,
        input=[TextPart(text=text)],
        history=(),
        context=context,
        settings={},
        attempt=1,
        line=line,
    )


async def play(turn: Turn) -> Any:
    """Run one segment; returns the output, or raises what ended it."""
    outputs: list[Any] = []
    async for item in adapter.run(turn):
        if isinstance(item, Finished):
            outputs.append(item.output)
        else:
            await turn.line.emit(item)
    (output,) = outputs
    return output


async def play_on(
    fn: Any, line: CutLine, *, answer: Callable[[Ask], Answer], **given: Any
) -> tuple[Any, CutLine]:
    """Run segment after segment, answering each question, until the output is there."""
    for _ in range(20):
        try:
            return await play(turn_of(fn, line, **given)), line
        except Suspended:
            assert all(complete for _, _, complete in messages(line.events)), (
                "no message is open while it waits"
            )
            for ask in line.asked:
                line.answers.setdefault(ask.key, answer(ask))
            line = line.after_crash()
    raise AssertionError("the function asks for ever")


async def test_a_cut_line_knows_what_was_stored_and_nothing_else() -> None:
    """The tests of replay rest on this."""
    line = CutLine()
    line.record("a", b"1")
    await line.emit(MessageStarted(message_id="m", role="assistant"))
    line.record("b", b"2")
    await line.emit(TextDelta(message_id="m", delta="x"))
    again = line.after_crash(1)
    assert (again.recorded("a"), again.recorded("b")) == (b"1", None)
    assert again.emitted_text(0) == ("m", "", False)
