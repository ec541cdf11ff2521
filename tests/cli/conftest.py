"""The command line as people run it: a process in an empty folder, and a server on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from landline.cli.main import main

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


COMMAND = [sys.executable, "-m", "landline.cli.main"]


@dataclass
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Project:
    """A working directory with the command line in it."""

    folder: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Done:
        """Run a command in this process: the same entry point, without the second that a new Python takes."""
        (self.folder / ".stdin").write_text(stdin)
        self.capture.readouterr()
        with self.patch.context() as patch, (self.folder / ".stdin").open() as typed:
            patch.setattr(sys, "stdin", typed)
            patch.setattr(sys, "argv", ["landline", *arguments])
            for name, value in variables.items():
                patch.setenv(name, value)
            try:
                main()
                code = 0
            except SystemExit as left:
                code = int(left.code or 0)
        shown = self.capture.readouterr()
        return Done(code, shown.out, shown.err)

    def process(self, *arguments: str) -> Done:
        """Run a command as a process of its own."""
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def serving(self, *arguments: str) -> AbstractContextManager[tuple[str, subprocess.Popen[str]]]:
        """Run a serving command here, see `serving`."""
        return serving(self.folder, *arguments)


@contextmanager
def serving(folder: Path, *arguments: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Run a serving command on a free port until the block ends; yields its URL and the process."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--port", str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url, process
    finally:
        if process.poll() is None:
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

    end = time.monotonic() + 40
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
def landline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Project]:
    """The command line in an empty project that has one file of agents."""
    for name in os.environ:
        if re.match(r"LANDLINE_|OPENAI_|ANTHROPIC_", name):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    project = Project(tmp_path, monkeypatch, capsys)
    project.write("agents.py", ECHO)
    yield project
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
