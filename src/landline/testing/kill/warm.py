"""Servers that start in a fraction of a second: forked from a process that has imported everything and done nothing.

Importing a web framework and an agent framework takes longer than what a kill test wants to wait between two kills. What
is forked runs the same command line as an installed `landline`, in a process of its own that dies of a SIGKILL alone.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["WarmProcess"]

PRELOAD = (
    "__main__",
    "landline.cli.main",
    "landline.app.serve",
    "landline.app.build",
    "landline.backends.sqlite",
    "alembic.command",
)
"""What every server imports; frameworks of the agents come on top."""


class WarmProcess:
    """One server forked from the warm process; the part of `subprocess.Popen` that `ServedProcess` needs."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        preload: Sequence[str],
        environ: Mapping[str, str],
        cwd: Path,
        output: Path,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        # Heeded by the first start of this process; later ones fork from what is warm already.
        context.set_forkserver_preload([*PRELOAD, *preload])
        self._process = context.Process(
            target=_serve, args=(list(words), dict(environ), str(cwd), str(output)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        pid = self._process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        """Return the exit code once it has ended."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Wait for its end."""
        self._process.join()
        return self._process.exitcode


def _serve(words: list[str], environ: dict[str, str], cwd: str, output: str) -> Any:
    """Become the server: its output, its folder, its environment, its command line."""
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["landline", *words]
    runpy.run_module("landline.cli", run_name="__main__", alter_sys=True)
