"""Which async library runs is told once: anyio and others ask sniffio for it some sixty times a turn, and without a name it
looks for the running task each time.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager

try:
    from sniffio import thread_local
except ImportError:  # nobody asks
    thread_local = None

__all__ = ["told_asyncio"]


class _Told(threading.local):
    """Who has told it in this thread, and what was there before."""

    count = 0
    before: str | None = None


_told = _Told()


@contextmanager
def told_asyncio() -> Generator[None]:
    """Tell libraries that this thread runs asyncio, until the last server in it stops. Enter and leave it in the loop.

    It is the thread that is told, not the context: a tool in a thread of its own may still start a loop there.
    """
    if thread_local is None:
        yield
        return
    if not _told.count:
        _told.before, thread_local.name = thread_local.name, "asyncio"
    _told.count += 1
    try:
        yield
    finally:
        _told.count -= 1
        if not _told.count:
            thread_local.name = _told.before
