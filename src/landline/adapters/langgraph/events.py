"""From the framework's stream to the log's events: one instance per segment.

A message is told from its first text on, and ends when the journal has its response. After a crash, what an earlier
segment said and the graph will not say again stays; what it will say again is taken back first.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from landline.adapters.langgraph.journal import Journal
from landline.adapters.langgraph.marks import Barrier, Watch, Whole, speaker_of
from landline.adapters.langgraph.values import dump_message, load_messages, plain
from landline.model.events import (
    AgentChanged,
    Custom,
    Event,
    MessageCompleted,
    MessageRetracted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    SourceAdded,
    TextDelta,
)
from landline.model.ids import new_id
from landline.ports.adapter import Line

__all__ = ["Speech", "json_text"]


class _Open:
    """A message that is being spoken, by the node `within`."""

    def __init__(self, within: str) -> None:
        self.id = new_id()
        self.within = within
        self.text = ""


class _Own(msgspec.Struct):
    """A message that a node made by itself: recorded, since its node may be finished when it is not told yet."""

    within: str
    message: msgspec.Raw
    speaker: str = ""


class Speech:
    """The messages of one run as they are spoken; the framework knows them by ids of its own."""

    def __init__(
        self, line: Line, journal: Journal, watch: Watch, agent: str, *, wanted: bool = False
    ) -> None:
        self._watch = watch
        self._wanted = wanted
        self._line, self._journal, self._agent = line, journal, agent
        speaker = line.recorded("speaker")
        self._speaker = agent if speaker is None else msgspec.json.decode(speaker, type=str)
        self._open: dict[str, _Open] = {}
        self._said: set[str] = set()
        self._texts: dict[str, set[str]] = {}
        self._own: list[_Own] = []
        while (stored := line.recorded(f"own:{len(self._own)}")) is not None:
            self._own.append(msgspec.json.decode(stored, type=_Own))
        self.last: str | None = None
        """The text of the message that was completed last, in this segment or an earlier one."""

    @property
    def speaking(self) -> bool:
        """Whether a message is begun and not ended."""
        return bool(self._open)

    def resume(self) -> Iterator[Event]:
        """Take back what will be said again, and say what was recorded and not said."""
        ordinal = 0
        while (told := self._line.emitted_text(ordinal)) is not None:
            message_id, text, complete = told
            ordinal += 1
            said = self._line.recorded(f"said:{message_id}") if complete else None
            if said is None:
                yield MessageRetracted(message_id=message_id, reason="rewritten")
            else:
                self._said.add(msgspec.json.decode(said))
                self.last = text
        untold = [(one.load(), one.speaker) for one in self._journal.responses if one.shown]
        for own in self._own:
            (message,) = load_messages([msgspec.json.decode(own.message)])
            untold.append((cast("AIMessage", message), own.speaker))
            # The node that made it may start again, and makes it with another id then.
            self._texts.setdefault(own.within, set()).add(str(message.text))
        for message, speaker in untold:
            if message.id not in self._said:
                if message.text:
                    yield from self._speaks(speaker)
                yield from self._whole(message, within="")

    def take(self, part: Any) -> Iterator[Event]:
        """Map one part of the stream."""
        kind, data = part["type"], part["data"]
        if kind == "messages":
            yield from self._message(data[0], data[1])
        elif kind == "custom":
            yield from self._custom(data)

    def _custom(self, data: Any) -> Iterator[Event]:
        match data:
            case Barrier(passed=passed):
                # The log has taken all events before: they were pulled out of this generator.
                if not passed.done():
                    passed.set_result(None)
            case Whole(run=run, message=message, usage=usage):
                yield from self._ended(run, message)
                if usage is not None:
                    yield usage
            case _:
                yield _custom(data)

    def _message(self, message: BaseMessage, metadata: dict[str, Any]) -> Iterator[Event]:
        if not isinstance(message, AIMessage) or message.id is None:
            return
        within = str(metadata.get("langgraph_checkpoint_ns", ""))
        if message.id in self._said:
            self._texts.setdefault(within, set()).add(str(message.text))
            return
        speaker = speaker_of(metadata)
        yield from self._speaks(speaker)
        run = self._watch.runs.get(message.id, message.id)
        if isinstance(message, AIMessageChunk):
            yield from self._more(run, message, within)
        elif run not in self._open:
            if run == message.id and message.text:
                self._keep(message, within, speaker)
            yield from self._whole(message, within=within)

    def _keep(self, message: AIMessage, within: str, speaker: str) -> None:
        if message.text not in self._texts.get(within, ()):
            own = _Own(within, msgspec.Raw(dump_message(message)), speaker)
            self._line.record(f"own:{len(self._own)}", msgspec.json.encode(own))
            self._own.append(own)

    def _speaks(self, speaker: str) -> Iterator[Event]:
        """Tell which agent speaks, when it is another one."""
        speaker = speaker or self._agent
        if speaker != self._speaker:
            # Stored with the event: who speaks is not told again after a crash.
            self._line.record("speaker", msgspec.json.encode(speaker))
            yield AgentChanged(source=self._speaker, target=speaker)
            self._speaker = speaker

    def _more(self, run: str, chunk: AIMessageChunk, within: str) -> Iterator[Event]:
        reasoning, text = _reasoning_of(chunk), "" if self._wanted else str(chunk.text)
        if not text and not reasoning:
            return
        if (message := self._open.get(run)) is None:
            # A node that asks again within one call (a retry) has thrown away what it was told before.
            yield from self._retract(within, "rejected")
            message = self._open[run] = _Open(within)
            yield MessageStarted(message_id=message.id, role="assistant")
        if reasoning:
            yield ReasoningDelta(message_id=message.id, delta=reasoning)
        if text:
            message.text += text
            yield TextDelta(message_id=message.id, delta=text)

    def _retract(self, within: str | None, reason: str) -> Iterator[Event]:
        for run, message in [*self._open.items()]:
            if within is None or (message.within == within and not self._parallel(within)):
                yield MessageRetracted(message_id=message.id, reason=reason)
                del self._open[run]

    def _parallel(self, within: str) -> bool:
        """Whether several requests of the node `within` are under way."""
        return self._journal.asking(within) > 1

    def _ended(self, run: str, response: AIMessage) -> Iterator[Event]:
        message = self._open.pop(run, None)
        if message is None:
            if self._wanted:
                yield from self._whole(response, within="")
            return
        text = self._text_of(response)
        if not text.startswith(message.text):
            # A wrapper of the model put another text in the place of the one that was streamed.
            yield MessageRetracted(message_id=message.id, reason="replaced")
            yield from self._whole(response, within=message.within)
            return
        if len(text) > len(message.text):
            yield TextDelta(message_id=message.id, delta=text[len(message.text) :])
        yield from self._complete(message.id, response, text, message.within)

    def _text_of(self, message: AIMessage) -> str:
        """Return what of a message is text for readers: an answer that a client wants as an object is told as that."""
        return str(message.text) if message.tool_calls or not self._wanted else ""

    def _whole(self, message: AIMessage, *, within: str) -> Iterator[Event]:
        """Say a message that came in one piece."""
        text, reasoning = self._text_of(message), _reasoning_of(message)
        if not text or (within and text in self._texts.get(within, ())):
            # A node often hands on, as a new message, what its model just said.
            self._said.add(message.id or "")
            return
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        if reasoning:
            yield ReasoningDelta(message_id=message_id, delta=reasoning)
        yield TextDelta(message_id=message_id, delta=text)
        yield from self._complete(message_id, message, text, within)

    def _complete(self, message_id: str, message: AIMessage, text: str, within: str) -> Iterator[Event]:
        lc_id = message.id or message_id
        for title, url in _sources_of(message):
            yield SourceAdded(message_id=message_id, title=title, url=url)
        self._said.add(lc_id)
        self._texts.setdefault(within, set()).add(text)
        self.last = text
        self._line.record(f"said:{message_id}", msgspec.json.encode(lc_id))
        yield MessageCompleted(message_id=message_id, text=text)

    def finish(self, output: Any, message: AIMessage | None) -> Iterator[Event]:
        """The run is over: say the output if it was not said. `message` is where it stands, if in a message."""
        yield from self._retract(None, "rejected")
        text = output if isinstance(output, str) else json_text(output)
        if self.last == text or (
            message is not None and message.id in self._said and isinstance(output, str)
        ):
            return
        message_id = new_id()
        yield MessageStarted(message_id=message_id, role="assistant")
        if not isinstance(output, str):
            yield OutputPartial(message_id=message_id, output=output)
        elif text:
            yield TextDelta(message_id=message_id, delta=text)
        self._line.record(f"said:{message_id}", msgspec.json.encode(message_id))
        yield MessageCompleted(message_id=message_id, text=text)
        self.last = text


def json_text(output: Any) -> str:
    """Return the text of a message that is an object."""
    return msgspec.json.encode(output).decode()


def _custom(data: Any) -> Custom:
    """What a node writes is shown under its own name: the `name` or `type` in it, else `custom`."""
    shown = plain(data)
    if isinstance(shown, dict):
        items = cast("dict[str, Any]", shown)
        for key in ("name", "type", "event"):
            if isinstance(name := items.get(key), str) and name:
                rest = {k: v for k, v in items.items() if k != key}
                return Custom(name=name, data=rest["data"] if set(rest) == {"data"} else rest)
    return Custom(name="custom", data=shown)


def _reasoning_of(message: AIMessage) -> str:
    extra = message.additional_kwargs.get("reasoning_content")
    if isinstance(extra, str) and extra:
        return extra
    if isinstance(message.content, str):
        return ""
    blocks = cast("list[dict[str, Any]]", message.content_blocks)
    return "".join(str(block.get("reasoning", "")) for block in blocks if block.get("type") == "reasoning")


def _sources_of(message: AIMessage) -> Iterator[tuple[str, str | None]]:
    if isinstance(message.content, str):
        return
    seen: set[tuple[str, str | None]] = set()
    for block in cast("list[dict[str, Any]]", message.content_blocks):
        for note in cast("list[dict[str, Any]]", block.get("annotations") or []):
            if note.get("type") == "citation":
                url = cast("str | None", note.get("url"))
                source = (str(note.get("title") or url or "source"), url)
                if source not in seen:
                    seen.add(source)
                    yield source
