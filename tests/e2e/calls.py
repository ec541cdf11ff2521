"""What the end-to-end tests ask of a server, in the words of the contract."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from landline.testing.kill import ServedProcess
from tests.e2e import http
from tests.e2e.http import Answer, Connection, Frame

API = "/api/v1"
BOUND_S = 30.0
TERMINAL = ("completed", "failed", "cancelled")
LAST = ("run.completed", "run.failed", "run.cancelled")

Event = dict[str, Any]
T = TypeVar("T")


class Server:
    """A server process and the requests to it."""

    def __init__(self, process: ServedProcess) -> None:
        self.process = process

    @property
    def port(self) -> int:
        return self.process.port

    async def start(self) -> None:
        await self.process.start()

    async def restart(self) -> None:
        """Stop in order and start again."""
        code = await self.process.stop()
        assert code == 0, self.process.tail()
        await self.process.start()

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        return http.connect(self.port)

    async def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await http.ask(self.port, method, API + path, body=body, headers=headers)

    async def run(self, agent: str, text: Any, *, mode: str = "background", **more: Any) -> dict[str, Any]:
        """Start a run, which must be accepted, and return it."""
        answer = await self.ask("POST", "/runs", body=asked(agent, text, mode=mode, **more))
        assert answer.status == (202 if mode == "background" else 200), answer.body
        return answer.json

    async def thread(self, agent: str) -> str:
        answer = await self.ask("POST", "/threads", body={"agent": agent})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def get(self, run_id: str) -> dict[str, Any]:
        answer = await self.ask("GET", f"/runs/{run_id}")
        assert answer.status == 200, answer.body
        return answer.json

    @asynccontextmanager
    async def posted(self, agent: str, text: Any, **more: Any) -> AsyncGenerator[Connection]:
        """Start a run in stream mode and hand out its open response."""
        body = asked(agent, text, mode="stream", **more)
        async with http.stream(self.port, f"{API}/runs", body=body) as line:
            assert line.status == 200
            yield line

    def followed(self, run_id: str, *, after: int | None = None) -> AbstractAsyncContextManager[Connection]:
        return http.stream(self.port, f"{API}/runs/{run_id}/events", after=after)

    async def rest(self, run_id: str, *, after: int | None = None) -> list[Event]:
        """Read a run's events after a cursor until the stream ends; nothing when there is nothing (204)."""
        async with asyncio.timeout(BOUND_S), self.followed(run_id, after=after) as line:
            assert line.status in (200, 204), line.status
            return events_of([frame async for frame in line.frames()])

    async def ended(self, run_id: str) -> list[Event]:
        """Return a run's whole log, once it has ended or waits."""
        return await self.rest(run_id)

    async def log(self, run_id: str) -> list[Event]:
        """Return what is stored of a run now, from JSON pages."""
        found: list[Event] = []
        while True:
            path = f"/runs/{run_id}/events?limit=200&after={len(found)}"
            answer = await self.ask("GET", path, headers={"Accept": "application/json"})
            assert answer.status == 200, answer.body
            if not answer.json["items"]:
                return found
            found += answer.json["items"]

    async def answer(self, run_id: str, questions: Sequence[Mapping[str, Any]], *, approve: bool) -> Answer:
        given = [{"question_id": question["question_id"], "approve": approve} for question in questions]
        return await self.ask("POST", f"/runs/{run_id}/answers", body={"answers": given})

    async def items(self, path: str) -> list[Any]:
        """Return the items of every page of a list."""
        found: list[Any] = []
        cursor = ""
        while True:
            answer = await self.ask("GET", f"{path}{cursor}")
            assert answer.status == 200, answer.body
            found += answer.json["items"]
            if not (following := answer.json.get("next_cursor")):
                return found
            cursor = f"&cursor={following}"


def asked(agent: str | None, text: Any, **more: Any) -> dict[str, Any]:
    """Return the body that starts a run; a plan is sent as JSON in the message."""
    said = text if isinstance(text, str) else json.dumps(text)
    return {**({"agent": agent} if agent else {}), "input": said, **more}


def events_of(frames: Sequence[Frame]) -> list[Event]:
    """Return the events of frames that have a place in the log; `id` and `seq` must agree."""
    placed = [frame for frame in frames if frame.seq is not None]
    assert all(frame.seq == frame.data["seq"] and frame.event == frame.data["type"] for frame in placed)
    return [frame.data for frame in placed]


async def first(line: Connection, count: int) -> list[Event]:
    """Read the first `count` events of a stream and leave the rest unread."""
    found: list[Frame] = []
    async with asyncio.timeout(BOUND_S):
        if count:
            async for frame in line.frames():
                found += [frame] if frame.seq is not None else []
                if len(found) == count:
                    break
    return events_of(found)


class Process:
    """What the system says of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def _read(self, name: str) -> str:
        with open(f"/proc/{self._pid}/{name}", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a pseudo-file
            return file.read()

    @property
    def rss_mb(self) -> float:
        """Memory in use."""
        line = next(line for line in self._read("status").splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    @property
    def peak_mb(self) -> float:
        """The most memory that was in use since the start, or since `forget_peak`."""
        line = next(line for line in self._read("status").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        """Let the peak begin anew at what is in use now."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")

    @property
    def written(self) -> int:
        """Bytes handed to write calls so far: files, and sockets whose traffic is the same each time."""
        line = next(line for line in self._read("io").splitlines() if line.startswith("wchar"))
        return int(line.split()[1])

    @property
    def cpu_ms(self) -> float:
        """CPU time so far, in user and system mode; ticks of 10 ms."""
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 10.0


async def bounded(count: int, at_once: int, work: Any) -> list[Any]:
    """Do `work(number)` for each number below `count`, so many at once, and return the results in order."""
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> Any:
        async with room:
            return await work(number)

    return await asyncio.gather(*(one(number) for number in range(count)))


async def until(look: Callable[[], Awaitable[T]], *, within_s: float = 5.0) -> T:
    """Look again and again until there is something, and return it; other processes ring no bell."""
    end = time.monotonic() + within_s
    while not (found := await look()):
        assert time.monotonic() < end, f"not within {within_s} s"
        await asyncio.sleep(0.02)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
