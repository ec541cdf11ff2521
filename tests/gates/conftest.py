"""The engine of `tests.engine`, with budgets."""

from tests.engine.conftest import boot

__all__ = ["boot"]
