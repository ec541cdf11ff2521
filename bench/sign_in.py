"""What a warm sign-in by API key costs in CPU: a key that was checked a moment ago, as on every request (PRF-9).

    python -m bench.sign_in [SIGN_INS]

prints microseconds of CPU time for each, the median of a few rounds: the authenticator alone, and the whole door (headers,
key, scopes) as `web.caller.admit` opens it. One event loop, a real SQLite store, no socket.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request

from landline.backends.sqlite import SqliteStore
from landline.engine.loop import SystemClock
from landline.gates.auth import KeyAuthenticator, make_key
from landline.model.callers import SYSTEM
from landline.model.times import iso
from landline.web.caller import admit
from landline.web.door import Door

__all__ = ["costs_us", "main"]

_ROUNDS = 7
_SIGN_INS = 5_000
_BOUND_US = 50.0
"""PRF-9."""


async def _each_us(sign_in: Callable[[], Awaitable[Any]], count: int) -> float:
    await sign_in()
    rounds: list[float] = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(count):
            await sign_in()
        rounds.append((time.process_time() - began) / count * 1e6)
    return sorted(rounds)[_ROUNDS // 2]


async def costs_us(data: Path, count: int = _SIGN_INS) -> dict[str, float]:
    """Return microseconds of CPU a sign-in: the authenticator alone, and the whole door. `data` is an empty folder."""
    store, clock = SqliteStore(data / "landline.db"), SystemClock()
    await store.open()
    try:
        secret, row = make_key(tenant="bench", user="bench", at=iso(clock.now()))
        await store.add_key(SYSTEM, row)
        gate = KeyAuthenticator(store, clock)
        door = Door(authenticator=gate)
        names = (b"host", b"accept", b"user-agent", b"content-type", b"content-length", b"accept-encoding")
        headers = [*((name, b"x" * 20) for name in names), (b"authorization", f"Bearer {secret}".encode())]
        scope: dict[str, Any] = {"type": "http", "headers": headers, "query_string": b"limit=50"}

        async def alone() -> None:
            await gate.authenticate(secret)

        async def whole() -> None:
            await admit(Request({**scope}), door, ("runs:read", "runs:write"))

        return {"authenticate": await _each_us(alone, count), "admit": await _each_us(whole, count)}
    finally:
        await store.close()


def main() -> None:
    """Print the costs; exit 1 when one is over the promise."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else _SIGN_INS
    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(costs_us(Path(folder), count))
    for name, cost in costs.items():
        sys.stdout.write(f"{name} {cost:.1f} us\n")
    sys.exit(any(cost > _BOUND_US for cost in costs.values()))


if __name__ == "__main__":
    main()
