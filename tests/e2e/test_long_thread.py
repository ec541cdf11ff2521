"""A turn costs the same at the end of a long thread as at its beginning (THR-3, PRF-5)."""

from __future__ import annotations

import time

import pytest

from tests.e2e.calls import API, Process, percentile
from tests.e2e.conftest import Serve

TURNS = 1_050
WINDOW = 100


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.contract("THR-3", "PRF-5")
async def test_the_cost_of_a_turn_is_flat_over_1000_turns(serve: Serve) -> None:
    """Bytes handed to the disk and CPU, in windows of a hundred turns: from 10 on, and from 950 on."""
    server = serve()
    await server.start()
    process = Process(server.process.pid)
    thread = await server.thread("echo")
    written, cpu_ms, took_ms = [process.written], [process.cpu_ms], list[float]()
    async with server.connect() as line:
        for number in range(TURNS):
            body = {"input": f"turn {number:06}"}
            began = time.monotonic()
            answer = await line.ask("POST", f"{API}/threads/{thread}/runs", body=body)
            took_ms.append((time.monotonic() - began) * 1000)
            assert answer.status == 200, answer.body
            written.append(process.written)
            cpu_ms.append(process.cpu_ms)

    def spent(values: list[float] | list[int], first: int) -> float:
        return (values[first + WINDOW] - values[first]) / WINDOW

    bytes_early, bytes_late = spent(written, 10), spent(written, TURNS - WINDOW)
    cpu_early, cpu_late = spent(cpu_ms, 10), spent(cpu_ms, TURNS - WINDOW)
    time_early = percentile(took_ms[10 : 10 + WINDOW], 0.5)
    time_late = percentile(took_ms[TURNS - WINDOW :], 0.5)
    windows = [spent(written, first) for first in range(10, TURNS - WINDOW, WINDOW)]
    print(
        f"a turn at k=10 and k=1000: {bytes_early:.0f} and {bytes_late:.0f} bytes, "
        f"{cpu_early:.1f} and {cpu_late:.1f} ms CPU, {time_early:.1f} and {time_late:.1f} ms; "
        f"bytes by window: {', '.join(f'{window:.0f}' for window in windows)}"
    )
    assert abs(bytes_late / bytes_early - 1) < 0.05
    assert cpu_late < cpu_early * 1.2 + 1.0
    messages = await server.items(f"/threads/{thread}/messages?limit=200")
    assert len(messages) == 2 * TURNS
