"""A turn as the terminal shows it: text as it comes, tools and questions in lines of their own."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from landline.cli.exits import Exit
from landline.cli.output import printable, say, show_json

ENDED = {
    "run.completed": Exit.OK,
    "run.failed": Exit.FAILURE,
    "run.cancelled": Exit.FAILURE,
    "run.waiting": Exit.WAITING,
}
"""The events a reading ends with, and what they mean for the exit code."""

ARGUMENT_CHARS = 200


class Peer(Protocol):
    """Whoever runs the agent: a server over HTTP, or this process."""

    async def agents(self) -> list[dict[str, Any]]: ...
    async def start(self, agent: str | None, text: str, thread_id: str | None = None) -> dict[str, Any]: ...
    async def get(self, run_id: str) -> dict[str, Any]: ...
    def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]: ...
    async def answer(self, run_id: str, answers: Sequence[dict[str, Any]]) -> None: ...
    async def cancel(self, run_id: str) -> None: ...
    async def waiting(self, thread_id: str) -> list[dict[str, Any]]: ...


@dataclass(slots=True)
class Shown:
    """What was shown of a run: the last event's type and seq, and the questions that were left open."""

    last: str = ""
    seq: int = 0
    questions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


async def show_events(events: AsyncIterator[dict[str, Any]]) -> Shown:
    """Print each event as a line of JSON."""
    shown = Shown()
    async for event in events:
        shown.last, shown.seq = event["type"], event["seq"]
        show_json(event, line=True)
    return shown


async def show_text(events: AsyncIterator[dict[str, Any]], *, after: int = 0) -> Shown:
    """Print the answer to stdout as it streams, and what happens beside it to stderr."""
    shown, text = Shown(seq=after), False
    async for event in events:
        shown.last, shown.seq = event["type"], event["seq"]
        if event["type"] == "text.delta":
            sys.stdout.write(printable(event["delta"]))
            sys.stdout.flush()
            text = True
            continue
        if event["type"] == "message.completed" and text:
            print(flush=True)
        elif event["type"] == "run.completed" and not text:
            print(_plain(event.get("output")), flush=True)
        elif event["type"] == "run.waiting":
            shown.questions = event["questions"]
        if line := _beside(event):
            say(line)
    return shown


def _beside(event: dict[str, Any]) -> str | None:
    """Return the line about an event that is not the answer itself."""
    match event["type"]:
        case "tool.called":
            return f"  > {event['name']}({_short(event.get('arguments'))})"
        case "tool.failed":
            return f"  ! {printable(event['error']['message'])}"
        case "agent.changed":
            return f"  > {event['from']} hands over to {event['to']}"
        case "message.retracted":
            return f"  ! what was just shown does not count: {event['reason']}"
        case "run.resumed" if event.get("drop_message_id"):
            return "  ! the answer was cut by a crash and is written again"
        case "run.failed":
            return f"error: {printable(event['error']['message'])}\n  code:  {event['error']['code']}"
        case "run.cancelled":
            return f"stopped by {event['by']}"
        case _:
            return None


def _plain(output: Any) -> str:
    return printable(output) if isinstance(output, str) else json.dumps(output, indent=2, ensure_ascii=False)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= ARGUMENT_CHARS else text[:ARGUMENT_CHARS] + "…")


def exit_code_of(shown: Shown) -> Exit:
    """Return the exit code of a command that showed a run."""
    return ENDED.get(shown.last, Exit.FAILURE)
