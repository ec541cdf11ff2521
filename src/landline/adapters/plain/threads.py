"""Blocking code beside the loop: threads of our own, because the loop's pool is shared, small, and joined at exit.

A thread cannot be stopped. When its run is, the run lets go of it at once and says so (RUN-5); the thread meets
`Stopped` at its next word to the run.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from landline.adapters.plain.speech import SCOPE, Scope, inside
from landline.ports.adapter import Line

__all__ = ["Portal", "Stopped", "in_thread"]

T = TypeVar("T")
Work = Callable[[], Any]


class Stopped(BaseException):
    """The run has ended without this thread. Outside `Exception`, so that the thread ends too."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What some code returned or raised. Not a future's: those refuse StopIteration and let SystemExit through."""

    value: Any = None
    error: BaseException | None = None

    def get(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def _outcome(work: Work) -> _Outcome:
    try:
        return _Outcome(value=work())
    except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
        return _Outcome(error=error)


def _start(work: Work, deliver: Callable[[_Outcome], object]) -> None:
    context = copy_context()

    def target() -> None:
        outcome = _outcome(lambda: context.run(work))
        with suppress(RuntimeError, Stopped):  # the loop is closed: nobody is there to hear it
            deliver(outcome)

    threading.Thread(target=target, name="landline plain agent", daemon=True).start()


async def in_thread(work: Work, call_id: str, line: Line) -> Any:
    """Run `work` in a thread and return its result; when the run is stopped, the thread is left to itself."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_Outcome] = loop.create_future()

    late: list[Callable[[bool], None]] = []

    def settle(outcome: _Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)
        for tell in late:
            tell(outcome.error is None)

    _start(work, lambda outcome: loop.call_soon_threadsafe(settle, outcome))
    try:
        outcome = await ended
    except asyncio.CancelledError:
        late.append(line.finishing(call_id))
        raise
    return outcome.get()


@dataclass(frozen=True, slots=True)
class _Ended:
    token: object
    outcome: _Outcome


@dataclass(frozen=True, slots=True)
class _Work:
    """Code that the loop asks a waiting thread to run, so that a sync function's calls stay in its own thread."""

    token: object
    work: Work


@dataclass(frozen=True, slots=True)
class _Call:
    operation: Callable[[], Awaitable[Any]]
    inbox: "SimpleQueue[_Outcome | _Work]"
    scope: Scope | None


class Portal:
    """Between one sync function's thread and its run's task.

    The thread asks and waits; the task serves. Nothing but the run's own task touches the run, so a cancel reaches
    whatever is being served, and no task is made per call.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._asked: asyncio.Queue[_Call | _Ended] = asyncio.Queue()
        self._ended: dict[object, _Outcome] = {}
        self._inbox: SimpleQueue[_Outcome | _Work] | None = None
        self._lock = threading.Lock()
        self._waiting: set[SimpleQueue[_Outcome | _Work]] = set()
        self._closed = False
        self._late: dict[object, Callable[[bool], None]] = {}

    async def run(self, work: Work, call_id: str) -> Any:
        """Run the function in a thread of its own and serve what it asks until it ends."""
        token = object()
        _start(work, lambda outcome: self._post(_Ended(token, outcome)))
        try:
            return await self._serve(token, call_id)
        finally:
            self._close()

    async def here(self, work: Work, call_id: str) -> Any:
        """Run `work` in the thread whose call is being served."""
        assert self._inbox is not None
        token, context = object(), copy_context()
        self._inbox.put(_Work(token, lambda: context.run(work)))
        return await self._serve(token, call_id)

    def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """From the function's thread: have `operation` awaited on the loop, and wait for its result.

        Raises:
            Stopped: The run has ended.
        """
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError(
                "a sync run is for sync code; in a coroutine this call would block the event loop"
            )
        inbox: SimpleQueue[_Outcome | _Work] = SimpleQueue()
        with self._lock:
            if self._closed:
                raise Stopped
            self._waiting.add(inbox)
        try:
            self._post(_Call(operation, inbox, SCOPE.get()))
            while isinstance(message := inbox.get(), _Work):
                self._post(_Ended(message.token, _outcome(message.work)))
            return message.get()
        finally:
            with self._lock:
                self._waiting.discard(inbox)

    def _post(self, item: _Call | _Ended) -> None:
        if isinstance(item, _Ended) and (tell := self._late.pop(item.token, None)) is not None:
            tell(item.outcome.error is None)
        try:
            self._loop.call_soon_threadsafe(self._asked.put_nowait, item)
        except RuntimeError:
            raise Stopped from None  # the loop is closed

    async def _serve(self, token: object, call_id: str) -> Any:
        # Served in place, calls within calls as deep as the function nests them: the innermost one ends first.
        while token not in self._ended:
            try:
                item = await self._asked.get()
            except asyncio.CancelledError:
                # The thread is in the user's code, not waiting for us.
                self._late[token] = self._line.finishing(call_id)
                raise
            if isinstance(item, _Ended):
                self._ended[item.token] = item.outcome
            else:
                await self._answer(item)
        return self._ended.pop(token).get()

    async def _answer(self, call: _Call) -> None:
        before, self._inbox = self._inbox, call.inbox
        try:
            with inside(call.scope):
                outcome = _Outcome(value=await call.operation())
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked, a suspension too
            outcome = _Outcome(error=error)
        finally:
            self._inbox = before
        call.inbox.put(outcome)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            for inbox in self._waiting:
                inbox.put(_Outcome(error=Stopped()))
