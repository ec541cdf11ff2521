"""Tool calls on the line: asked about first, journalled, run once over all crashes (ADP-3, ADP-4)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ClientToolCallEvent,
    ToolCallEvent,
    ToolErrorEvent,
    ToolResult,
    ToolResultEvent,
)
from ag2.exceptions import HumanInputError
from ag2.middleware import BaseMiddleware

from landline.adapters.ag2.asks import approval, doubt
from landline.adapters.ag2.failures import failure_of
from landline.adapters.ag2.frames import CallFrame, TurnFrame, Waiting, current_call
from landline.adapters.ag2.journal import Journal
from landline.adapters.ag2.results import (
    arguments_of,
    dump_error,
    dump_result,
    edited,
    is_broken,
    load_error,
    load_result,
    text_of,
)
from landline.adapters.ag2.threads import ToolThreads
from landline.model.errors import Unsupported
from landline.ports.adapter import OutcomeUnknown, ToolCall, ToolRaised

__all__ = ["CallNext", "Tools", "call_threads"]

CallNext = Callable[[ToolCallEvent, ConversationContext], Awaitable[Any]]

Failure = Callable[[Exception], tuple[str, str] | None] | None

_DENIED = "A human did not allow this call."
_NO_OBJECT = "The arguments are not a JSON object."
_NOBODY_KNOWS = "Whether this call ran is not known, and it was decided not to run it again."
_WAITS = "The call stopped to wait for an answer."

call_threads: ContextVar[ToolThreads | None] = ContextVar("landline_ag2_threads", default=None)
"""Where the sync code of the running call goes."""


class _Stopped(Exception):
    """The tool stopped to ask; its call ends here and another one takes its place when the answer has come."""


class _Failed(Exception):
    def __init__(self, event: ToolErrorEvent) -> None:
        super().__init__(event.name)
        self.event = event


_PASS = (_Stopped, _Failed, ToolRaised, OutcomeUnknown, HumanInputError, asyncio.CancelledError)
"""What a call may end with; all else is the line's own."""


