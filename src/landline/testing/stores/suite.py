"""The whole suite, put together from one class per subject."""

from collections.abc import AsyncIterator

import pytest

from landline.ports.store import Store
from landline.testing.stores.audit import AuditPromises
from landline.testing.stores.documents import DocumentPromises
from landline.testing.stores.kit import StoreFactory
from landline.testing.stores.log import LogPromises
from landline.testing.stores.messages import MessagePromises
from landline.testing.stores.ownership import OwnershipPromises
from landline.testing.stores.people import PeoplePromises
from landline.testing.stores.questions import QuestionPromises
from landline.testing.stores.runs import RunPromises
from landline.testing.stores.takeover import TakeoverPromises
from landline.testing.stores.threads import ThreadPromises
from landline.testing.stores.usage import UsagePromises

__all__ = ["StoreConformance"]


class StoreConformance(
    ThreadPromises,
    MessagePromises,
    RunPromises,
    LogPromises,
    TakeoverPromises,
    QuestionPromises,
    OwnershipPromises,
    PeoplePromises,
    DocumentPromises,
    AuditPromises,
    UsagePromises,
):
    """Everything a store promises while it is open."""

    @pytest.fixture
    async def store(self, store_factory: StoreFactory) -> AsyncIterator[Store]:
        """An open store on an empty database."""
        store = store_factory()
        await store.open()
        yield store
        await store.close()
