"""How often and how much at once: what the edge asks of the limits, for every request, message and stream (TRU-8).

Runs are counted where they are admitted, behind every face (`ports.gates`, ADR 0007); this is what lies before that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from landline.model.callers import Caller
from landline.model.limits import LimitState

__all__ = ["Release", "RequestLimits", "Tally"]

Release = Callable[[], None]
"""Gives a place back that was taken; a second call changes nothing."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was counted for one request or socket, by the name of the limit: the answer's headers tell it."""

    address: str
    states: dict[str, LimitState] = field(default_factory=dict[str, LimitState])


class RequestLimits(Protocol):
    """The limits as the edge sees them. Every verb that refuses raises RateLimited."""

    async def arrived(self, address: str) -> Tally:
        """Count a request by its client's address, before anybody knows whose it is."""
        ...

    async def not_signed_in(self, tally: Tally) -> None:
        """Note that the request came with a credential that does not hold."""
        ...

    async def admitted(self, tally: Tally, caller: Caller) -> None:
        """Count a request by its caller."""
        ...

    async def message(self, tally: Tally, caller: Caller) -> None:
        """Count a message on a socket, by its address and its caller."""
        ...

    async def stream(self, tally: Tally, caller: Caller | None) -> Release:
        """Take a place for what stays open, and return the way to give it back."""
        ...
