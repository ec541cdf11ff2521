"""A Redis of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.redis import OwnRedis


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    own = OwnRedis(tmp_path)
    await own.start()
    yield own
    own.kill()
