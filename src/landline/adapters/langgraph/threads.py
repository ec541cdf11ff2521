"""Where sync tools run: in daemon threads that neither a cancelled run nor a stopping server waits for (ADP-8)."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

__all__ = ["ToolThreads"]

P = ParamSpec("P")
T = TypeVar("T")

MOST = 64
"""Sync tools that run at the same time in this process; more wait their turn."""

_lock = threading.Lock()
_waiting: deque[Callable[[], None]] = deque()
_active = 0


class ToolThreads(Executor):
    """The threads of one tool call. The pool behind it is shared; `running` is this call's own.

    The standard pool is not used because it joins its threads when the interpreter exits: one tool that sleeps for a
    minute would hold the server for a minute after SIGTERM.
    """

    def __init__(self) -> None:
        self._running = 0
        self.late: Callable[[bool], None] | None = None
        """Called when the code ends after its run was cancelled."""

    @property
    def running(self) -> bool:
        """Whether code of this call is running in a thread right now."""
        return self._running > 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread, now or when one is free."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            self._running += 1
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the future
                self._end(ok=False)
                future.set_exception(error)
            else:
                self._end(ok=True)
                future.set_result(result)

        _start(job)
        return future

    def _end(self, *, ok: bool) -> None:
        self._running -= 1
        if self.late is not None:
            self.late(ok)


def _start(job: Callable[[], None]) -> None:
    global _active  # noqa: PLW0603 - one count for the process
    with _lock:
        if _active >= MOST:
            _waiting.append(job)
            return
        _active += 1
    threading.Thread(target=_work, args=(job,), name="landline-tool", daemon=True).start()


def _work(job: Callable[[], Any]) -> None:
    global _active  # noqa: PLW0603 - one count for the process
    while True:
        job()
        with _lock:
            if not _waiting:
                _active -= 1
                return
            job = _waiting.popleft()
