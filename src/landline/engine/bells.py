"""Bells wake readers: a reader holds a cursor and waits for the bell of its run; it never has a queue of its own."""

import asyncio
from collections import defaultdict

__all__ = ["Bells"]


class Bells:
    """One bell per id that somebody waits for."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)

    def listen(self, key: str) -> asyncio.Future[None]:
        """Return a future that the next `ring` of `key` resolves.

        Take it before looking at the log, so that no write between the look and the wait is missed.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        return future

    def forget(self, key: str, future: asyncio.Future[None]) -> None:
        """Drop a future that nobody will await."""
        waiting = self._waiting.get(key)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[key]

    def ring(self, key: str) -> None:
        """Wake all who listen to `key`."""
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)
