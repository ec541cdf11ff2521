"""Where a caller stands with a limit: what answers tell beside their content."""

from typing import NamedTuple

__all__ = ["LimitState"]


class LimitState(NamedTuple):
    """One limit for one caller, now. `window_s` is None for what may go on at once; then `reset_s` is a guess.

    `remaining` are what is left of `quota`; in `reset_s` seconds at the latest there is more.
    """

    name: str
    quota: int
    window_s: int | None
    remaining: int
    reset_s: int
