"""The gates that the settings ask for, in the order of ADR 0007: limits, budgets, guards."""

from collections.abc import Sequence

from landline.app.settings import Settings
from landline.gates.limits import Limiter, RunLimits
from landline.ports.clock import Clock
from landline.ports.gates import Gate
from landline.ports.store import Store

__all__ = ["gates_of"]


def gates_of(
    settings: Settings, store: Store, clock: Clock, limiter: Limiter | None = None
) -> Sequence[Gate]:
    """Return the gates of runs; none when nothing is limited or guarded."""
    gates: list[Gate] = []
    if limiter is not None:
        gates.append(RunLimits(limiter, store, clock))
    return gates
