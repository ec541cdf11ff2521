"""What limits cost a request: the CPU of counting it under three rules and telling what is left (PRF-9: at most 30 us).

    python -m bench.limits

prints, in microseconds of CPU a request, what the door takes without limits and with them, and the difference. The windows
are warm and full of ten thousand other callers; counting is in this process.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

from landline.engine.loop import SystemClock
from landline.gates.limits import Limiter, parse_all
from landline.model.callers import Caller
from landline.web.caller import admit
from landline.web.client import Proxies
from landline.web.door import Door
from landline.web.limits import settled

__all__ = ["cost_us", "main"]

RULES = ("ip: 100000/minute requests", "user: 100000/minute requests", "tenant: 100000/hour requests")
_CALLERS = 10_000
_ADDRESSES = 2_000
_REQUESTS = 5_000
_REPEATS = 7


class _Known:
    """An authenticator that costs nothing: what is measured is the rest."""

    open = False

    def __init__(self) -> None:
        self.callers = [Caller(tenant="bench", user=f"user {number}") for number in range(_CALLERS)]
        self.next = 0

    async def authenticate(self, credential: str | None) -> Caller:
        self.next = (self.next + 1) % _CALLERS
        return self.callers[self.next]


def _scope(number: int) -> dict[str, Any]:
    address = f"198.18.{number >> 8 & 255}.{number & 255}"
    headers = [(b"host", b"localhost"), (b"x-api-key", b"key"), (b"x-forwarded-for", address.encode())]
    return {"type": "http", "headers": headers, "client": ("127.0.0.1", 1), "query_string": b"", "path": "/"}


async def _once(door: Door, count: int) -> float:
    """Return microseconds of CPU a request."""
    scopes = [_scope(number % _ADDRESSES) for number in range(count)]
    began = time.process_time()
    for scope in scopes:
        connection = HTTPConnection(scope)
        await admit(connection, door, ())
        response = Response(b"{}")
        if door.limits is not None:
            await settled(response, connection, door)
    return (time.process_time() - began) / count * 1e6


async def cost_us(rules: Sequence[str] = RULES) -> tuple[float, float]:
    """Return microseconds of CPU a request without limits and with `rules`, the least of a few times."""
    limiter = Limiter(parse_all(rules), clock=SystemClock(), failures=(300, 60))
    bare = Door(authenticator=_Known())
    limited = Door(authenticator=_Known(), limits=limiter, proxies=Proxies(["127.0.0.0/8"]))
    await _once(limited, _CALLERS)
    found = [(await _once(bare, _REQUESTS), await _once(limited, _REQUESTS)) for _ in range(_REPEATS)]
    return min(one for one, _ in found), min(two for _, two in found)


def main() -> None:
    """Print the figures."""
    without, having = asyncio.run(cost_us())
    sys.stdout.write(
        f"without {without:.1f} us, with {having:.1f} us, limits {having - without:.1f} us a request\n"
    )


if __name__ == "__main__":
    main()
