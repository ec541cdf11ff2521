"""The run of a sync function or generator: as `PlainRun`, with calls that wait instead of being awaited."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from landline.adapters.plain.run import PlainRun, RunFacts
from landline.adapters.plain.tape import Tape
from landline.adapters.plain.threads import Portal
from landline.model.events import Event
from landline.model.runs import QuestionKind

__all__ = ["SyncRun"]


class SyncRun(RunFacts):
    """One run of a sync function or generator, which runs in a thread of its own (ADP-8).

    Each method does what its namesake of `PlainRun` does. Sync steps and tools run in the function's own thread.
    """

    def __init__(self, tape: Tape, portal: Portal) -> None:
        super().__init__(tape)
        self._portal = portal
        self._run = PlainRun(tape)

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, idempotent: bool = False) -> Any:
        """Run `fn(*args)` once over all crashes and return its result as plain JSON data."""
        return self._portal.call(partial(self._run.step, name, fn, *args, idempotent=idempotent))

    def tool(self, name: str, fn: Callable[..., Any], /, **arguments: Any) -> Any:
        """Run `fn(**arguments)` as the tool `name`, under its owner's policy."""
        return self._portal.call(partial(self._run.tool, name, fn, **arguments))

    def mcp(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool of the agent's MCP servers."""
        return self._portal.call(partial(self._run.mcp, name, **arguments))

    def ask(
        self,
        prompt: str,
        *,
        kind: QuestionKind = "input",
        choices: Sequence[str] | None = None,
        tool: str | None = None,
        arguments: Any = None,
        expires_s: float | None = None,
    ) -> Any:
        """Ask a human and return the answer; the thread ends when there is none yet."""
        return self._portal.call(
            partial(
                self._run.ask,
                prompt,
                kind=kind,
                choices=choices,
                tool=tool,
                arguments=arguments,
                expires_s=expires_s,
            )
        )

    def inputs(self) -> list[str]:
        """Return what the user has said since the last look."""
        return self._portal.call(self._run.inputs)

    def text(self, text: str) -> None:
        """Say `text` as part of the open message."""
        self._portal.call(partial(self._run.text, text))

    def end_message(self) -> None:
        """Complete the message; what is said next is a new one."""
        self._portal.call(self._run.end_message)

    def output(self, so_far: Any) -> None:
        """Show the structured output so far."""
        self._portal.call(partial(self._run.output, so_far))

    def reasoning(self, text: str) -> None:
        """Show what is being thought, apart from the answer."""
        self._portal.call(partial(self._run.reasoning, text))

    def source(self, title: str, *, url: str | None = None, quote: str | None = None) -> None:
        """Name a source the answer rests on."""
        self._portal.call(partial(self._run.source, title, url=url, quote=quote))

    def progress(self, message: str | None = None, *, fraction: float | None = None) -> None:
        """Say how far the step, the tool or the run is."""
        self._portal.call(partial(self._run.progress, message, fraction=fraction))

    def emit(self, event: Event | str, data: Any = None) -> None:
        """Emit an event."""
        self._portal.call(partial(self._run.emit, event, data))

    def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        """Return (name, media type, bytes) of one of the caller's files."""
        return self._portal.call(partial(self._run.read_file, file_id))
