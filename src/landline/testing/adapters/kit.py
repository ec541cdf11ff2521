"""What an adapter under test provides: the same small agents, written in its framework, and a box that sees them work."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from landline.ports.adapter import Adapter, AgentSpec

__all__ = ["AdapterKit", "ToolBox"]


class ToolBox:
    """The world that a kit's tools act on: counts what was really done, and holds slow tools until they may go on."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()
        self.thread_started = threading.Event()
        self.release = threading.Event()
        self._lock = threading.Lock()

    def note(self, tool: str, argument: Any = None) -> None:
        """Say that `tool` did its work; safe from threads."""
        with self._lock:
            self.done.append((tool, argument))

    @property
    def counts(self) -> Counter[str]:
        """How often each tool did its work."""
        return Counter(tool for tool, _ in self.done)


class AdapterKit:
    """Fixture agents: derive from it. A method whose capability the adapter does not declare is never called.

    So none of them is abstract: a kit writes the agents its adapter can have, and the others raise NotImplementedError.
    """

    @property
    def adapter(self) -> Adapter:
        """The adapter under test."""
        raise NotImplementedError

    def echo(self) -> AgentSpec:
        """Answer with the earlier user texts and this one, in at least three deltas.

        After `a` and `b`, the whole answer to `c` is `Before: a. Before: b. You said: c`.
        """
        raise NotImplementedError

    def tools(self, box: ToolBox) -> AgentSpec:
        """Says `Let me see. `, calls `first` (1) and `second` (2) at once, then `third` (3), then says `Done.` and ends.

        Each tool notes itself with its argument and returns the argument times ten.
        """
        raise NotImplementedError

    def approval(self, box: ToolBox) -> AgentSpec:
        """Calls `look` ("a") and `delete` ("b") in parallel; `delete` needs approval; then says what `delete` gave.

        Both note themselves with their argument `name`; `delete` returns `deleted <name>`. The last text contains what
        the model was told of `delete`.
        """
        raise NotImplementedError

    def structured(self) -> AgentSpec:
        """Answers {"city": "Paris", "people": 2000000, "sights": ["Louvre", "Orsay"]}, streamed in small pieces."""
        raise NotImplementedError

    def reasoning(self) -> AgentSpec:
        """Thinks `Hm, ` and `so. ` in two deltas, then answers `42`."""
        raise NotImplementedError

    def settings(self) -> AgentSpec:
        """Answers the temperature that its model was called with, or another text when there was none."""
        raise NotImplementedError

    def sees(self) -> AgentSpec:
        """Answers `<media type> <number of bytes>` of the file that came with the user's text."""
        raise NotImplementedError

    def asks(self) -> AgentSpec:
        """Asks the user `Your name?` by the framework's own means, and answers `Hello, <name>.` at its end."""
        raise NotImplementedError

    def handoff(self) -> AgentSpec:
        """The agent `front` hands over to the agent `back`, which answers: `Back here.` (nothing else)."""
        raise NotImplementedError

    def failing(self, canary: str) -> AgentSpec:
        """Calls a tool that raises an exception whose text holds `canary`."""
        raise NotImplementedError

    def endless(self, box: ToolBox) -> AgentSpec:
        """Says `one ` and then waits for ever; sets `box.started`, and `box.stopped` when it is stopped."""
        raise NotImplementedError

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        """Calls an async tool that waits for ever; same signs as `endless`."""
        raise NotImplementedError

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        """Calls a sync tool that sets `box.thread_started` and waits for `box.release` in its thread."""
        raise NotImplementedError

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        """Calls the tool `pay` once, which notes itself and returns `paid`, then says what it was told."""
        raise NotImplementedError

    def context(self) -> AgentSpec:
        """Says the run's context, a string."""
        raise NotImplementedError

    def steered(self) -> AgentSpec:
        """Takes a step that the log shows and that may be taken twice, then looks for what the user said meanwhile.

        Answers `Also: <text>` with what it found; when it found nothing, its answer holds no `Also`.
        """
        raise NotImplementedError

    def brought(self) -> AgentSpec:
        """Calls the tool `greet`, which Landline brings, once with {"name": "Ada"}, then says what it was told.

        That is the tool's result, the message of its failure, or the reason of a denial.
        """
        raise NotImplementedError

    def wanted(self) -> AgentSpec:
        """Answers `You said: <text>`; where a schema of the answer is wanted, what `structured` answers, in small pieces.

        To the text `misfit` it answers then, as often as it is asked, {"city": 7}. Offered the tool `greet`, which
        Landline brings, it calls it first with {"name": "Ada"}, and answers after its result.
        """
        raise NotImplementedError

    def texts_of(self, native: bytes) -> Sequence[str]:
        """Return the user and assistant texts in the framework's own messages, in order."""
        raise NotImplementedError
