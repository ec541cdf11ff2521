"""Draining: one flag that every open stream and socket watches, so that a stop is said and not suffered (REL-4)."""

from collections.abc import Callable

__all__ = ["Drain"]


class Drain:
    """Set once, when the server begins to stop. Streams register a call for that moment.

    A plain callback and not an event: a thousand streams wait without a thousand tasks.
    """

    def __init__(self) -> None:
        self._started = False
        self._calls: dict[object, Callable[[], object]] = {}

    @property
    def started(self) -> bool:
        """Whether the server is stopping."""
        return self._started

    def start(self) -> None:
        """Begin to stop: every registered call is made, once. A second start does nothing."""
        if self._started:
            return
        self._started = True
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call()

    def watch(self, call: Callable[[], object]) -> Callable[[], None]:
        """Have `call` made when draining starts, at once if it has; returns the way to withdraw it."""
        if self._started:
            call()
            return _nothing
        token = object()
        self._calls[token] = call
        return lambda: self._forget(token)

    def _forget(self, token: object) -> None:
        self._calls.pop(token, None)


def _nothing() -> None:
    pass
