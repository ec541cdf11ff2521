"""An in-memory line for tests of adapters: same rules as the engine's, no disk, and it can be killed at any event.

    line = MemoryLine()
    finished = await drive(adapter, line, spec, "hello")
    line.events                      # what readers would have been told

A crash is exact: the event it struck is lost, and so is everything after it. `line.resumed()` is the line of the next
segment, with what was stored; the same call takes up a run whose questions were answered.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, cast

import msgspec

from landline.engine.tools import ToolRules, made_by
from landline.model.callers import LOCAL, Caller
from landline.model.errors import ErrorInfo, NotFound
from landline.model.events import (
    Event,
    InputReceived,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    QuestionAnswered,
    QuestionAsked,
    RunResumed,
    TextDelta,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    encode,
)
from landline.model.ids import new_id
from landline.model.messages import Message, Part, TextPart
from landline.model.runs import Answer
from landline.ports.adapter import (
    Adapter,
    AgentSpec,
    Ask,
    BroughtTool,
    Finished,
    OutcomeUnknown,
    Suspended,
    ToolCall,
    ToolRaised,
    Turn,
)

__all__ = ["Crashed", "MemoryLine", "drive", "turn_of"]


class Crashed(BaseException):
    """The worker of this line is gone."""


async def _raise(error: Exception) -> None:
    raise error


def _as_said(error: Exception) -> tuple[str, str] | None:
    return (error.code, error.message) if isinstance(error, ToolRaised) else None


class MemoryLine:
    """One segment of one run, in memory. `crash_at`: the event that would get this index kills the worker instead."""

    def __init__(
        self, *, crash_at: int | None = None, files: Mapping[str, tuple[str, str, bytes]] | None = None
    ) -> None:
        self.events: list[Event] = []
        self.records: dict[str, bytes] = {}
        self.questions: dict[str, Ask] = {}
        self.asked: dict[str, Ask] = {}
        self.answers: dict[str, Answer] = {}
        self.unstoppable: set[str] = set()
        self.late: dict[str, bool] = {}
        self.files = dict(files or {})
        self.stopping = False
        self.dead = False
        self.attempt = 1
        self.die_before: type[Event] | None = None
        """The next event of this kind kills the worker instead of being stored."""
        self.client_tools: set[str] = set()
        self.rules: ToolRules | None = None
        """What `drive` let the turn's agent use; without it every tool may be called."""
        self.model_calls = 0
        """How often the adapter said that it is about to ask a model."""
        self._crash_at = crash_at
        self._unstored: dict[str, bytes] = {}
        self._inherited: set[str] = set()
        self._replayable: list[tuple[str, str, bool]] = []

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        return self.stopping

    def _add(self, event: Event) -> None:
        struck = self.die_before is not None and isinstance(event, self.die_before)
        if self.dead or struck or (self._crash_at is not None and len(self.events) >= self._crash_at):
            self.dead = True
            raise Crashed
        encode(event)  # what cannot be stored must fail here too
        self.records.update(self._unstored)
        self._unstored.clear()
        self.events.append(event)

    async def emit(self, *events: Event) -> None:
        """Append `events`."""
        for event in events:
            self._add(event)

    async def before_model(self, *, elsewhere: bool = False) -> None:
        """Note that a model is about to be asked."""
        if self.dead:
            raise Crashed
        self.model_calls += 1

    async def tool(
        self,
        call: ToolCall,
        run: Callable[[], Awaitable[Any]],
        *,
        failure: Callable[[Exception], tuple[str, str] | None] | None = None,
    ) -> Any:
        """Run a tool once over all crashes; see the port."""
        if call.name in self.client_tools:
            call, run = replace(call, idempotent=True), partial(self._client_result, call.call_id)
        ended = self._ended(call.call_id)
        if isinstance(ended, ToolCompleted):
            return ended.result
        if isinstance(ended, ToolFailed):
            raise ToolRaised(ended.error.code, ended.error.message)
        if call.call_id in self._inherited:
            allowed = self.answer_to(self.unknown_key(call.call_id))
            if not call.idempotent:
                if not (allowed and allowed.approve):
                    raise OutcomeUnknown(call)
                self.records[f"again:{call.call_id}"] = b"%d" % (self._runs_again(call.call_id) + 1)
            self._inherited.discard(call.call_id)
        else:
            refusal = (
                self.rules.refusal(call.name, call.arguments) if self.rules and not call.refused else None
            )
            if refusal is not None:
                run, failure = partial(_raise, refusal), _as_said
            self._add(ToolCalled(call_id=call.call_id, name=call.name, arguments=call.arguments))
        try:
            result = msgspec.to_builtins(await run())
        except Exception as error:  # the tool is anybody's code: whatever it raises is recorded and passed on
            code, text = (failure(error) if failure else None) or (
                "tool_error",
                f"The tool {call.name} failed.",
            )
            self._add(ToolFailed(call_id=call.call_id, error=ErrorInfo(code=code, message=text)))
            raise
        self._add(ToolCompleted(call_id=call.call_id, result=result))
        return result

    def knows(self, *tools: str) -> None:
        """Let the agent use `tools`; see the port."""
        if self.rules is not None:
            self.rules.known.update(tools)

    async def _client_result(self, call_id: str) -> Any:
        (key,) = [key for key, ask in self.asked.items() if ask.call_id == call_id]
        return self.answers[key].value

    def unknown_key(self, call_id: str) -> str:
        """Return the key for asking about a call of unknown outcome."""
        runs = self._runs_again(call_id)
        return f"unknown:{call_id}:{runs}" if runs else f"unknown:{call_id}"

    def _runs_again(self, call_id: str) -> int:
        return int(self.records.get(f"again:{call_id}", b"0"))

    def _ended(self, call_id: str) -> Event | None:
        ends = (event for event in reversed(self.events) if isinstance(event, ToolCompleted | ToolFailed))
        return next((event for event in ends if event.call_id == call_id), None)

    async def ask(self, *asks: Ask) -> list[Answer]:
        """Return all answers, or ask what is not asked yet and end the segment."""
        asks = tuple(self._handed_over(ask) for ask in asks)
        answers = [self.answers.get(ask.key) for ask in asks]
        if all(answer is not None for answer in answers):
            return cast("list[Answer]", answers)
        for ask in asks:
            if ask.key not in self.answers and ask.key not in self.questions:
                self._add(
                    QuestionAsked(
                        question_id=new_id(),
                        kind=ask.kind,
                        prompt=ask.prompt,
                        tool=ask.tool,
                        call_id=ask.call_id,
                        arguments=ask.arguments,
                        choices=ask.choices,
                        client=ask.tool in self.client_tools,
                    )
                )
                self.questions[ask.key] = self.asked[ask.key] = ask
        raise Suspended

    def _handed_over(self, ask: Ask) -> Ask:
        """A call of a client's tool is told to the client, where another would be asked about."""
        return replace(ask, kind="input") if ask.tool in self.client_tools else ask

    def answer(self, key: str, **answer: Any) -> None:
        """Answer the open question `key` as a human would: `approve=`, `value=`, `reason=`, `arguments=`."""
        asked = self.questions.pop(key)
        if asked.tool in self.client_tools:
            answer["approve"] = True
        self.answers[key] = Answer(question_id=key, **answer)
        outcome = (
            "answered" if asked.kind != "approval" else "approved" if answer.get("approve") else "denied"
        )
        self.events.append(QuestionAnswered(question_id=key, by="tester", outcome=outcome))

    def answer_to(self, key: str) -> Answer | None:
        """Return the answer to the question asked under `key`."""
        return self.answers.get(key)

    def recorded(self, key: str) -> bytes | None:
        """Return what was kept under `key`."""
        return self._unstored.get(key) or self.records.get(key)

    def record(self, key: str, value: bytes) -> None:
        """Keep JSON under `key`; it is stored with the next event, and lost if a crash comes first."""
        if self.dead:
            raise Crashed
        msgspec.json.decode(value)
        self._unstored[key] = value

    def emitted_text(self, ordinal: int) -> tuple[str, str, bool] | None:
        """Return the message number `ordinal` that an earlier segment began."""
        return self._replayable[ordinal] if ordinal < len(self._replayable) else None

    @property
    def new_input(self) -> bool:
        """Whether input waits to be taken."""
        return len(self._taken()) < len(self.of(InputReceived))

    def take_input(self, key: str) -> list[Sequence[Part]]:
        """Return the input since the last look; see the port."""
        given: dict[str, Sequence[Part]] = {event.message_id: event.input for event in self.of(InputReceived)}
        before = self.recorded(f"input:{key}")
        if before is None:
            ids = [id_ for id_ in given if id_ not in self._taken()]
            self.record(f"input:{key}", encode(ids))
        else:
            ids = msgspec.json.decode(before, type=list[str])
        return [given[id_] for id_ in ids]

    def _taken(self) -> set[str]:
        records = {**self.records, **self._unstored}
        places = [value for key, value in records.items() if key.startswith("input:")]
        return {id_ for ids in places for id_ in msgspec.json.decode(ids, type=list[str])}

    def give(self, text: str | Sequence[Part]) -> None:
        """Give the running turn more input, as a user who steers does."""
        parts = (TextPart(text=text),) if isinstance(text, str) else text
        self.events.append(InputReceived(message_id=new_id(), input=parts))

    def finishing(self, call_id: str) -> Callable[[bool], None]:
        """Note a call whose thread cannot be stopped; how it ended after all goes to `late`."""
        self.unstoppable.add(call_id)
        return lambda ok: self.late.__setitem__(call_id, ok)

    async def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        """Return a file given to the constructor."""
        if file_id not in self.files:
            raise NotFound("There is no such file.")
        return self.files[file_id]

    def resumed(self, *, drop: bool = True, crash_at: int | None = None) -> "MemoryLine":
        """Return the next segment's line: what was stored, in-flight calls in doubt, a cut message dropped."""
        line = MemoryLine(crash_at=crash_at, files=self.files)
        line.events = list(self.events)
        line.records = dict(self.records)
        line.questions, line.answers = dict(self.questions), dict(self.answers)
        line.asked, line.client_tools = dict(self.asked), set(self.client_tools)
        line.attempt = self.attempt + 1
        messages = line.messages()
        cut = next((id_ for id_, _, complete in messages if not complete), None)
        reason = "recovered" if self.dead else "answered"
        if cut is not None and drop:
            messages = [message for message in messages if message[0] != cut]
        line.events.append(
            RunResumed(attempt=line.attempt, reason=reason, drop_message_id=cut if drop else None)
        )
        line._replayable = messages
        ended = {event.call_id for event in line.events if isinstance(event, ToolCompleted | ToolFailed)}
        called = {event.call_id for event in line.events if isinstance(event, ToolCalled)}
        line._inherited = called - ended
        return line

    def messages(self) -> list[tuple[str, str, bool]]:
        """Return (id, text, complete) of each assistant message that counts, in order."""
        found: dict[str, tuple[str, bool]] = {}
        for event in self.events:
            match event:
                case MessageStarted(message_id=id_):
                    found[id_] = ("", False)
                case TextDelta(message_id=id_, delta=delta):
                    found[id_] = (found[id_][0] + delta, False)
                case MessageCompleted(message_id=id_, text=text):
                    found[id_] = (text, True)
                case MessageRetracted(message_id=id_):
                    found.pop(id_, None)
                case RunResumed(drop_message_id=str(id_)):
                    found.pop(id_, None)
                case _:
                    pass
        return [(id_, text, complete) for id_, (text, complete) in found.items()]

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


