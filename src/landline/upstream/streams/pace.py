"""Letting others go first in a loop that does not keep up."""

import asyncio
from time import perf_counter

__all__ = ["BUSY_S", "give_way"]

BUSY_S = 0.001
"""A pass of the loop that took longer is one in which others waited. One that feeds 200 streams took 200 ms."""
_MOST_PASSES = 8
"""A run that starts needs some dozens of passes, one that commits a few. With eight, the first token of a run among 200
streams came after 0.7 s instead of 2.0. It is a bound for a loop that never keeps up: tokens have to go on there too."""


async def give_way(passes: int = _MOST_PASSES) -> None:
    """Let passes of the loop go by until one is quick.

    A stream's reader calls this before it takes what has arrived. In a loop that keeps up it costs one empty pass; in one that
    does not, tokens gather meanwhile and are decoded as one, and what starts or commits is not behind them in each pass.
    """
    before = perf_counter()
    for _ in range(passes):
        await asyncio.sleep(0)
        now = perf_counter()
        if now - before < BUSY_S:
            return
        before = now
