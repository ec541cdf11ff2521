"""The output of a response as it grows: items and the frames that tell them, each start with its end."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from landline.faces.openai.responses_ids import item_id
from landline.model.events import SourceAdded

__all__ = ["Frame", "Output", "json_text"]

Frame = dict[str, Any]
ItemEnd = Literal["completed", "incomplete"]


def json_text(value: Any) -> str:
    """Return `value` as JSON text."""
    return msgspec.json.encode(value).decode()


@dataclass(slots=True)
class _Speech:
    """A message or a reasoning item that is still growing."""

    index: int
    pieces: list[str] = field(default_factory=list[str])
    annotations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Output:
    """All items of one response; every method returns the frames it adds, numbered by the caller."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.items: list[dict[str, Any]] = []
        self._texts: dict[str, _Speech] = {}
        self._thoughts: dict[str, _Speech] = {}
        self._sources: dict[str, list[SourceAdded]] = {}
        self._calls: dict[str, int] = {}

    def told(self, message_id: str) -> bool:
        """Tell whether anything of a message that may still be taken back was told."""
        whole, begins = f"msg_{message_id}", f"rs_{message_id}_"
        return any(item["id"] == whole or item["id"].startswith(begins) for item in self.items)

    def texts(self) -> list[str]:
        """Return the texts of the messages that are whole."""
        return [
            item["content"][0]["text"]
            for item in self.items
            if item["type"] == "message" and item["status"] == "completed"
        ]

    @property
    def calls(self) -> int:
        """How many calls the client is to carry out."""
        return sum(item["type"] == "function_call" for item in self.items)

    # messages

    def text(self, message_id: str, delta: str) -> list[Frame]:
        """Add to a message's text, beginning the message with it."""
        frames = self._end_thought(message_id)
        speech = self._texts.get(message_id)
        if speech is None:
            item: dict[str, Any] = {"id": f"msg_{message_id}", "type": "message", "status": "in_progress"}
            item |= {"role": "assistant", "content": []}
            speech = self._texts[message_id] = _Speech(self._add(item, frames))
            frames.append(self._part(speech, "response.content_part.added", ""))
            for source in self._sources.pop(message_id, ()):
                frames += self._annotate(speech, source)
        if delta:
            speech.pieces.append(delta)
            frames.append(
                self._at(speech, "response.output_text.delta", content_index=0, delta=delta, logprobs=[])
            )
        return frames

    def source(self, source: SourceAdded) -> list[Frame]:
        """Add a source to its message; one without a place on the web is not a citation here."""
        if source.url is None:
            return []
        speech = self._texts.get(source.message_id)
        if speech is None:
            self._sources.setdefault(source.message_id, []).append(source)
            return []
        return self._annotate(speech, source)

    def end_message(self, message_id: str, end: ItemEnd = "completed") -> list[Frame]:
        """End a message's reasoning and text, as far as they were begun."""
        frames = self._end_thought(message_id, end)
        speech = self._texts.pop(message_id, None)
        if speech is None:
            return frames
        text = speech.text
        part = {"type": "output_text", "text": text, "annotations": speech.annotations, "logprobs": []}
        frames.append(self._at(speech, "response.output_text.done", content_index=0, text=text, logprobs=[]))
        frames.append(self._part(speech, "response.content_part.done", text))
        return [*frames, self._done(speech.index, status=end, content=[part])]

    def whole(self, message_id: str, text: str) -> list[Frame]:
        """Add a message at once."""
        return [*self.text(message_id, text), *self.end_message(message_id)]

    # reasoning

    def thought(self, message_id: str, delta: str) -> list[Frame]:
        """Add to what the model says it thinks."""
        if not delta:
            return []
        frames: list[Frame] = []
        speech = self._thoughts.get(message_id)
        if speech is None:
            index = len(self.items)
            item: dict[str, Any] = {"id": f"rs_{message_id}_{index}", "type": "reasoning"}
            item |= {"summary": [], "status": "in_progress"}
            speech = self._thoughts[message_id] = _Speech(self._add(item, frames))
            part = {"type": "summary_text", "text": ""}
            frames.append(
                self._at(speech, "response.reasoning_summary_part.added", summary_index=0, part=part)
            )
        speech.pieces.append(delta)
        frames.append(self._at(speech, "response.reasoning_summary_text.delta", summary_index=0, delta=delta))
        return frames

    def _end_thought(self, message_id: str, end: ItemEnd = "completed") -> list[Frame]:
        speech = self._thoughts.pop(message_id, None)
        if speech is None:
            return []
        part = {"type": "summary_text", "text": speech.text}
        return [
            self._at(speech, "response.reasoning_summary_text.done", summary_index=0, text=speech.text),
            self._at(speech, "response.reasoning_summary_part.done", summary_index=0, part=part),
            self._done(speech.index, status=end, summary=[part]),
        ]

    # calls

    def function_call(self, wire_id: str, seq: int, name: str, arguments: Any) -> list[Frame]:
        """Add a call that the client carries out."""
        text = json_text(arguments if arguments is not None else {})
        item = {"id": item_id("fc", self._run_id, seq), "type": "function_call", "status": "in_progress"}
        return self._call({**item, "call_id": wire_id, "name": name, "arguments": ""}, "function_call", text)

    def approval(self, wire_id: str, name: str, arguments: Any, agent: str) -> list[Frame]:
        """Add a request to approve a call of a tool of the agent's own."""
        frames: list[Frame] = []
        item = {"id": wire_id, "type": "mcp_approval_request", "server_label": agent, "name": name}
        index = self._add({**item, "arguments": json_text(arguments or {})}, frames)
        return [*frames, self._done(index)]

    def tool_call(self, call: str, seq: int, name: str, arguments: Any, agent: str) -> list[Frame]:
        """Add a call of a tool that runs here: to the client a tool of a remote server."""
        item = {"id": item_id("mcp", self._run_id, seq), "type": "mcp_call", "status": "in_progress"}
        item |= {"server_label": agent, "name": name, "arguments": "", "output": None, "error": None}
        self._calls[call] = len(self.items)
        frames = self._call(
            item, "mcp_call", json_text(arguments if arguments is not None else {}), ends=False
        )
        started = self._of(self._calls[call], "response.mcp_call.in_progress")
        return [frames[0], started, *frames[1:]]

    def tool_ended(self, call: str, *, output: str | None = None, error: str | None = None) -> list[Frame]:
        """End a call of a tool that runs here."""
        index = self._calls.pop(call, None)
        if index is None:
            return []
        state = "completed" if error is None else "failed"
        return [
            self._of(index, f"response.mcp_call.{state}"),
            self._done(index, status=state, output=output, error=error),
        ]

    def end(self, end: ItemEnd) -> list[Frame]:
        """End whatever is open, in the order it was begun."""
        frames: list[Frame] = []
        for message_id in list(self._thoughts):
            frames += self._end_thought(message_id, end)
        for message_id in list(self._texts):
            frames += self.end_message(message_id, end)
        for call, index in list(self._calls.items()):
            del self._calls[call]
            frames += [
                self._of(index, "response.mcp_call.failed"),
                self._done(index, status="incomplete", error="The run ended before the call did."),
            ]
        return frames

    # frames

    def _call(self, item: dict[str, Any], kind: str, arguments: str, *, ends: bool = True) -> list[Frame]:
        frames: list[Frame] = []
        index = self._add(item, frames)
        frames.append(self._of(index, f"response.{kind}_arguments.delta", delta=arguments))
        done = self._of(index, f"response.{kind}_arguments.done", arguments=arguments)
        if kind == "function_call":
            done["name"] = item["name"]
        frames.append(done)
        self.items[index] = {**self.items[index], "arguments": arguments}
        return [*frames, self._done(index, status="completed")] if ends else frames

    def _annotate(self, speech: _Speech, source: SourceAdded) -> list[Frame]:
        place = len(speech.text)
        note = {
            "type": "url_citation",
            "url": source.url,
            "title": source.title,
            "start_index": place,
            "end_index": place,
        }
        speech.annotations.append(note)
        added = {"annotation_index": len(speech.annotations) - 1, "annotation": note}
        return [self._at(speech, "response.output_text.annotation.added", content_index=0, **added)]

    def _part(self, speech: _Speech, kind: str, text: str) -> Frame:
        part = {"type": "output_text", "text": text, "annotations": list(speech.annotations), "logprobs": []}
        return self._at(speech, kind, content_index=0, part=part)

    def _add(self, item: dict[str, Any], frames: list[Frame]) -> int:
        index = len(self.items)
        self.items.append(item)
        frames.append({"type": "response.output_item.added", "output_index": index, "item": item})
        return index

    def _done(self, index: int, **changes: Any) -> Frame:
        item = self.items[index] = {**self.items[index], **changes}
        return {"type": "response.output_item.done", "output_index": index, "item": item}

    def _at(self, speech: _Speech, kind: str, **more: Any) -> Frame:
        return self._of(speech.index, kind, **more)

    def _of(self, index: int, kind: str, **more: Any) -> Frame:
        return {"type": kind, "item_id": self.items[index]["id"], "output_index": index, **more}
