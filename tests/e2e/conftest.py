"""Real servers as processes: one that the tests of a worker share, and ones of a test's own that it may kill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from landline.testing.kill import ServedProcess
from tests.e2e.calls import Server

AGENTS = Path(__file__).with_name("agents.py")

Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that no test of this kind may break."""
    process = ServedProcess(AGENTS, data=tmp_path_factory.mktemp("shared") / "data", options=("--grace", "0"))
    asyncio.run(process.start())
    yield Server(process)
    process.kill()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Make a server of the test's own, not yet started; settings by their environment names, in lower case."""
    made: list[ServedProcess] = []

    def make(*, prefix: tuple[str, ...] = (), grace_s: float = 0, **settings: object) -> Server:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        environ = {f"LANDLINE_{name.upper()}": str(value) for name, value in settings.items()}
        process = ServedProcess(
            AGENTS,
            data=folder / "data",
            environ=environ,
            options=("--grace", str(grace_s)),
            prefix=prefix,
            warm=(),
        )
        made.append(process)
        return Server(process)

    yield make
    for process in made:
        process.kill()
