"""A store in memory, for tests and as the yardstick of the others: the port's meaning in plain dicts. Nothing survives."""

from landline.backends.memory.store import MemoryStore

__all__ = ["MemoryStore", "backend"]


def backend() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()
