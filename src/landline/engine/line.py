"""The line under one run: what `ports.adapter.Line` promises, on the run's log.

The journal is the log: a tool's intent is on disk before the tool runs, its result before the agent sees it. What was
stored in an earlier segment is given back instead of being done again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

import msgspec

from landline.engine.carried import agreed, handed_over
from landline.engine.fold import MessageState
from landline.engine.log import RunLog
from landline.engine.loop import Tasks
from landline.engine.tools import ToolRules, approved_arguments
from landline.model.callers import Caller
from landline.model.errors import ErrorInfo
from landline.model.events import (
    Event,
    QuestionAsked,
    ToolCalled,
    ToolCompleted,
    ToolFailed,
    UsageReported,
    mended,
)
from landline.model.ids import new_id
from landline.model.messages import Part
from landline.model.runs import Answer, Question
from landline.model.times import iso
from landline.ports.adapter import Ask, Finished, OutcomeUnknown, Suspended, ToolCall, ToolRaised
from landline.ports.clock import Clock
from landline.ports.gates import ContentGate, LineGate, ModelGate, Price, Withheld, also
from landline.ports.runs import Files
from landline.ports.store import NewQuestion, Settled, Store

__all__ = ["RunLine", "taken_of"]

logger = logging.getLogger(__name__)

INPUT = "input:"
"""Records under this say which input was taken at which look."""


def taken_of(records: Mapping[str, bytes]) -> set[str]:
    """Return the ids of the messages that earlier segments took in."""
    places = [value for key, value in records.items() if key.startswith(INPUT)]
    return {id_ for ids in places for id_ in msgspec.json.decode(ids, type=list[str])}


async def _raise(error: Exception) -> None:
    raise error


def _as_said(error: Exception) -> tuple[str, str] | None:
    return (error.code, error.message) if isinstance(error, ToolRaised) else None


class RunLine:
    """One segment's line. `inherited` are the calls that were in flight when an earlier segment broke off."""

    def __init__(  # noqa: PLR0913 - built in one place, from what the driver has loaded
        self,
        *,
        run_log: RunLog,
        records: Mapping[str, bytes],
        answers: Mapping[str, Settled],
        caller: Caller,
        files: Files,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        client_tools: frozenset[str] = frozenset(),
        gates: Sequence[LineGate] = (),
        price: Price | None = None,
    ) -> None:
        self.last_activity = clock.steady()
        self.stopping = False
        self.tools_running = 0
        self.open_questions: list[Question] = []
        self.unstoppable: set[str] = set()
        self.gates, self._price = gates, price
        self.rules: ToolRules | None = None
        self._run_log, self._fold, self._clock = run_log, run_log.fold, clock
        self._records, self._client_tools = dict(records), client_tools
        self._answers = {key: agreed(settled) for key, settled in answers.items()}
        self._caller, self._files, self._store, self._tasks = caller, files, store, tasks
        self._inherited = {call_id for call_id, tool in run_log.fold.tools.items() if not tool.done}
        self.taken = taken_of(records)
        self._replayable = [message.id for message in run_log.fold.messages.values()]

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        return self.stopping

    def add(self, event: Event) -> None:
        """Append one event at once; the driver's way in."""
        self.last_activity = self._clock.steady()
        self._run_log.add(event)
        for gate in self.gates:
            gate.seen(event)

    @property
    def _content(self) -> list[ContentGate]:
        return [gate for gate in self.gates if isinstance(gate, ContentGate)]

    def told(self, message_id: str) -> str:
        """Return the text that the log has of a message."""
        message = self._fold.messages.get(message_id)
        return message.text if message is not None else ""

    async def emit(self, *events: Event) -> None:
        """Append `events`; waits only when the log is far behind."""
        for event in await self._passing(events) if self.gates else events:
            self.add(await self._priced(event) if isinstance(event, UsageReported) else event)
        if self._run_log.behind or self.stopping:
            await self._run_log.flushed()

    async def _priced(self, event: UsageReported) -> UsageReported:
        return event if self._price is None else await self._price(event)

    async def _passing(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        for gate in self.gates:
            events = tuple([passed for event in events for passed in await gate.passing(event)])
        return events

    async def finish(self, finished: Finished) -> Finished:
        """Return the answer that the gates let through."""
        for at, gate in enumerate(self.gates):
            rest, finished = await gate.finishing(finished)
            for later in self.gates[at + 1 :]:
                rest = [passed for event in rest for passed in await later.passing(event)]
            for event in rest:
                self.add(event)
        return finished

    async def before_model(self, *, elsewhere: bool = False) -> None:
        """Wait until the gates agree that a model is asked."""
        for gate in self.gates:
            if also(type(gate), ModelGate):
                await cast("ModelGate", gate).before_model(elsewhere=elsewhere)

    def close_gates(self) -> None:
        """Tell the gates that the segment is over."""
        gates, self.gates = self.gates, ()
        for gate in gates:
            gate.closed(self._fold.last_type)

    async def tool(
        self,
        call: ToolCall,
        run: Callable[[], Awaitable[Any]],
        *,
        failure: Callable[[Exception], tuple[str, str] | None] | None = None,
    ) -> Any:
        """Run a tool once over all crashes; see the port."""
        if call.name in self._client_tools:
            call, run = replace(call, idempotent=True), partial(self._client_result, call.call_id)
        state = self._fold.tools.get(call.call_id)
        if state is not None and state.done:
            if state.error is not None:
                raise ToolRaised(state.error.code, state.error.message)
            return state.result
        if state is not None and call.call_id in self._inherited:
            if not call.idempotent:
                await self._allow_again(call)
            self._inherited.discard(call.call_id)
        else:
            arguments = call.arguments
            try:
                self._check(call)
                for gate in self.gates:
                    await gate.before_tool(call)
            except ToolRaised as refusal:
                run, failure = partial(_raise, refusal), _as_said
                arguments = refusal.arguments if isinstance(refusal, Withheld) else arguments
            self.add(ToolCalled(call_id=call.call_id, name=call.name, arguments=arguments))
            await self._run_log.durable()
        return await self._run_tool(call, run, failure)

    def _check(self, call: ToolCall) -> None:
        """Refuse what the owner denies, and any other call than the one that was approved. Raises ToolRaised."""
        if call.refused:
            return
        refusal = approved_arguments(self._answers, call) if self._answers else None
        refusal = refusal or (self.rules.refusal(call.name, call.arguments) if self.rules else None)
        if refusal is not None:
            raise refusal

    def knows(self, *tools: str) -> None:
        """Let the agent use `tools`; see the port."""
        if self.rules is not None:
            self.rules.known.update(tools)

    async def _run_tool(
        self,
        call: ToolCall,
        run: Callable[[], Awaitable[Any]],
        failure: Callable[[Exception], tuple[str, str] | None] | None,
    ) -> Any:
        self.tools_running += 1
        try:
            result = msgspec.to_builtins(await run())
            for gate in self._content if self.gates else ():
                result = await gate.result(call, result)
        # The tool is the user's code: whatever it raises is recorded and passed on. A `sys.exit` in it would end the
        # server through the event loop, so it is passed on as the failure it is.
        except (Exception, SystemExit) as raised:
            error = raised if isinstance(raised, Exception) else RuntimeError("the tool called sys.exit")
            said = _as_said(error) if isinstance(error, Withheld) else failure(error) if failure else None
            code, message = said or ("tool_error", f"The tool {call.name} failed.")
            if said is None:
                logger.warning("tool %s of run %s raised", call.name, self._run_log.run_id, exc_info=error)
            shown = message
            for gate in self._content if self.gates else ():
                shown = await gate.failure(call, str(shown))
            self.add(ToolFailed(call_id=call.call_id, error=ErrorInfo(code=str(code), message=str(shown))))
            await self._run_log.durable()
            if shown != message:
                raise ToolRaised(str(code), str(shown)) from error
            if error is raised:
                raise
            raise error from raised
        finally:
            self.tools_running -= 1
            self.last_activity = self._clock.steady()
        self.add(ToolCompleted(call_id=call.call_id, result=result))
        await self._run_log.durable()
        return result

    async def _client_result(self, call_id: str) -> Any:
        """Return what the client gave as the result of a call it carried out."""
        (value,) = [
            settled.answer.value for settled in self._answers.values() if settled.question.call_id == call_id
        ]
        return value

    async def _allow_again(self, call: ToolCall) -> None:
        """Use an approval up, on disk, before the call runs again. Raises OutcomeUnknown without one."""
        answer = self.answer_to(self.unknown_key(call.call_id))
        if answer is None or not answer.approve:
            raise OutcomeUnknown(call)
        self.record(f"again:{call.call_id}", b"%d" % (self._runs_again(call.call_id) + 1))
        await self._run_log.durable()

    def _runs_again(self, call_id: str) -> int:
        return int(self._records.get(f"again:{call_id}", b"0"))

    def unknown_key(self, call_id: str) -> str:
        """Return the key for asking about a call of unknown outcome; see the port."""
        runs = self._runs_again(call_id)
        return f"unknown:{call_id}:{runs}" if runs else f"unknown:{call_id}"

    async def ask(self, *asks: Ask) -> list[Answer]:
        """Return all answers, or ask what is not asked yet and end the segment."""
        given = [await self._before_asking(ask) for ask in asks]
        answers = iter(self._ask([one for one in given if isinstance(one, Ask)]))
        return [next(answers) if isinstance(one, Ask) else one for one in given]

    async def _before_asking(self, ask: Ask) -> Ask | Answer:
        """Return the question as it may be asked, or the answer that makes it needless: nobody approves in vain."""
        if ask.key in self._answers:
            return ask
        refusal = None
        if self.rules is not None and ask.kind == "approval" and ask.tool is not None:
            refusal = self.rules.refusal(ask.tool, ask.arguments)
        guarded: Ask | Answer = ask
        if refusal is not None:
            return Answer(question_id="", approve=False, reason=refusal.message)
        for gate in self._content if self.gates else ():
            guarded = await gate.asking(guarded) if isinstance(guarded, Ask) else guarded
        return guarded

    def _ask(self, asks: Sequence[Ask]) -> list[Answer]:
        asks = tuple(handed_over(ask, self._client_tools) for ask in asks)
        settled = [self._answers.get(ask.key) for ask in asks]
        if all(answer is not None for answer in settled):
            return [answer.answer for answer in settled if answer is not None]
        for ask, answer in zip(asks, settled, strict=True):
            if answer is None:
                self._put(ask)
        raise Suspended

    def _put(self, ask: Ask) -> None:
        now = self._clock.now()
        asked, _ = mended(
            QuestionAsked(
                question_id=new_id(),
                kind=ask.kind,
                prompt=ask.prompt,
                tool=ask.tool,
                call_id=ask.call_id,
                arguments=ask.arguments,
                choices=ask.choices,
                expires_at=iso(now + timedelta(seconds=ask.expires_s)) if ask.expires_s is not None else None,
                client=ask.kind == "input" and ask.tool in self._client_tools,
            )
        )
        question = Question(
            question_id=asked.question_id,
            kind=asked.kind,
            prompt=asked.prompt,
            tool=asked.tool,
            call_id=asked.call_id,
            arguments=asked.arguments,
            choices=asked.choices,
            expires_at=asked.expires_at,
            needed=ask.approvers,
            client=asked.client,
        )
        self.open_questions.append(question)
        self._run_log.ask(NewQuestion(key=ask.key, question=question))
        self.add(asked)

    def answer_to(self, key: str) -> Answer | None:
        """Return the answer to the question asked under `key`."""
        settled = self._answers.get(key)
        return settled.answer if settled else None

    def recorded(self, key: str) -> bytes | None:
        """Return what was kept under `key`."""
        return self._records.get(key)

    def record(self, key: str, value: bytes) -> None:
        """Keep JSON under `key`."""
        self._records[key] = value
        self._run_log.record(key, value)

    def emitted_text(self, ordinal: int) -> tuple[str, str, bool] | None:
        """Return the message number `ordinal` that an earlier segment began."""
        if ordinal >= len(self._replayable):
            return None
        message = self._fold.messages[self._replayable[ordinal]]
        return message.id, self._said(message) if self.gates else message.text, message.complete

    def _said(self, message: MessageState) -> str:
        text = message.text
        for gate in self._content:
            text = gate.said(message.id, text)
        return text

    @property
    def new_input(self) -> bool:
        """Whether input waits to be taken."""
        return len(self.taken) < len(self._fold.inputs)

    def take_input(self, key: str) -> list[Sequence[Part]]:
        """Return the input since the last look; see the port."""
        place = INPUT + key
        if (before := self._records.get(place)) is None:
            ids = [id_ for id_ in self._fold.inputs if id_ not in self.taken]
            self.taken.update(ids)
            self.record(place, msgspec.json.encode(ids))
        else:
            ids = msgspec.json.decode(before, type=list[str])
        return [self._fold.inputs[id_] for id_ in ids]

    def finishing(self, call_id: str) -> Callable[[bool], None]:
        """Note a call whose thread cannot be stopped; its late end goes to the side table, never to the log."""
        self.unstoppable.add(call_id)
        loop = asyncio.get_running_loop()

        def ended(ok: bool) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is there to note it
                loop.call_soon_threadsafe(self._note_late, call_id, ok)

        return ended

    def _note_late(self, call_id: str, ok: bool) -> None:
        at = iso(self._clock.now())
        work = self._store.late_result(self._caller, self._run_log.run_id, call_id, ok=ok, at=at)
        self._tasks.spawn(work, name=f"late end of {call_id}")

    async def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        """Return one of the caller's files."""
        info, data = await self._files.read(self._caller, file_id)
        return info.name, info.media_type, data
