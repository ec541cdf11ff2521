"""How long a run may take, and how long its agent may be silent (RUN-10)."""

from collections.abc import Callable

from landline.engine.segment import Segment
from landline.ports.adapter import AgentSpec
from landline.ports.clock import Timer

__all__ = ["ends_at", "watch"]


def ends_at(segment: Segment, spec: AgentSpec, deadline_s: float | None) -> float | None:
    """Return the steady moment at which the run's time is over; see `watch`."""
    own = spec.deadline_s if spec.deadline_s is not None else deadline_s
    left = [d for d in (segment.claim.deadline_s, own) if d is not None]
    return min(left) - segment.claim.spent_s + segment.began if left else None


def watch(
    segment: Segment,
    spec: AgentSpec,
    *,
    deadline_s: float | None,
    idle_s: float | None,
    stop: Callable[[str], None],
) -> Callable[[], None]:
    """Call `stop` with `deadline` or `idle` when the segment's time is over; returns how to call the watch off.

    Args:
        deadline_s: Running time of the whole run, unless the agent has its own; the request's counts too. Time spent
            waiting for answers does not.
        idle_s: Longest silence of the agent, unless it has its own. A tool that runs and a disk that does not take what was said are no
            silence of the agent's.
    """
    end = ends_at(segment, spec, deadline_s)
    idle_s = spec.idle_timeout_s if spec.idle_timeout_s is not None else idle_s
    line, clock = segment.line, segment.clock
    if line is None or (end is None and idle_s is None):
        return lambda: None
    if end is not None:
        segment.run_log.spent = lambda: segment.spent_s
    timers: list[Timer] = []

    def busy() -> bool:
        return bool(line.tools_running) or segment.run_log.behind

    def check() -> None:
        now = clock.steady()
        if end is not None and now >= end:
            stop("deadline")
        elif idle_s is not None and not busy() and now >= line.last_activity + idle_s:
            stop("idle")
        else:
            arm(now)

    def arm(now: float) -> None:
        due = [] if end is None else [end]
        if idle_s is not None:
            due.append(max(line.last_activity, now if busy() else 0.0) + idle_s)
        timers[:] = [clock.call_later(max(0.0, min(due) - now), check)]

    arm(clock.steady())

    def call_off() -> None:
        for timer in timers:
            timer.cancel()

    return call_off
