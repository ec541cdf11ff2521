"""Server-sent events as they arrive in pieces: those which are here together and differ in their text only become one."""

from landline.upstream.streams.shapes import Shape, learn

__all__ = ["Merging"]

_MOST_HELD = 256 * 1024
"""Bytes of one unfinished line that are kept back; a longer one, and all after it, passes as it comes."""
_MOST_SHAPES = 8
"""A stream has one for its text, one for its reasoning and one for each tool that is called at a time."""
_MOST_STRANGERS = 64
"""Events without a shape, none with one between them, after which a stream is no longer looked at."""


class Merging:
    """One stream of events. Bytes go in as they are read, and come out at once but for the last line when it has no end.

    Holding back the beginning of a line delays nothing, because no reader can use it before its end.
    """

    __slots__ = ("_held", "_open", "_shapes", "_strangers", "_untouched")

    def __init__(self) -> None:
        self._held = b""
        self._open = False
        """Whether the beginning of an event was passed on already."""
        self._shapes: list[Shape] = []
        self._strangers = 0
        self._untouched = False

    @property
    def clean(self) -> bool:
        """Whether nothing is held back, and all events that were passed on have ended."""
        return not self._held and not self._open

    def feed(self, data: bytes) -> bytes:
        """Return what a reader may have now that `data` was read: b"" when all of it is of one unfinished line."""
        if self._untouched:
            return data
        if self._held:
            data, self._held = self._held + data, b""
        gap = b"\n\n" if b"\r" not in data else _gap(data)
        if gap is None:
            self._untouched = True
            return data
        first = data.find(gap)
        if first < 0:
            return self._keep(b"", data)
        first += len(gap)
        if first == len(data):
            self._open = False
            return data
        pieces = data.split(gap)
        end = len(data) - len(pieces.pop())
        alone = b""
        if self._open:
            self._open = False
            alone = pieces.pop(0) + gap
        whole = data[len(alone) : end]
        if len(pieces) > 1:
            whole = self._merged(whole, pieces, gap)
        return self._keep(alone + whole, data[end:])

    def flush(self) -> bytes:
        """Return what was held back; no more comes."""
        held, self._held = self._held, b""
        return held

    def _keep(self, whole: bytes, rest: bytes) -> bytes:
        """Return what may pass of whole events and the beginning of one: a line that has ended is useful to some."""
        line_end = rest.rfind(b"\n") + 1
        if len(rest) - line_end > _MOST_HELD:
            self._untouched = True
            line_end = len(rest)
        self._held = rest[line_end:]
        if line_end:
            self._open = True
            return whole + rest[:line_end]
        return whole

    def _merged(self, data: bytes, pieces: list[bytes], gap: bytes) -> bytes:
        if self._shapes:
            quick = self._shapes[0].joined(data, len(pieces))
            if quick is not None:
                return quick
        events = [piece + gap for piece in pieces]
        out: list[bytes] = []
        at = 0
        while at < len(events):
            shape, rows = self._read(events, at)
            if shape is None or len(rows) < 2:
                out.append(events[at])
                at += 1
            else:
                out += shape.merged(rows)
                at += len(rows)
        return b"".join(out)

    def _read(self, events: list[bytes], at: int) -> tuple[Shape | None, list[list[bytes]]]:
        """Return the shape of the event at `at`, None where it has none, and the values of all of that shape from there on."""
        for place, shape in enumerate(self._shapes):
            rows = shape.read(events, at)
            if rows:
                if place:
                    self._shapes.insert(0, self._shapes.pop(place))
                self._strangers = 0
                return shape, rows
        shape = learn(events[at])
        if shape is None:
            self._strangers += 1
            self._untouched = self._strangers >= _MOST_STRANGERS
            return None, []
        self._shapes = [shape, *self._shapes[: _MOST_SHAPES - 1]]
        self._strangers = 0
        return shape, shape.read(events, at)


def _gap(data: bytes) -> bytes | None:
    """Return what ends an event here, or None when lines that do not all end in LF do not all end in CR LF."""
    pairs = data.count(b"\r\n")
    returns = data.count(b"\r") - data.endswith(b"\r")
    return b"\r\n\r\n" if pairs == returns == data.count(b"\n") else None
