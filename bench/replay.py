"""Replaying a finished run: over HTTP, and from the store to frames without a socket (PRF-10).

    python -m bench.replay DATA RUN_ID

prints how many events a second the store gives as frames.
"""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.load import Door, WrongAnswer, post
from bench.metrics import Figures
from bench.servers import Server
from bench.wire import connect, request

__all__ = ["NOTE", "main", "replay"]

NOTE = "replay"
"""The file in a server's data folder that names the run, for when the server has stopped."""

_BATCH = 500
_REPEATS = 5


async def replay(server: Server, events: int) -> Figures:
    """Fill a log, then read it whole several times."""
    door = replace(server.door, fields={**server.door.fields, "agent": "chatter"})
    run_id = (await post(door, str(events)))["id"]
    (server.data / NOTE).write_text(run_id)
    ask = request(f"{door.path}/{run_id}/events?after=0", {**door.headers, "accept": "text/event-stream"})
    rates, spent = list[float](), server.process.cpu_s()
    for _ in range(_REPEATS):
        rates.append(await _once(door, ask, events))
    spent = server.process.cpu_s() - spent
    return {
        "replay_events_s": sorted(rates)[_REPEATS // 2],
        "replay_cpu_ms_1k": spent / _REPEATS / events * 1e6,
    }


async def _once(door: Door, ask: bytes, events: int) -> float:
    line = await connect(door.port)
    began = time.monotonic()
    reply = await line.ask(ask)
    took = time.monotonic() - began
    line.close()
    ids = [int(part.split(b"\n", 1)[0]) for part in reply.body.split(b"id: ")[1:]]
    if ids != list(range(1, len(ids) + 1)) or len(ids) < events:
        raise WrongAnswer(f"a replay of {events} events gave {len(ids)}: {reply.body[-300:]!r}")
    last = json.loads(reply.body.rsplit(b"data: ", 1)[1])
    if last["type"] != "run.completed":
        raise WrongAnswer(f"a replay ended with {last}")
    return len(ids) / took


async def _rate(data: Path, run_id: str) -> float:
    # Only the process that reads the store imports Landline; the instrument itself stays without it.
    from landline.backends.sqlite import SqliteStore
    from landline.model.callers import Caller
    from landline.web.sse import frames

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
