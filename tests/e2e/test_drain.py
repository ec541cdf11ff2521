"""A stop is said and not suffered: streams are closed with a hint, and everybody comes back (REL-4)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from tests.e2e.calls import Event, Server, asked, bounded, events_of, until
from tests.e2e.conftest import Serve
from tests.e2e.http import Frame, connect

STREAMS = 100


@pytest.mark.contract("REL-4", "EVT-4", "RUN-2")
async def test_sigterm_with_100_open_streams_ends_in_2_seconds_and_nobody_misses_anything(
    serve: Serve,
) -> None:
    server = serve()
    await server.start()
    begun = asyncio.Semaphore(0)

    async def read(number: int) -> tuple[str, list[Frame], bool]:
        frames: list[Frame] = []
        async with server.posted("words", {"words": 30, "pause_s": 0.05}) as line:
            run_id = line.headers["location"].rpartition("/")[2]
            async for frame in line.frames():
                frames.append(frame)
                if len(frames) == 5:
                    begun.release()
            return run_id, frames, line.status == 200

    reading = [asyncio.create_task(read(number)) for number in range(STREAMS)]
    for _ in range(STREAMS):
        await begun.acquire()
    began = time.monotonic()
    code = await server.process.stop(timeout_s=10)
    took_s = time.monotonic() - began
    assert code == 0, server.process.tail()
    assert took_s < 2.0
    read_before = await asyncio.gather(*reading)
    for _, frames, _ in read_before:
        assert frames[-1].retry_ms, f"the last frame is {frames[-1]}"
        assert frames[-1].seq is None
    await server.start()

    async def come_back(number: int) -> None:
        run_id, frames, _ = read_before[number]
        seen: list[Event] = events_of(frames)
        rest = await server.rest(run_id, after=len(seen))
        assert seen + rest == await server.log(run_id)
        assert rest[-1]["type"] == "run.completed"
        check_stream(seen + rest)

    await bounded(STREAMS, STREAMS, come_back)


@pytest.mark.contract("REL-4")
async def test_a_stopping_server_takes_no_new_runs_and_is_not_ready(serve: Serve) -> None:
    """With time to spare: what runs is finished, what comes is refused with a hint, and the exit is clean."""
    server = serve(grace_s=10)
    await server.start()
    run = await server.run("words", {"words": 30, "pause_s": 0.05})
    async with server.connect() as ready, server.connect() as posts:
        assert (await ready.ask("GET", "/readyz")).status == 200
        assert (await posts.ask("GET", "/livez")).status == 200
        server.process.terminate()
        await until(lambda: _not_ready(server), within_s=1.0)
        refused = await _post(server)
        assert refused in (None, 503)
    assert await server.process.ended(timeout_s=15) == 0
    await server.start()
    assert (await server.get(run["id"]))["status"] == "completed"


async def _not_ready(server: Server) -> bool:
    try:
        async with connect(server.port) as line:
            return (await line.ask("GET", "/readyz")).status != 200
    except OSError:
        return True


async def _post(server: Server) -> int | None:
    try:
        return (await server.ask("POST", "/runs", body=asked("echo", "hi"))).status
    except (OSError, EOFError):
        return None


@pytest.mark.contract("RUN-2", "REL-1")
async def test_a_wait_that_the_stop_cut_short_names_the_run(serve: Serve) -> None:
    """The client of a long wait learns where its run is, and finds it there after the restart."""
    server = serve()
    await server.start()
    body = asked("words", {"words": 20, "pause_s": 0.05}, mode="wait")
    waiting = asyncio.create_task(server.ask("POST", "/runs", body=body))
    running = await until(lambda: server.items("/runs?limit=5&status=running"))
    assert await server.process.stop(timeout_s=10) == 0
    answer = await waiting
    assert answer.status == 202
    assert answer.headers["location"].endswith(running[0]["id"])
    await server.start()
    log = await server.ended(running[0]["id"])
    assert log[-1]["type"] == "run.completed"
    check_stream(log)


STUBBORN = """
import asyncio, time
from pathlib import Path

import landline

YIELDS = Path(__file__).with_name("yields")


async def swallows(run):
    await run.text("begun")
    while not YIELDS.exists():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


async def sits(run):
    await run.text("begun")
    if not YIELDS.exists():
        await asyncio.to_thread(time.sleep, 60)


agents = [landline.agent(swallows, name="swallows"), landline.agent(sits, name="sits")]
"""


@pytest.mark.parametrize("agent", ["swallows", "sits"])
@pytest.mark.contract("REL-4", "REL-1")
async def test_an_agent_that_does_not_stop_does_not_keep_the_process(tmp_path: Path, agent: str) -> None:
    """Neither a swallowed cancel nor a busy thread holds up the exit, and the next start takes the run up."""
    target = tmp_path / "stubborn.py"
    target.write_text(STUBBORN)
    process = ServedProcess(target, data=tmp_path / "data", options=("--grace", "0"), warm=())
    server = Server(process)
    try:
        await server.start()
        run = await server.run(agent, "go")
        await until(lambda: _begun(server, run["id"]))
        began = time.monotonic()
        assert await process.stop(timeout_s=20) == 0, process.tail()
        assert time.monotonic() - began < 5
        (tmp_path / "yields").touch()
        await server.start()
        log = await server.ended(run["id"])
        assert log[-1]["type"] == "run.completed"
        assert any(event["type"] == "run.resumed" for event in log), [event["type"] for event in log]
        check_stream(log)
        assert await process.stop(timeout_s=20) == 0
    finally:
        process.kill()


async def _begun(server: Server, run_id: str) -> bool:
    return any(event["type"] == "text.delta" for event in await server.log(run_id))
