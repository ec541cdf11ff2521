"""The engine of tests/engine, for promises that a planted fault showed to be held by no test."""

from tests.engine.conftest import boot

__all__ = ["boot"]
