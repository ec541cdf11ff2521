"""Reading a finished run from the store and encoding it for a reader, without a socket (PRF-10).

    python -m bench.replay DATA RUN_ID

prints how many events a second the store gives as frames.
"""

import asyncio
import sys
import time
from pathlib import Path

from landline.backends.sqlite import SqliteStore
from landline.model.callers import Caller
from landline.web.sse import frames

__all__ = ["main"]

_BATCH = 500
_REPEATS = 5


async def _rate(data: Path, run_id: str) -> float:
    caller = Caller(tenant="bench", user="bench", scopes=frozenset())
    store, rates = SqliteStore(data / "landline.db"), list[float]()
    await store.open()
    try:
        for _ in range(_REPEATS):
            began, seen = time.perf_counter(), 0
            while batch := await store.events(caller, run_id, after=seen, limit=_BATCH):
                if not frames(batch):
                    raise RuntimeError("a batch without frames")
                seen = batch[-1].seq
            rates.append(seen / (time.perf_counter() - began))
    finally:
        await store.close()
    return sorted(rates)[_REPEATS // 2]


def main() -> None:
    """Print the events a second, the median of a few times."""
    sys.stdout.write(f"{asyncio.run(_rate(Path(sys.argv[1]), sys.argv[2])):.0f}\n")


if __name__ == "__main__":
    main()
