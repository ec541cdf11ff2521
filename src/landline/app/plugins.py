"""The units that are installed: Landline's own and strangers' come through the same entry points (ADP-12)."""

import logging
from collections.abc import Callable
from typing import Any

from landline.app.installed import points
from landline.ports.adapter import Adapter

__all__ = ["adapters", "face"]

logger = logging.getLogger(__name__)

LAST = "plain"
"""The adapter that takes any function is asked after those of the frameworks."""


def adapters() -> list[Adapter]:
    """Return every installed adapter; loading one does not import its framework.

    A stranger's package that cannot be loaded is said in the log, and the others are served (ADR 0008).
    """
    found = sorted(points("landline.adapters"), key=lambda point: (point.name == LAST, point.name))
    loaded: list[Adapter] = []
    for point in found:
        try:
            loaded.append(point.load())
        except Exception:  # a package is anybody's code, and one that is broken must not stop the others
            package = point.dist.name if point.dist else "a package"
            logger.exception("the adapter %s of %s cannot be loaded", point.name, package)
    return loaded


def face(name: str) -> Callable[..., Any]:
    """Return the function that makes the named face's router."""
    (point,) = points("landline.faces").select(name=name)
    return point.load()
