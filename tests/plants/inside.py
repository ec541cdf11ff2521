"""A pytest plugin for the runner: refuses to test anything but the copy of the tree that pytest was started in."""

from pathlib import Path

import pytest

import landline

NOT_THE_COPY = 66
"""The exit code that says so; pytest has none like it."""


def pytest_configure(config: pytest.Config) -> None:
    home = Path(landline.__file__).resolve()
    if config.rootpath.resolve() / "src" not in home.parents:
        pytest.exit(f"landline comes from {home}, not from {config.rootpath}", returncode=NOT_THE_COPY)
