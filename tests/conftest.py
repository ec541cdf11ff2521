"""What all tests share."""

import sys
from collections.abc import Iterator

import pytest

pytest_plugins = ["landline.testing.adapters.matrix"]


@pytest.fixture(autouse=True)
def own_path() -> Iterator[None]:
    """What a test put on the path is gone after it: servers forked later would import from there."""
    before = list(sys.path)
    yield
    sys.path[:] = before