def turn_of(  # noqa: PLR0913 - a test names what it needs of a turn
    line: MemoryLine,
    spec: AgentSpec,
    text: str | Sequence[Part],
    *,
    history: Sequence[Message] = (),
    context: Any = None,
    settings: Mapping[str, Any] | None = None,
    run_id: str = "run-1",
    caller: Caller = LOCAL,
    tools: Sequence[BroughtTool] = (),
    output_schema: Mapping[str, Any] | None = None,
) -> Turn:
    """Return a turn with `text` as its input."""
    line.client_tools |= {tool.name for tool in tools if tool.client}
    return Turn(
        run_id=run_id,
        thread_id="thread-1",
        caller=caller,
        spec=spec.with_policies(tools) if tools else spec,
        agent=spec.agent,
        input=[TextPart(text=text)] if isinstance(text, str) else text,
        history=history,
        context=context,
        settings=settings or {},
        attempt=line.attempt,
        line=line,
        tools=tools,
        output_schema=output_schema,
    )


async def drive(adapter: Adapter, line: MemoryLine, turn: Turn) -> Finished:
    """Pull the adapter to its end as the engine's driver does, and return its answer.

    Raises:
        Suspended: Questions are open; answer them and go on with `line.resumed()`.
        Crashed: The line was told to crash.
        AgentFailed: The agent failed.
    """
    spec = turn.spec if turn.spec.make is None else made_by(turn.spec, turn.agent)
    line.rules = ToolRules(turn.spec, turn.tools, None, late=partial(adapter.describe, spec))
    finished: Finished | None = None
    async with aclosing(cast("Any", adapter.run(turn))) as items:
        async for item in items:
            if isinstance(item, Finished):
                assert finished is None, "an adapter yields one Finished"
                finished = item
            else:
                assert finished is None, "nothing follows Finished"
                await line.emit(item)
    assert finished is not None, "an adapter ends with Finished"
    return finished
