"""Where a function's code is: outside of all calls, or inside one step or tool.

A finished step or tool is not run again, so what happens inside it is counted by itself and kept with it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Scope", "current", "inside"]


@dataclass(slots=True)
class Scope:
    """One running step or tool: the text and the last partial output that came from inside it.

    `again`: it, or a call around it, was begun before a crash, so it may say something else this time.
    """

    call_id: str
    outer: "Scope | None"
    again: bool
    said: dict[int, str] = field(default_factory=dict[int, str])
    outputs: list[Any] = field(default_factory=list[Any])

    def hear(self, message: int, text: str) -> None:
        """Note text of the run's message number `message`; the calls around this one contain it too."""
        self.said[message] = self.said.get(message, "") + text
        if self.outer is not None:
            self.outer.hear(message, text)

    def see(self, output: Any) -> None:
        """Note a partial output made in here."""
        self.outputs[:] = [output]
        if self.outer is not None:
            self.outer.see(output)


# A context variable, because parallel steps of one run are tasks or threads of their own.
_current: ContextVar[Scope | None] = ContextVar("landline_plain_scope", default=None)


def current() -> Scope | None:
    """Return the innermost running call of this task or thread."""
    return _current.get()


@contextmanager
def inside(scope: Scope | None) -> Generator[None]:
    """Be inside `scope` for a while."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
