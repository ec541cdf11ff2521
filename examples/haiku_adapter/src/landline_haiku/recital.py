"""One turn of a poet, resumed by replay: it recites from the top, and what the line has already is not done again.

A poet that is asked the same and is given the same by its tools writes the same; the messages that readers have are
compared with what it writes now. (A framework on a language model records each response with `line.record` instead.)
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import haiku

from landline.model.errors import AgentFailed
from landline.model.events import Event, MessageCompleted, MessageStarted, TextDelta, UsageReported
from landline.model.ids import fingerprint, new_id
from landline.model.messages import text_of
from landline.ports.adapter import (
    Ask,
    Finished,
    Line,
    OutcomeUnknown,
    Suspended,
    ToolCall,
    ToolPolicy,
    ToolRaised,
    Turn,
)

__all__ = ["recite"]


async def recite(turn: Turn) -> AsyncIterator[Event | Finished]:
    """Yield the events of one turn and its answer."""
    text = text_of(turn.input)
    earlier = [text_of(message.parts) for message in turn.history if message.role == "user"]
    speech = _Speech(turn.line)
    tools = _Tools(turn, speech)
    try:
        async with aclosing(turn.agent.recite(text, earlier=earlier, host=tools.use)) as pieces:
            async for piece in pieces:
                tools.check()
                for event in speech.say(piece):
                    yield event
        tools.check()
    except AgentFailed:
        raise
    except Exception as error:  # a poet is anybody's code; what it says of its failure may hold anything
        tools.check()
        raise AgentFailed("The poet failed.", code="agent_error") from error
    for event in speech.end():
        yield event
    if turn.line.recorded("usage") is None:
        turn.line.record("usage", b"true")
        read, written = len(text.split()), len(" ".join(speech.texts).split())
        yield UsageReported(input_tokens=read, output_tokens=written, total_tokens=read + written)
    yield Finished(output=speech.texts[-1] if speech.texts else "")


class _Speech:
    """The poet's messages: one until a tool is used, the next one after it."""

    def __init__(self, line: Line) -> None:
        self.texts: list[str] = []
        self._line = line
        self._id: str | None = None
        self._told: str | None = None

    def say(self, piece: str) -> list[Event]:
        """Return the events that tell `piece`; none when readers have the message."""
        events: list[Event] = []
        if self._id is None:
            known = self._line.emitted_text(len(self.texts))
            self._id, self._told = (known[0], known[1]) if known else (new_id(), None)
            self.texts.append("")
            if known is None:
                events.append(MessageStarted(message_id=self._id, role="assistant"))
        self.texts[-1] += piece
        if self._told is None and piece:
            events.append(TextDelta(message_id=self._id, delta=piece))
        return events

    def end(self) -> list[Event]:
        """Return the events that complete the open message, if there is one."""
        if self._id is None:
            return []
        message_id, told, self._id = self._id, self._told, None
        if told is None:
            return [MessageCompleted(message_id=message_id, text=self.texts[-1])]
        if told != self.texts[-1]:
            raise AgentFailed("The poet did not write again what it wrote before.", code="replay_mismatch")
        return []


class _Tools:
    """The poet's tools on the line's journal, each under the policy that its owner gave it."""

    def __init__(self, turn: Turn, speech: _Speech) -> None:
        self._turn, self._line, self._speech = turn, turn.line, speech
        self._used = self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped: Suspended | None = None

    def check(self) -> None:
        """Raise again what ended the segment: a poet that caught it must not go on."""
        if self._stopped is not None:
            raise self._stopped

    async def use(self, name: str, arguments: Mapping[str, Any], tool: Callable[..., Any]) -> Any:
        """Run a tool once over all crashes. Raises haiku.ToolFailed."""
        self.check()
        key = f"{self._turn.run_id}/{self._used}"
        self._used += 1
        await self._line.emit(*self._speech.end())
        policy = self._turn.spec.tools.get(name, ToolPolicy())
        call = ToolCall(
            call_id="call_" + fingerprint(key.encode())[:24],
            name=name,
            arguments=dict(arguments),
            idempotent=policy.idempotent,
        )
        try:
            return await self._allowed(call, policy, tool)
        except ToolRaised as raised:
            raise haiku.ToolFailed(raised.message) from raised

    async def _allowed(self, call: ToolCall, policy: ToolPolicy, tool: Callable[..., Any]) -> Any:
        if policy.approval:
            ask = Ask(
                key=call.call_id, kind="approval", prompt=f"Allow {call.name}?", tool=call.name,
                call_id=call.call_id, arguments=call.arguments,
                expires_s=policy.expires_s, approvers=policy.approvers,
            )  # fmt: skip
            answer = await self._ask(ask)
            if not answer.approve:
                return await self._refused(
                    call, "denied", answer.reason or "A human did not allow this call."
                )
            if answer.arguments is not None:
                call = ToolCall(
                    call_id=call.call_id,
                    name=call.name,
                    arguments=answer.arguments,
                    idempotent=call.idempotent,
                )
        try:
            return await self._journalled(call, partial(self._perform, call, tool))
        except OutcomeUnknown:
            ask = Ask(
                key=self._line.unknown_key(call.call_id), kind="approval", tool=call.name,
                prompt=f"The server stopped while {call.name} ran; it may or may not have done its work. Run it again?",
                call_id=call.call_id, arguments=call.arguments,
            )  # fmt: skip
            answer = await self._ask(ask)
        if answer.approve:
            return await self._journalled(call, partial(self._perform, call, tool))
        return await self._refused(
            call, "outcome_unknown", answer.reason or f"Whether {call.name} ran is not known."
        )

    async def _journalled(self, call: ToolCall, run: Callable[[], Any]) -> Any:
        self._running += 1
        self._idle.clear()
        try:
            return await self._line.tool(call, run, failure=_failure)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _refused(self, call: ToolCall, code: str, reason: str) -> Any:
        async def refuse() -> None:
            raise ToolRaised(code, reason)

        # Idempotent, because all it does is fail: the log gets its end of the call.
        refused = ToolCall(call_id=call.call_id, name=call.name, arguments=call.arguments, idempotent=True)
        return await self._journalled(refused, refuse)

    async def _perform(self, call: ToolCall, tool: Callable[..., Any]) -> Any:
        if inspect.iscoroutinefunction(tool):
            return await tool(**call.arguments)
        # Sync code runs beside the loop. A cancelled run lets go of it and says so: a thread cannot be stopped.
        loop = asyncio.get_running_loop()
        thread = loop.run_in_executor(None, partial(tool, **call.arguments))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            tell = self._line.finishing(call.call_id)
            thread.add_done_callback(lambda ended: tell(ended.exception() is None))
            raise

    async def _ask(self, ask: Ask) -> Any:
        await self._idle.wait()  # the results of calls beside this one are kept before the segment ends
        self.check()
        try:
            [answer] = await self._line.ask(ask)
        except Suspended as suspended:
            self._stopped = suspended
            raise
        return answer


def _failure(error: Exception) -> tuple[str, str] | None:
    return (error.code, error.message) if isinstance(error, ToolRaised) else None
