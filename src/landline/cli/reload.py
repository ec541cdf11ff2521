"""Starting the server again when a file changes: a watcher here, the server in a child process of its own.

The child is a whole `landline serve`, so nothing of the old code is left in it, and its runs are taken up again by the
next one as after any restart.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

from landline.cli.exits import Exit
from landline.cli.output import say

SETTINGS_FILES = frozenset({".env", "landline.toml", "pyproject.toml"})
LEAVES_S = 60.0
POLL_MS = 300


def as_arguments(targets: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """Write options back as they are given on a command line; `grace_s` is `--grace` there."""
    written = list(targets)
    for name, value in options.items():
        option = name.removesuffix("_s").replace("_", "-")
        if isinstance(value, bool):
            written.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            written.append(f"--{option}={value}")
    return written


def serve_with_reload(arguments: Sequence[str], folder: Path) -> int:
    """Run `landline serve ARGUMENTS` and again whenever a Python or settings file below `folder` changes."""
    from watchfiles import DefaultFilter, watch

    class Sources(DefaultFilter):
        def __call__(self, change: object, path: str) -> bool:
            named = path.endswith(".py") or Path(path).name in SETTINGS_FILES
            return named and super().__call__(change, path)  # type: ignore[arg-type] - the stub names its enum

    stopped = Event()

    def leave(signum: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    child = _start(arguments)
    code = Exit.OK.value
    for changes in watch(
        folder,
        watch_filter=Sources(),
        stop_event=stopped,
        rust_timeout=POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        if not changes:
            continue
        names = sorted({os.path.relpath(path, folder) for _, path in changes})
        say(f"reload: {', '.join(names[:3])} changed")
        code = _stop(child)
        child = _start(arguments)
    code = _stop(child)
    return code if code > 0 else Exit.OK


def _start(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "landline.cli.main", "serve", *arguments]
    return subprocess.Popen(command)  # noqa: S603 - our own command with the user's own options


def _stop(child: "subprocess.Popen[bytes]") -> int:
    if child.poll() is None:
        child.terminate()
        try:
            return child.wait(LEAVES_S)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
