"""The conformance suite of `ports.Store`: whoever writes a store runs it, and Landline's own stores pass it.

    import pytest
    from landline.testing.stores import DurableStoreConformance

    class TestMyStore(DurableStoreConformance):
        @pytest.fixture
        def store_factory(self, tmp_path):
            return lambda: MyStore(tmp_path / "my.db")

`store_factory` makes a store object that is not open yet; called again it makes another one on the same database, as a
restarted process would. A store that forgets everything subclasses `StoreConformance`. The suite needs pytest and
pytest-asyncio in `auto` mode, and the marker `contract`, by which tests name the promise they hold.
"""

from landline.testing.stores.durable import DurableStoreConformance
from landline.testing.stores.kit import ALICE, BOB, MALLORY, Pen, ask, moment, new_thread, said, start
from landline.testing.stores.suite import StoreConformance

__all__ = [
    "ALICE",
    "BOB",
    "MALLORY",
    "DurableStoreConformance",
    "Pen",
    "StoreConformance",
    "ask",
    "moment",
    "new_thread",
    "said",
    "start",
]
