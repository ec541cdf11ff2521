"""The garbage collector of a server. What a start makes is there for good: looking for garbage in it takes a tenth of the
start, and a tenth of every plain turn if it is looked through again and again later.
"""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["SERVING", "STARTING", "held", "settle"]

STARTING = 500_000
"""How many objects may come before the collector runs all the same; a framework, an agent and a server are 200,000."""

SERVING = 25_000
"""New objects between two looks later on. Python's own 700 cost 7 % of the CPU of 20 streams, and what is looked through each
time is what the turns under way have made."""


@contextmanager
def held() -> Generator[Callable[[], None]]:
    """Hold the collector back. What it yields ends that, leaving alone for good what was made until then.

    Code of an owner that sets the collector meanwhile is left its way.
    """
    usual = gc.get_threshold()
    gc.set_threshold(STARTING if usual[0] else 0, *usual[1:])

    def started() -> None:
        # Not collected before: the pass takes as long as all that were spared, and finds a thousand small objects.
        gc.freeze()
        if gc.get_threshold()[0] == STARTING:
            _seldom(usual)

    try:
        yield started
    finally:
        if gc.get_threshold()[0] in (STARTING, SERVING):
            gc.set_threshold(*usual)


def settle() -> None:
    """Collect what a start left, leave alone for good what is then there, and look seldom from now on."""
    gc.collect()
    gc.freeze()
    _seldom(gc.get_threshold())


def _seldom(usual: tuple[int, int, int]) -> None:
    young, *older = usual
    gc.set_threshold(max(young, SERVING) if young else 0, *older)
