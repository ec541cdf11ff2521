"""Running a coroutine so that the tasks it makes inherit no context variables from the run that happens to start it."""

from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

__all__ = ["in_own_context"]

T = TypeVar("T")


def in_own_context(work: Coroutine[Any, Any, T]) -> "_Stepped[T]":
    """Return an awaitable that does `work` in the caller's task but in an empty context.

    What lives longer than the run (a connection's task) would otherwise hold and use the first run's trace, log fields
    and caller for all later ones (ADP-9).
    """
    return _Stepped(work)


class _Stepped(Generic[T]):
    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        context, work = Context(), self._work
        thrown: BaseException | None = None
        while True:
            try:
                awaited = context.run(work.send, None) if thrown is None else context.run(work.throw, thrown)
            except StopIteration as stop:
                return stop.value
            thrown = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - a cancellation too: it belongs to `work`, which is given it
                thrown = error
