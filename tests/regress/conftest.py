"""The engine of tests/engine and the face of tests/faces, for promises that a planted fault showed no test to hold."""

from tests.engine.conftest import boot
from tests.faces.conftest import live, world

__all__ = ["boot", "live", "world"]