class Tools:
    """The calls of one run's agents."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._line = journal, journal.line
        self.own: set[str] = set()
        """Names of tools that carry `innermost` themselves."""
        self.delegations: set[str] = set()
        """Names of tools that run another agent: all they do is journalled, so they may begin again."""
        self._of_calls: dict[str, TurnFrame] = {}

    def announce(self, turn: TurnFrame, calls: list[ToolCallEvent]) -> None:
        """Say which calls a turn's model has made."""
        turn.answered(calls)
        self._of_calls.update({call.id: turn for call in calls})
        self._journal.moved()

    def knows(self, names: frozenset[str]) -> None:
        """Say which tools of a server count as the agents' own."""
        self._line.knows(*names)

    def turn_ended(self) -> None:
        """Say that an agent's turn has ended; only that of the agent whom the user asked ends the pulling."""
        if current_call.get() is None:
            self._journal.ended()

    def middleware(self, event: BaseEvent, context: ConversationContext) -> BaseMiddleware:
        """Make the agent's outermost middleware."""
        return _Outermost(event, context, self)

    def outermost(self) -> Any:
        """Return a tool's outermost hook. A function: a copied tool shares it, an object would be copied with it."""

        async def around(call_next: CallNext, event: ToolCallEvent, context: ConversationContext) -> Any:
            return await self.around(call_next, event, context)

        return around

    def innermost(self) -> Any:
        """Return the hook next to a tool's code; a function, as above."""

        async def journalled(call_next: CallNext, event: ToolCallEvent, context: ConversationContext) -> Any:
            return await self._call(call_next, event, context)

        return journalled

    async def around(self, call_next: CallNext, event: ToolCallEvent, context: ConversationContext) -> Any:
        """Run a call with all that the agent's owner put around it, again whenever what it waited for has come."""
        frame = current_call.get()
        if frame is not None and frame.event.id == event.id:
            return await call_next(event, context)
        frame = CallFrame(event)
        token = current_call.set(frame)
        self._journal.watch(asyncio.current_task())
        self._journal.begun(frame, self._of_calls.get(event.id))
        try:
            while True:
                try:
                    return await self._decided(call_next, event, context, frame)
                except Waiting as waiting:
                    await self._journal.park(waiting.ask)
        finally:
            current_call.reset(token)

    async def _decided(
        self, call_next: CallNext, event: ToolCallEvent, context: ConversationContext, frame: CallFrame
    ) -> Any:
        policy = self._journal.policy(event.name)
        frame.ran, frame.asked = False, 0
        if is_broken(event):
            return await self.refuse(event, "model_retry", _NO_OBJECT)
        if policy.approval:
            answer = self._journal.approved(event)
            if answer is None:
                raise Waiting(approval(event, policy))
            if not answer.approve:
                return await self.refuse(event, "denied", answer.reason or _DENIED)
        inner = call_next if event.name in self.own else partial(self._call, call_next)
        result = await inner(event, context)
        if frame.ran or not isinstance(result, ToolResultEvent):
            return result
        # The owner's own hooks answered in the tool's place.
        answer = self._journal.approved(event)
        if answer is not None and not answer.approve:
            return await self.refuse(event, "denied", answer.reason or text_of(result))
        return await self._instead(event, result)

    async def refuse(
        self, event: ToolCallEvent, code: str, message: str, *, key: str | None = None
    ) -> ToolResultEvent:
        """Give the log and the model a call that was not run."""

        async def fail() -> Any:
            raise _Stopped

        # Idempotent, because this run of it does nothing but fail: the log gets its end of the call.
        call = replace(self._tool_call(key or self._key(event.id), event, idempotent=True), refused=True)
        with suppress(_Stopped, ToolRaised):
            await self._on_line(call, fail, failure=lambda _: (code, message))
        return ToolResultEvent(parent_id=event.id, name=event.name, result=ToolResult(message))

    async def _instead(self, event: ToolCallEvent, result: ToolResultEvent) -> ToolResultEvent:
        shown, _ = dump_result(result.result)

        async def said() -> Any:
            return shown

        with suppress(ToolRaised):
            await self._on_line(self._tool_call(self._key(event.id), event, idempotent=True), said)
        return result

    # next to the tool's code

    async def _call(self, call_next: CallNext, event: ToolCallEvent, context: ConversationContext) -> Any:
        frame = current_call.get()
        if frame is None or frame.event.id != event.id:
            return await self.around(partial(self._call, call_next), event, context)
        frame.ran = True
        answer = self._journal.approved(event)
        if answer is not None and answer.approve and answer.arguments is not None:
            event = edited(event, answer.arguments)
        while True:
            key = self._key(event.id)
            doubts = self._line.answer_to(self._line.unknown_key(key))
            if doubts is not None and not doubts.approve:
                return await self.refuse(event, "outcome_unknown", _NOBODY_KNOWS, key=key)
            try:
                return await self._once(key, call_next, event, context)
            except OutcomeUnknown as unknown:
                await self._journal.park(doubt(unknown.call, key=self._line.unknown_key(key)))

    async def _once(
        self, key: str, call_next: CallNext, event: ToolCallEvent, context: ConversationContext
    ) -> Any:
        asked: list[Waiting] = []
        threads = ToolThreads()
        call_threads.set(threads)

        async def run() -> Any:
            try:
                result = await call_next(event, context)
            except Waiting as waiting:
                asked.append(waiting)
                self._line.record(f"deferred:{key}", b"true")
                raise _Stopped from None
            return self._outcome(key, event, result)

        idempotent = self._journal.policy(event.name).idempotent or event.name in self.delegations
        try:
            shown = await self._on_line(
                self._tool_call(key, event, idempotent=idempotent), run, failure=_failure
            )
        except _Stopped:
            raise asked[0] from None
        except _Failed as failed:
            return failed.event
        except ToolRaised as raised:
            return load_error(event, self._line.recorded(f"tool:{key}"), raised)
        except asyncio.CancelledError:
            if threads.running:
                threads.late = self._line.finishing(key)
            raise
        result = load_result(shown, self._line.recorded(f"tool:{key}"))
        return ToolResultEvent(parent_id=event.id, name=event.name, result=result)

    def _outcome(self, key: str, event: ToolCallEvent, result: Any) -> Any:
        """Return what the log shows of a result, and record what it does not show."""
        if isinstance(result, ToolErrorEvent):
            self._line.record(f"tool:{key}", dump_error(result))
            raise _Failed(result)
        if isinstance(result, ClientToolCallEvent):
            raise Unsupported(
                f"The tool {event.name} is run by the client, which Landline cannot do.", code="external_tool"
            )
        shown, record = dump_result(result.result)
        if record is not None:
            self._line.record(f"tool:{key}", record)
        return shown

    async def _on_line(
        self, call: ToolCall, run: Callable[[], Awaitable[Any]], *, failure: Failure = None
    ) -> Any:
        try:
            return await self._line.tool(call, run, failure=failure)
        except _PASS:
            raise
        except BaseException as error:  # noqa: BLE001 - the line failed, not the tool: the framework would tell the model of it and go on
            await self._journal.abort(error)

    def _key(self, call_id: str) -> str:
        """Return the journal's key: a call that stopped to ask and is answered is a call of its own."""
        key, number = call_id, 1
        while self._line.recorded(f"deferred:{key}") is not None:
            number += 1
            key = f"{call_id}:{number}"
        return key

    @staticmethod
    def _tool_call(key: str, event: ToolCallEvent, *, idempotent: bool) -> ToolCall:
        return ToolCall(call_id=key, name=event.name, arguments=arguments_of(event), idempotent=idempotent)


def _failure(error: Exception) -> tuple[str, str] | None:
    match error:
        case _Stopped():
            return "deferred", _WAITS
        case _Failed():
            return failure_of(error.event.error)
        case _:
            return None


class _Outermost(BaseMiddleware):
    def __init__(self, event: BaseEvent, context: ConversationContext, tools: Tools) -> None:
        super().__init__(event, context)
        self._tools = tools

    async def on_turn(self, call_next: Any, event: BaseEvent, context: ConversationContext) -> Any:
        try:
            return await call_next(event, context)
        finally:
            self._tools.turn_ended()

    async def on_tool_execution(
        self, call_next: CallNext, event: ToolCallEvent, context: ConversationContext
    ) -> Any:
        return await self._tools.around(call_next, event, context)
