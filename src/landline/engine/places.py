"""Waiting for a place: what a gate may ask of a segment before it begins (RES-6)."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from landline.engine.deadlines import ends_at
from landline.engine.segment import Segment
from landline.model.runs import Run
from landline.ports.adapter import AgentSpec
from landline.ports.gates import Begins, Gate, Queueing, also

__all__ = ["place", "shown"]


async def place(
    segment: Segment,
    spec: AgentSpec,
    gates: Sequence[Gate],
    *,
    deadline_s: float | None,
    stop: Callable[[str], None],
) -> None:
    """Return when every queue lets the segment begin; it calls `stop` with `deadline` when the run's time is over meanwhile.

    Raises:
        LandlineError: It waited for too long.
    """
    claim = segment.claim
    for gate in gates:
        if not also(type(gate), Queueing):
            continue
        turn = cast("Queueing", gate).enter(
            Begins(run=claim.run, caller=claim.caller, again=segment.fold.attempt > 0)
        )
        if turn is None:
            continue
        end = ends_at(segment, spec, deadline_s)
        left_s = None if end is None else max(0.0, end - segment.clock.steady())
        timer = None if left_s is None else segment.clock.call_later(left_s, lambda: stop("deadline"))
        segment.queued = True
        try:
            await turn
        finally:
            segment.queued = False
            if timer is not None:
                timer.cancel()


def shown(run: Run, segment: Segment | None) -> Run:
    """Return the run as its owner sees it: stored as running, it is queued while its segment waits for a place."""
    if segment is None or not segment.queued or run.status != "running":
        return run
    return msgspec.structs.replace(run, status="queued")
