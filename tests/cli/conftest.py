"""The command line as people run it: a process in an empty folder, and a server on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ECHO = """
import landline

def shout(run):
    yield "you said "
    yield str(run.input)

async def ask(run):
    answer = await run.ask("Which colour?", kind="input")
    return f"you like {answer}"

echo = landline.agent(shout, name="echo", description="says it again")
asker = landline.agent(ask, name="asker")
"""


@dataclass
class Project:
    """A working directory with the command line in it."""

    folder: Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: str, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "landline.cli.main", *arguments]

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """Run a serving command on a free port until the block ends; yields its URL and the process."""
        port = free_port()
        process = subprocess.Popen(
            self.command(*arguments, "--port", str(port)),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, process)
            yield url, process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    import time

    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}: {process.communicate()[0]}")
        try:
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail("the server was not ready in time")


@pytest.fixture
def landline(tmp_path: Path) -> Project:
    """The command line in an empty project that has one file of agents."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"LANDLINE_|OPENAI_|ANTHROPIC_", name)
    }
    project = Project(tmp_path, kept)
    project.write("agents.py", ECHO)
    return project
