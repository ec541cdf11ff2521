"""The guards of one segment: between the agent and its log.

What is streamed (text, reasoning) is held back as far as guards need; what comes whole (sources, events of the agent's own,
progress, questions) is judged whole; a structured answer is told once it is whole. What a guard blocks takes its message
back and ends the run as `guard_blocked`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from landline.gates.guards.files import FileLook, Unreadable
from landline.gates.guards.held import Cut, Held
from landline.gates.guards.judge import Judge, Words
from landline.gates.guards.pieces import Pieces
from landline.model.errors import AgentFailed, ErrorInfo, LandlineError, NotFound, Unavailable
from landline.model.events import (
    Custom,
    Event,
    FileAdded,
    GuardTripped,
    MessageCompleted,
    MessageRetracted,
    OutputPartial,
    ReasoningDelta,
    SourceAdded,
    TextDelta,
    ToolProgress,
)
from landline.model.runs import Answer
from landline.ports.adapter import UNTOLD, Ask, Finished, ToolCall, agrees
from landline.ports.gates import GatedRun, Withheld
from landline.ports.guards import Stage

__all__ = ["GuardedLine"]

logger = logging.getLogger(__name__)

_BLOCKED = "guard_blocked"
_CHANGED = "guard:changed"
_WORDS: dict[type[Event], tuple[str, ...]] = {
    Custom: ("name", "data"),
    FileAdded: ("name",),
    SourceAdded: ("title", "url", "quote"),
    ToolProgress: ("message",),
}
"""What of the events that come whole is said by the agent."""


class GuardedLine:
    """One segment's guard. The journal keeps which places of a message were redacted, never what was there."""

    def __init__(self, gated: GatedRun, judges: Mapping[Stage, Judge], files: FileLook | None = None) -> None:
        self._gated, self._line, self._files = gated, gated.line, files
        self._output, self._into, self._from = judges["output"], judges["tool_input"], judges["tool_output"]
        self._pieces = Pieces(self._output)
        self._texts: dict[str, Held] = {}
        self._thoughts: dict[str, Held] = {}
        self._partial: dict[str, Any] = {}
        self._whole: list[tuple[str, str]] = []
        self._kept: dict[str, int] = {}
        self._over: AgentFailed | None = None
        # Tasks of one agent may speak at once; a guard that asks a server must not be overtaken.
        self._turn = asyncio.Lock()

    # -- what the agent brings

    async def passing(self, event: Event) -> Sequence[Event]:
        """Return what may be told now; see the port."""
        if not self._output:
            return [event]
        async with self._turn:
            if self._over is not None:
                return ()
            try:
                return await self._pass(event)
            except Unavailable as error:
                self._stop(error.info)
                return ()

    async def _pass(self, event: Event) -> Sequence[Event]:
        match event:
            case TextDelta(message_id=id_, delta=delta):
                return await self._more(self._text(id_), id_, delta, TextDelta)
            case ReasoningDelta(message_id=id_, delta=delta):
                return await self._more(self._thought(id_), id_, delta, ReasoningDelta)
            case OutputPartial(message_id=id_, output=output):
                self._partial[id_] = output
                return ()
            case MessageCompleted():
                return await self._complete(event)
            case MessageRetracted(message_id=id_):
                self._forget(id_)
                return [event]
            case FileAdded() if self._files is not None:
                return await self._file(event, self._files)
            case _ if type(event) in _WORDS:
                return await self._said_whole(event)
            case _:
                return [event]

    def _text(self, message_id: str) -> Held:
        if message_id not in self._texts:
            kept = self._line.recorded(f"guard:{message_id}")
            cuts = msgspec.json.decode(kept, type=list[Cut]) if kept is not None else []
            before = self._line.told(message_id)
            self._texts[message_id] = Held(self._output, before, cuts)
            self._kept[message_id] = len(cuts)
        return self._texts[message_id]

    def _thought(self, message_id: str) -> Held:
        if message_id not in self._thoughts:
            self._thoughts[message_id] = Held(self._output)
        return self._thoughts[message_id]

    def _forget(self, message_id: str) -> None:
        for held in (self._texts, self._thoughts, self._partial):
            held.pop(message_id, None)

    async def _more(
        self, held: Held, message_id: str, delta: str | None, kind: type[TextDelta | ReasoningDelta]
    ) -> list[Event]:
        """Take more of a stream, or its end, and return what may be told."""
        judged = await (held.rest() if delta is None else held.more(delta))
        if judged.blocked_by is not None:
            return self._block(judged.blocked_by, judged.tripped, message_id)
        if judged.cuts:
            self._changed()
        return [*judged.tripped, *([kind(message_id=message_id, delta=judged.text)] if judged.text else [])]

    async def _complete(self, event: MessageCompleted) -> list[Event]:
        id_ = event.message_id
        told: list[Event] = []
        if id_ in self._thoughts:
            told += await self._more(self._thoughts[id_], id_, None, ReasoningDelta)
        streamed = id_ in self._texts or bool(self._line.told(id_))
        if streamed and self._over is None:
            told += await self._more(self._text(id_), id_, None, TextDelta)
        words = Words(data=None)
        if id_ in self._partial and self._over is None:
            words = await self._output.data(self._partial[id_])
            told += self._take(words, id_)
            told += [] if self._over else [OutputPartial(message_id=id_, output=words.data)]
        if self._over is not None:
            return [one for one in told if not isinstance(one, (TextDelta, ReasoningDelta))]
        text = event.text
        if streamed:
            text = self._text(id_).told
            self._whole.append((self.said(id_, text), text))
        elif words.changed:
            text = msgspec.json.encode(words.data).decode() if text else ""
        elif text and id_ not in self._partial:
            whole = await self._output.data(text)
            told += self._take(whole, id_)
            text = whole.data
        self._partial.pop(id_, None)
        return told if self._over else [*told, MessageCompleted(message_id=id_, text=text)]

    async def _said_whole(self, event: Event) -> list[Event]:
        names = [name for name in _WORDS[type(event)] if getattr(event, name) is not None]
        words = await self._output.data([getattr(event, name) for name in names])
        told = self._take(words, getattr(event, "message_id", None))
        if self._over is not None:
            return told
        if words.changed:
            event = msgspec.structs.replace(event, **dict(zip(names, words.data, strict=True)))
        if isinstance(event, Custom):
            whole = await self._pieces.blocked(event.name, event.data)
            if whole is not None and whole.blocked_by is not None:
                return [*told, *self._block(whole.blocked_by, whole.tripped)]
        return [*told, event]

    async def _file(self, event: FileAdded, files: FileLook) -> list[Event]:
        """Judge a file that the agent gives. It is told as it is, or not at all."""
        tripped: list[GuardTripped] = []
        try:
            refused = await files.refused(
                self._gated.caller, event.file_id, event.name, self._output, tripped
            )
        except NotFound:  # whoever reads the log cannot read it either: it has a name, and nothing else
            return await self._said_whole(event)
        except Unreadable:
            self._stop(ErrorInfo(code="guard_unreadable", message="The guards cannot look into a file."))
            return []
        if refused is None:
            return [*tripped, event]
        return self._block(refused.guard, tripped) if refused.action == "block" else [*tripped]

    def _take(self, words: Words, message_id: str | None) -> list[Event]:
        """Note what guards said of something that came whole."""
        if words.blocked_by is not None:
            return self._block(words.blocked_by, words.tripped, message_id)
        if words.changed:
            self._changed()
        return list(words.tripped)

    def _changed(self) -> None:
        self._line.record(_CHANGED, b"true")

    # -- the end of what may not be told

    def _block(
        self, guard: str, tripped: Sequence[GuardTripped], message_id: str | None = None
    ) -> list[Event]:
        self._stop(ErrorInfo(code=_BLOCKED, message=f"Response blocked: {guard}"))
        taken_back: list[Event] = []
        if message_id:
            self._forget(message_id)
            taken_back = [MessageRetracted(message_id=message_id, reason=_BLOCKED)]
        return [*taken_back, *tripped]

    def _stop(self, error: ErrorInfo) -> None:
        self._over = AgentFailed(error.message, code=error.code)
        self._gated.stop(error)

    def seen(self, event: Event) -> None:
        """Keep with a delta which places of its message were redacted: both are stored, or neither is."""
        if not isinstance(event, TextDelta):
            return
        held = self._texts.get(event.message_id)
        if held is not None and len(held.cuts) > self._kept.get(event.message_id, 0):
            self._kept[event.message_id] = len(held.cuts)
            self._line.record(f"guard:{event.message_id}", msgspec.json.encode(held.cuts))

    def said(self, message_id: str, told: str) -> str:
        """Return what the agent said where the log has `told`; see the port."""
        kept = self._line.recorded(f"guard:{message_id}")
        held = self._texts.get(message_id)
        cuts = held.cuts if held is not None else msgspec.json.decode(kept, type=list[Cut]) if kept else []
        pieces, at = list[str](), 0
        for cut in cuts:
            pieces += (told[at : cut.at], UNTOLD * cut.said)
            at = cut.at + cut.shown
        return "".join([*pieces, told[at:]])

    # -- tools and questions

    async def before_tool(self, call: ToolCall) -> None:
        """Judge the arguments. A call cannot be redacted without being another call: it is refused."""
        if self._over is not None:
            raise Withheld(_BLOCKED, "A guard has stopped the run.", arguments={})
        if not self._into:
            return
        words = await self._judged(self._into, call.arguments)
        for tripped in words.tripped:
            self._line.add(tripped)
        if words.blocked_by is not None or words.changed:
            self._changed()
            shown: Any = {} if words.blocked_by is not None else words.data
            raise Withheld(_BLOCKED, _refusal(words), arguments=shown)

    async def result(self, call: ToolCall, result: Any) -> Any:
        """Judge what a tool gave back; see the port."""
        if not self._from:
            return result
        words = await self._judged(self._from, result)
        for tripped in words.tripped:
            self._line.add(tripped)
        if words.blocked_by is not None:
            self._changed()
            raise Withheld(_BLOCKED, f"A guard ({words.blocked_by}) withheld the result of this tool.")
        if words.changed:
            self._changed()
        return words.data if words.changed else result

    async def failure(self, call: ToolCall, message: str) -> str:
        """Judge what a failed tool said; see the port."""
        if not self._from:
            return message
        words = await self._judged(self._from, message)
        for tripped in words.tripped:
            self._line.add(tripped)
        if words.blocked_by is not None or words.changed:
            self._changed()
        return str(words.data) if words.blocked_by is None else "The tool failed; a guard withheld why."

    async def asking(self, ask: Ask) -> Ask | Answer:
        """Judge a question: what it proposes to call may be refused, its words are the agent's output."""
        if self._into and ask.kind == "approval" and ask.arguments is not None:
            words = await self._judged(self._into, ask.arguments)
            if words.blocked_by is not None or words.changed:
                # A human is never asked to approve what may not be called, or another call than is shown.
                return Answer(question_id="", approve=False, reason=_refusal(words))
        if self._output:
            shown = {"prompt": ask.prompt, "choices": ask.choices}
            words = await self._judged(self._output, shown)
            for tripped in words.tripped:
                self._line.add(tripped)
            if words.blocked_by is not None:
                self._block(words.blocked_by, ())
                raise self._failed()
            if words.changed:
                self._changed()
                return _asked(ask, words.data)
        return ask

    async def _judged(self, judge: Judge, data: Any) -> Words:
        try:
            return await judge.data(data)
        except Unavailable as error:
            self._stop(error.info)
            raise

    def _failed(self) -> LandlineError:
        assert self._over is not None
        return self._over

    # -- the end

    async def finishing(self, finished: Finished) -> tuple[Sequence[Event], Finished]:
        """Judge the answer; see the port."""
        async with self._turn:
            if self._over is not None:
                raise self._failed()
            rest: list[Event] = []
            output = finished.output
            if self._output:
                for id_, held in list(self._texts.items()):
                    rest += await self._more(held, id_, None, TextDelta) if held.waiting else []
                    if self._over is not None:
                        for event in rest:
                            self._line.add(event)
                        raise self._failed()
                output = await self._answer(output)
            if self._line.recorded(_CHANGED) is None:
                return rest, finished
            # What the framework kept is the original: the next turn goes by what was told.
            return rest, Finished(output=output, model=finished.model)

    async def _answer(self, output: Any) -> Any:
        """Return the output as it may be told: what was told of it, where it was said."""
        if isinstance(output, str):
            for said, told in reversed(self._whole):
                if len(said) == len(output) and agrees(said, output):
                    return told
        words = await self._output.data(output)
        for tripped in words.tripped:
            self._line.add(tripped)
        if words.blocked_by is not None:
            self._over = AgentFailed(f"Response blocked: {words.blocked_by}", code=_BLOCKED)
            raise self._over
        if words.changed:
            self._changed()
        return words.data if words.changed else output

    def closed(self, last: str | None) -> None:
        """Nothing outlives the segment: what is still held is never told."""


def _refusal(words: Words) -> str:
    guard = words.blocked_by or next((one.guard for one in words.tripped if one.action == "redact"), "guard")
    return (
        f"A guard ({guard}) refuses the arguments of this call. Do without what it found, or tell the user."
    )


def _asked(ask: Ask, shown: Mapping[str, Any]) -> Ask:
    return replace(ask, prompt=str(shown["prompt"]), choices=shown["choices"])
