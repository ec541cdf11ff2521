"""What one segment of a run knows: events on their way, who waits for whom, and the way out (ADP-4).

AG2 pushes: an agent runs in tasks of its own and tells its stream. The line pulls. `say` hands an event over and returns
when it is in the log, so no tool starts before the text that came ahead of it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

from ag2.events import HumanInputRequest, ToolApprovalRequest, ToolCallEvent
from ag2.exceptions import HumanInputNotProvidedError

from landline.adapters.ag2.asks import approval, question, said
from landline.adapters.ag2.frames import CallFrame, TurnFrame, Waiting, current_call
from landline.model.events import Event
from landline.model.runs import Answer
from landline.ports.adapter import Ask, ToolPolicy, Turn

__all__ = ["Journal"]

_NOBODY = "Nobody answered."


class Journal:
    """One instance belongs to one segment of one run."""

    def __init__(self, turn: Turn) -> None:
        self.line, self._policies = turn.line, turn.spec.tools
        self.turns: list[TurnFrame] = []
        """The turns that no tool call began, in order: one, or one for each turn of a workflow."""
        self.call_ids: set[str] = set()
        self.model: str | None = None
        self._calls: dict[str, ToolCallEvent] = {}
        self._outbox: deque[tuple[Event, asyncio.Future[None]]] = deque()
        self._wake = asyncio.Event()
        self._parked: list[tuple[Ask, asyncio.Future[None], CallFrame | None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._fatal: BaseException | None = None
        self._asked = 0
        self._driven = self._ended = False

    def policy(self, name: str) -> ToolPolicy:
        """Return what the owner said of the tool."""
        return self._policies.get(name, ToolPolicy())

    # events

    async def say(self, *events: Event) -> None:
        """Hand `events` over, and return when they are in the log."""
        for event in events:
            taken = asyncio.get_running_loop().create_future()
            self._outbox.append((event, taken))
            self._wake.set()
            await taken

    async def events(self) -> AsyncGenerator[Event]:
        """Yield what is said until the agent's turn has ended.

        Raises:
            Suspended: Nothing can go on without an answer.
        """
        self._driven = True
        while not self._ended or self._outbox:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                event, taken = self._outbox.popleft()
                yield event
                if not taken.done():
                    taken.set_result(None)
            if self._fatal is not None:
                raise self._fatal
            if self._stuck():
                await self._ask()
        self._driven = self._ended = False

    def ended(self) -> None:
        """Say that the agent's turn has ended, well or not."""
        self._ended = True
        self._wake.set()

    # stops

    async def park(self, ask: Ask) -> None:
        """Wait for an answer: in memory while others are at work, outside of it when nobody is."""
        frame = current_call.get()
        answered = asyncio.get_running_loop().create_future()
        if frame is not None:
            frame.parked = True
        self._parked.append((ask, answered, frame))
        self._wake.set()
        await answered

    def moved(self) -> None:
        """Say that a call has ended: perhaps nobody is at work any more."""
        self._wake.set()

    def _stuck(self) -> bool:
        if any(frame is None for _, _, frame in self._parked):
            return True
        begun = [turn for turn in self.turns if not turn.done]
        return bool(self._parked) and bool(begun) and all(turn.stuck for turn in begun)

    async def _ask(self) -> None:
        parked, self._parked = self._parked, []
        await self.line.ask(*(ask for ask, _, _ in parked))
        for _, answered, frame in parked:
            if frame is not None:
                frame.parked = False
            answered.set_result(None)

    async def abort(self, error: BaseException) -> NoReturn:
        """End the segment with what the line raised. It may not pass through the agent, which could take it for its own."""
        self._fatal = self._fatal or error
        self._wake.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the run's task is cancelled here")

    def watch(self, task: "asyncio.Task[Any] | None") -> None:
        """Remember a task that works for this run: the framework leaves some behind when another one fails."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel what still works and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # humans

    def approved(self, event: ToolCallEvent) -> Answer | None:
        """Return the decision about a call, if one was asked for and given."""
        return self.line.answer_to(event.id)

    async def ask_human(self, request: HumanInputRequest) -> str:
        """Answer the framework's questions; what it gives to agents that have no hook of their own.

        Raises:
            Waiting: The question is open.
            HumanInputNotProvidedError: It was left to expire, or refused.
        """
        frame = current_call.get()
        if isinstance(request, ToolApprovalRequest):
            event = self._calls.get(request.tool_call_id) or ToolCallEvent("tool", id=request.tool_call_id)
            answer = await self._answer(approval(event, self.policy(event.name), request), frame)
            return "y" if answer.approve else "n"
        number = frame.asked if frame else self._asked
        if frame:
            frame.asked += 1
        else:
            self._asked += 1
        event = frame.event if frame else None
        key = f"input:{event.id if event else ''}:{number}"
        answer = await self._answer(question(request, key=key, event=event), frame)
        if answer.approve is False:
            raise HumanInputNotProvidedError(answer.reason or _NOBODY)
        return said(answer)

    async def _answer(self, ask: Ask, frame: CallFrame | None) -> Answer:
        while (answer := self.line.answer_to(ask.key)) is None:
            if frame is not None:
                raise Waiting(ask)
            if self._driven:
                await self.park(ask)
            else:
                # The agent is still being set up, in the task that pulls.
                await self.line.ask(ask)
        return answer

    def begun(self, frame: CallFrame, turn: TurnFrame | None) -> None:
        """Note a call that begins, in its turn's batch."""
        self._calls[frame.event.id] = frame.event
        if turn is not None:
            turn.calls[frame.event.id] = frame
