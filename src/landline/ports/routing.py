"""Choosing an agent for an input (RUN-11), and running several at once: small ports beside `Runs`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.ports.runs import Started, StartRun

__all__ = ["AUTO", "Fanout", "Router"]

AUTO = "auto"
"""The agent name that asks the router to choose; no agent may have it."""

Router = Callable[[str, Caller, Sequence[AgentInfo]], "Awaitable[str | None] | str | None"]
"""Gets the input's text, the caller and the agents the caller may use, in the order they were registered.

Returns the name of one of them, or None when none fits.
"""


class Fanout(Protocol):
    """Several agents at one input."""

    async def start(self, caller: Caller, requests: Sequence[StartRun]) -> list[Started | LandlineError]:
        """Accept one run for each request, which names its agent and no thread; each gets a thread of its own.

        What can be refused is refused for all before the first is accepted. An error in the list is one that came after
        that: this run was not stored, the others go on. Requests may share a key: a repeat attaches to the same runs,
        and accepts those that were not stored.

        Raises:
            Invalid: No agent, too many, or one named twice.
            LandlineError: Whatever `Runs.start` raises, and nothing was written.
        """
        ...
