"""The units that are installed: Landline's own and strangers' come through the same entry points (ADP-12)."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from landline.ports.adapter import Adapter

__all__ = ["adapters", "face"]

LAST = "plain"
"""The adapter that takes any function is asked after those of the frameworks."""


def adapters() -> list[Adapter]:
    """Return every installed adapter; loading one does not import its framework."""
    found = sorted(
        entry_points(group="landline.adapters"), key=lambda point: (point.name == LAST, point.name)
    )
    return [point.load() for point in found]


def face(name: str) -> Callable[..., Any]:
    """Return the function that makes the named face's router."""
    (point,) = entry_points(group="landline.faces", name=name)
    return point.load()
