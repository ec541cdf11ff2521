"""What is told of a run on this wire: which stretch of its log, what came before, and frames with their places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["PROTOCOL", "Frame", "Past", "Segment", "sse"]

PROTOCOL: Final = "1.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One run of AG-UI: `run` on `thread`, as the client calls them, is the log of `log` after `after` up to the next wait.

    `anchor` is the message that is answered again, where the log does not begin with a message of its own.
    """

    thread: str
    run: str
    log: str
    after: int = 0
    parent: str | None = None
    anchor: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What was said on the thread before the run, as AG-UI messages, and the client's own ids for ours."""

    messages: Sequence[dict[str, Any]] = ()
    names: Mapping[str, str] = field(default_factory=dict[str, str])


class Frame(NamedTuple):
    """One event on the wire, in its place."""

    seq: int
    number: int
    body: bytes


def sse(frames: Sequence[Frame]) -> bytes:
    """Return frames as server-sent events."""
    return b"".join([b"id: %d.%d\ndata: %s\n\n" % frame for frame in frames])
