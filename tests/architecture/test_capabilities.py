"""The documents say of each adapter what the code declares."""

import pytest

from tests.architecture.capabilities import table, written


@pytest.mark.contract("ADP-1")
def test_the_table_of_capabilities_is_what_the_adapters_declare() -> None:
    assert written() == table(), "run: .venv/bin/python -m tests.architecture.capabilities"
