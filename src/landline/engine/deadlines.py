"""How long a run may take, and how long its agent may be silent (RUN-10)."""

from collections.abc import Callable

from landline.engine.line import RunLine
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
    line = segment.line
    if line is None or (end is None and idle_s is None):
        return lambda: None
    if end is not None:
        segment.run_log.spent = lambda: segment.spent_s
    return _Watch(segment, line, end=end, idle_s=idle_s, stop=stop).call_off


class _Watch:
    """The watch over one segment, by one timer at a time. Not closures that know each other: nothing would free them at once."""

    def __init__(
        self,
        segment: Segment,
        line: RunLine,
        *,
        end: float | None,
        idle_s: float | None,
        stop: Callable[[str], None],
    ) -> None:
        self._run_log, self._clock, self._line = segment.run_log, segment.clock, line
        self._end, self._idle_s, self._stop = end, idle_s, stop
        self._timer = self._armed()

    def call_off(self) -> None:
        self._timer.cancel()

    def _busy(self) -> bool:
        return bool(self._line.tools_running) or self._run_log.behind

    def _check(self) -> None:
        now = self._clock.steady()
        if self._end is not None and now >= self._end:
            self._stop("deadline")
        elif self._idle_s is not None and not self._busy() and now >= self._line.last_activity + self._idle_s:
            self._stop("idle")
        else:
            self._timer = self._armed()

    def _armed(self) -> Timer:
        now = self._clock.steady()
        due = [] if self._end is None else [self._end]
        if self._idle_s is not None:
            due.append(max(self._line.last_activity, now if self._busy() else 0.0) + self._idle_s)
        return self._clock.call_later(max(0.0, min(due) - now), self._check)
