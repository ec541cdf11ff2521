"""Processes on their cores, and what the system says they cost."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

__all__ = [
    "ROOT",
    "Process",
    "cores",
    "file_limit",
    "free_port",
    "fsync_ms",
    "on_core",
    "raise_file_limit",
    "run_once",
]

ROOT = Path(__file__).resolve().parents[1]
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STOP_WITHIN_S = 10.0
_FILES = 20_000


def cores() -> tuple[int | None, int | None]:
    """Return the core of the servers and the core of the instrument; None where there is but one, or no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[0]) if len(usable) > 1 else (None, None)


@contextmanager
def on_core(core: int | None) -> Generator[None]:
    """Run this process, and what it starts meanwhile, on one core. What was started stays there."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def raise_file_limit() -> None:
    """Allow as many open sockets as 10,000 readers need on either side, or as many as the system gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def file_limit() -> int:
    """Return how many files and sockets this process, and each that it starts, may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft


def run_once(arguments: Sequence[str], core: int | None, env: Mapping[str, str]) -> tuple[float, str]:
    """Run Python with these arguments to its end; return the seconds it took and what it printed."""
    with on_core(core):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return took, done.stdout.strip()


def fsync_ms(folder: Path) -> float:
    """Return what one small durable write costs on the disk of `folder` (median)."""
    path, times = folder / "fsync.probe", list[float]()
    with path.open("wb") as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return median(times) * 1000


class Process:
    """A server of ours: started on a core, watched, and stopped by its own id."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        core: int | None,
        env: Mapping[str, str],
        log: Path,
        python: str = sys.executable,
        cwd: Path = ROOT,
    ) -> None:
        self._log = log
        with on_core(core), log.open("ab") as out:
            self.started_at = time.monotonic()
            self._child = subprocess.Popen(
                [python, *arguments], cwd=cwd, env={**os.environ, **env}, stdout=out, stderr=out
            )

    @property
    def pid(self) -> int:
        """The process, without its children."""
        return self._child.pid

    def wait_ready(self, port: int, path: str, timeout_s: float = 60.0) -> float:
        """Wait for a 200, and return the seconds since the start.

        Raises:
            RuntimeError: It ended, or is not ready in time; with the end of its log.
        """
        ask = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
        while (waited := time.monotonic() - self.started_at) < timeout_s:
            if self._child.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2.0) as sock:
                    sock.sendall(ask)
                    if b" 200 " in sock.recv(64):
                        return time.monotonic() - self.started_at
            except OSError:
                pass
            time.sleep(0.01 if waited < 10 else 0.1)
        said = self._log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"the server on port {port} is not ready:\n{said}")

    def cpu_s(self) -> float:
        """Return the CPU seconds that the process and its children have used so far, to the nanosecond."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self._family(self._child.pid))

    def rss_kb(self) -> float:
        """Return the resident memory of the process and its children now."""
        pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self._family(self._child.pid))
        return sum(int(count) for count in pages) * _PAGE / 1024

    def pss_kb(self) -> float:
        """Return the memory of the process and its children now, what is shared with others by its share.

        Where the system does not tell it, the resident memory.
        """
        found = 0.0
        for pid in self._family(self._child.pid):
            try:
                told = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                return self.rss_kb()
            found += float(told.partition("\nPss:")[2].split()[0])
        return found

    def written(self) -> int:
        """Return the bytes that the process and its children have caused to be written to a disk so far."""
        told = (Path(f"/proc/{pid}/io").read_text() for pid in self._family(self._child.pid))
        return sum(int(one.partition("\nwrite_bytes:")[2].split()[0]) for one in told)

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._child.poll() is None

    def wait_quiet(self, timeout_s: float = 30.0) -> None:
        """Wait until the server has worked off what the last load left behind."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            before = self.cpu_s()
            time.sleep(0.3)
            if self.cpu_s() - before <= 0.02:
                return

    def stop(self) -> None:
        """Stop the process, politely first."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    @classmethod
    def _family(cls, pid: int) -> list[int]:
        found = [pid]
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                children = (task / "children").read_text().split()
            except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
                continue
            for child in children:
                found += cls._family(int(child))
        return found


def _cpu_clock(pid: int) -> int:
    # What clock_getcpuclockid(3) of Linux gives; Python has it for threads only.
    return (~pid << 3) | 2
