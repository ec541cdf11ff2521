"""A stream as a list of frames, and what a fault leaves of it. Shared by both wires; sends nothing."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from landline.testing.upstream.faults import Cut, CutClean, Fault, Malformed, Partial, Stall, StreamError

__all__ = ["Ending", "Frame", "spoil"]

Ending = Literal["finish", "cut", "stall"]


class Frame(NamedTuple):
    """One write to the socket; `token` tells the paced ones from the frames around them."""

    data: bytes
    token: bool = False


def spoil(
    frames: Sequence[Frame], fault: Fault | None, *, broken: bytes, error: bytes
) -> tuple[list[Frame], Ending]:
    """Apply a fault to a whole stream: what is still sent, and how the stream then ends.

    `broken` and `error` are the wire's own malformed chunk and in-stream error. The frames after the last
    token (the finish reason among them) are never part of a stream broken off.
    """
    if not isinstance(fault, Partial):
        return list(frames), "finish"
    at = _place(frames, fault.after_tokens)
    match fault:
        case Malformed():
            return [*frames[:at], Frame(broken), *frames[at:]], "finish"
        case StreamError():
            return [*frames[:at], Frame(error)], "finish"
        case Stall():
            return list(frames[:at]), "stall"
        case Cut():
            return list(frames[:at]), "cut"
        case CutClean():
            return list(frames[:at]), "finish"
        case _:
            raise TypeError(f"no wire knows the fault {type(fault).__name__}")


def _place(frames: Sequence[Frame], after_tokens: int) -> int:
    places = [i for i, frame in enumerate(frames) if frame.token]
    if after_tokens < len(places):
        # Right after the last token sent; without any, right before the first.
        return places[after_tokens - 1] + 1 if after_tokens > 0 else places[0]
    return places[-1] + 1 if places else 1
