"""The exit codes of every command; scripts may rely on them (CLI-2)."""

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    """Done."""
    FAILURE = 1
    """It was tried and failed: a run failed, a check found a fault, the server answered with an error."""
    USAGE = 2
    """The command line is wrong."""
    CONFIG = 3
    """A setting is wrong, or two agents have one name."""
    TARGET = 4
    """A target could not be loaded."""
    REFUSED = 5
    """Refused because it would not be safe or cannot work: an open bind off loopback, two workers on SQLite."""
    UNREACHABLE = 6
    """No server answers at the URL."""
    WAITING = 7
    """The run waits for an answer."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""
