"""The store suite on every store Landline ships."""

from pathlib import Path

import pytest

from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.testing.stores import DurableStoreConformance, StoreConformance
from landline.testing.stores.kit import StoreFactory


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return MemoryStore


class TestSqliteStore(DurableStoreConformance):
    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        return lambda: SqliteStore(tmp_path / "landline.db")
