"""The tokens of the scripted model: each says its place in the answer and when it was written.

So a reader needs no schedule to know how late a token is, and a server that loses, repeats or reorders text is caught,
however it cuts the text into pieces. The clock is CLOCK_MONOTONIC, which all processes of a machine share.
"""

import time
from array import array

__all__ = ["WIDTH", "Answer", "now_us", "prompt", "token"]

WIDTH = 16
_CLOCK_WRAPS_US = 10**10


def now_us() -> int:
    return time.monotonic_ns() // 1000 % _CLOCK_WRAPS_US


def token(place: int, at_us: int) -> bytes:
    return b"%04d:%010d." % (place, at_us)


def prompt(tokens: int, interval_ms: int) -> str:
    """Return the user's message: the order that the scripted model answers."""
    return f"Say tokens={tokens} interval_ms={interval_ms} please."


class Answer:
    """One answer as it arrives: checks its text, and keeps how late each token was."""

    __slots__ = ("_rest", "count", "delays_us", "first_written_us", "interval_us", "lags_us", "wrong")

    def __init__(self, interval_ms: int = 0) -> None:
        self.count = 0
        self.wrong = ""
        self.delays_us = array("q")
        self.lags_us = array("q")
        """How late the scripted model itself was: the instrument's own fault."""
        self.interval_us = interval_ms * 1000
        self.first_written_us = 0
        self._rest = b""

    def feed(self, piece: bytes, at_us: int) -> None:
        """Take the next piece of text, which came at `at_us`."""
        text = self._rest + piece if self._rest else piece
        whole = len(text) // WIDTH * WIDTH
        for start in range(0, whole, WIDTH):
            try:
                place, written = int(text[start : start + 4]), int(text[start + 5 : start + 15])
            except ValueError:
                self.wrong = f"{text[start : start + WIDTH]!r} is no token"
                return
            if place != self.count:
                self.wrong = self.wrong or f"token {place} came in the place of {self.count}"
            if not self.count:
                self.first_written_us = written
            self.delays_us.append((at_us - written) % _CLOCK_WRAPS_US)
            if self.interval_us:
                self.lags_us.append(written - self.first_written_us - self.count * self.interval_us)
            self.count += 1
        self._rest = text[whole:]

    def fault(self, tokens: int) -> str:
        """Say what is wrong with the answer as a whole, or nothing."""
        if not self.wrong and (self.count != tokens or self._rest):
            return f"{self.count} of {tokens} tokens and {len(self._rest)} bytes"
        return self.wrong
