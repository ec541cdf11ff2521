"""Guards as a gate on runs (ADR 0012): every text that comes to an agent is judged here once, at admission or with an
answer, and what the agent brings is judged on its line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from landline.gates.guards.files import FileLook, Unreadable
from landline.gates.guards.judge import Judge, Judged, Rule
from landline.gates.guards.line import GuardedLine
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.carried import Carried, CarriedMessage
from landline.model.errors import Invalid
from landline.model.events import GuardTripped
from landline.model.messages import (
    FilePart,
    ImagePart,
    OutputPart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.model.runs import Answer, Run
from landline.ports.gates import GatedRun, LineGate
from landline.ports.guards import Stage
from landline.ports.runs import StartRun

__all__ = ["GuardGate", "Judges"]

WITHHELD = "[withheld]"
UNREADABLE = "A file is no text, or too large, for the guards to look into it; such files are not taken here."

Judges = Mapping[Stage, Judge]

_STAGES: tuple[Stage, ...] = ("input", "output", "tool_input", "tool_output")

_ANSWERED: tuple[tuple[str, Stage], ...] = (
    ("value", "input"),
    ("reason", "input"),
    ("arguments", "tool_input"),
)

MOST_NOTES = 1_000
"""Runs whose answers tripped a guard and that have not gone on yet; beyond this the oldest goes on without the note."""


class GuardGate:
    """The guards of every agent: `rules` gives those of an agent by its name.

    With `fail_open` a text passes that a guard cannot judge, and the guard is told as tripped; without it nothing passes.
    Without `files` nobody looks into files.
    """

    def __init__(
        self,
        rules: Callable[[str], Sequence[Rule]],
        *,
        fail_open: bool = False,
        timeout_s: float = 10.0,
        files: FileLook | None = None,
    ) -> None:
        self._rules, self._fail_open, self._timeout_s = rules, fail_open, timeout_s
        self._files = files
        self._judges: dict[str, Judges] = {}
        self._notes: dict[str, list[GuardTripped]] = {}

    def _of(self, agent: str) -> Judges:
        if agent not in self._judges:
            rules = self._rules(agent)
            self._judges[agent] = {
                stage: Judge(rules, stage, fail_open=self._fail_open, timeout_s=self._timeout_s)
                for stage in _STAGES
            }
        return self._judges[agent]

    async def admit(self, caller: Caller, request: StartRun, agent: AgentInfo) -> StartRun:
        """Judge the input and what the client carries; see the port.

        Raises:
            Invalid: A guard blocks it (`guard_blocked`).
            Unavailable: A guard cannot judge (`guard_unavailable`).
        """
        judges, tripped = self._of(agent.name), list[GuardTripped]()
        changes: dict[str, Any] = {}
        if judges["input"] and request.input is not None:
            changes["input"] = await _parts(request.input, judges, tripped)
            await self._look(caller, request.input, judges["input"], tripped)
        if judges["input"] and request.title is not None:
            changes["title"] = (await _text(request.title, judges["input"], tripped)).text
        carried = request.carried
        if carried is not None:
            for message in carried.history if judges["input"] else ():
                await self._look(caller, message.parts, judges["input"], tripped)
            carried = await _carried(carried, judges, tripped)
        if tripped:
            carried = msgspec.structs.replace(carried or Carried(), tripped=tripped)
        if carried is not request.carried:
            changes["carried"] = carried
        return replace(request, **changes) if changes else request

    async def _look(
        self, caller: Caller, parts: Sequence[Part], judge: Judge, tripped: list[GuardTripped]
    ) -> None:
        """Judge the files among `parts`."""
        if self._files is None:
            return
        for part in parts:
            if not isinstance(part, (FilePart, ImagePart)):
                continue
            try:
                refused = await self._files.refused(caller, part.file_id, part.name, judge, tripped)
            except Unreadable:
                raise Invalid(UNREADABLE, code="guard_unreadable") from None
            if refused is not None:
                raise _blocked(refused.guard)

    async def naming(self, caller: Caller, agent: str, title: str) -> str:
        """Judge the title that a caller gives a thread; see the port."""
        judge = self._of(agent)["input"]
        return (await _text(title, judge, [])).text if judge else title

    async def answering(
        self, caller: Caller, run: Run, answers: Sequence[Answer], *, own: bool
    ) -> Sequence[Answer]:
        """Judge what answers say; see the port. Edited arguments are judged when the tool is called, too."""
        judges, tripped = self._of(run.agent), list[GuardTripped]()
        given: list[Answer] = []
        for answer in answers:
            changes: dict[str, Any] = {}
            for field, stage in _ANSWERED:
                said, judge = getattr(answer, field), judges[stage]
                if said is None or not judge:
                    continue
                words = await judge.data(said)
                tripped += words.tripped
                refused = words.blocked_by or (stage == "tool_input" and words.changed and "tool_input")
                if refused and own:
                    raise _blocked(words.blocked_by or words.tripped[0].guard)
                if refused:
                    # A refusal would tell a stranger that there is such a run; the store says no to strangers.
                    words.data, words.changed = None if stage == "tool_input" else WITHHELD, True
                if words.changed:
                    changes[field] = words.data
            given.append(msgspec.structs.replace(answer, **changes) if changes else answer)
        if tripped and own:
            while len(self._notes) >= MOST_NOTES:
                del self._notes[next(iter(self._notes))]
            self._notes.setdefault(run.id, []).extend(tripped)
        return given

    def on_line(self, gated: GatedRun) -> LineGate | None:
        """Return the line's guard, None for an agent without guards."""
        for note in self._notes.pop(gated.run.id, ()):
            gated.line.add(note)
        judges = self._of(gated.spec.name)
        wanted = any(judges[stage] for stage in _STAGES if stage != "input")
        return GuardedLine(gated, judges, self._files) if wanted else None


def _blocked(guard: str) -> Invalid:
    return Invalid(f"Request blocked: {guard}", code="guard_blocked")


async def _text(text: str, judge: Judge, tripped: list[GuardTripped]) -> Judged:
    judged = await judge.text(text)
    if judged.blocked_by is not None:
        raise _blocked(judged.blocked_by)
    tripped += judged.tripped
    return judged


async def _parts(parts: Sequence[Part], judges: Judges, tripped: list[GuardTripped]) -> tuple[Part, ...]:
    """Judge the texts of one message together, because the agent gets them as one."""
    texts = [part for part in parts if isinstance(part, TextPart)]
    whole = "".join(part.text for part in texts)
    kept: list[Part] = list(parts)
    if whole and judges["input"]:
        judged = await _text(whole, judges["input"], tripped)
        if judged.text != whole:
            first = kept.index(texts[0])
            others = [part for part in kept if not isinstance(part, TextPart)]
            kept = [*others[:first], TextPart(text=judged.text), *others[first:]]
    return tuple([await _part(part, judges, tripped) for part in kept])


_SAID: dict[type, tuple[str, ...]] = {
    OutputPart: ("output",),
    ReasoningPart: ("text",),
    SourcePart: ("title", "url", "quote"),
    ToolCallPart: ("name", "arguments"),
    ToolResultPart: ("name", "result", "error"),
}
"""What the parts of a history say beside texts."""


async def _part(part: Part, judges: Judges, tripped: list[GuardTripped]) -> Part:
    """Judge what a history brings beside texts: nobody but its client says that a tool gave this result."""
    told = {name: getattr(part, name) for name in _SAID.get(type(part), ())}
    if told:
        told = dict(zip(told, await _data(list(told.values()), judges["input"], tripped), strict=True))
    if isinstance(part, ToolResultPart):
        for name in ("result", "error"):
            told[name] = await _data(told[name], judges["tool_output"], tripped)
    return msgspec.structs.replace(part, **told) if told else part


async def _data(data: Any, judge: Judge, tripped: list[GuardTripped]) -> Any:
    if not judge or data is None:
        return data
    words = await judge.data(data)
    if words.blocked_by is not None:
        raise _blocked(words.blocked_by)
    tripped += words.tripped
    return words.data if words.changed else data


async def _carried(carried: Carried, judges: Judges, tripped: list[GuardTripped]) -> Carried:
    """Judge what a client carries: nobody vouches for any of it."""
    history = [
        CarriedMessage(role=message.role, parts=await _parts(message.parts, judges, tripped))
        for message in carried.history
    ]
    tools: list[Any] = []
    for tool in carried.tools:
        words = {"description": tool.description, "parameters": tool.parameters}
        # A tool of another name would be another tool: one that cannot be told is refused.
        if await _data(tool.name, judges["input"], tripped) != tool.name:
            raise _blocked(tripped[-1].guard)
        tools.append(msgspec.structs.replace(tool, **await _data(words, judges["input"], tripped)))
    schema = await _data(carried.output_schema, judges["input"], tripped)
    return msgspec.structs.replace(carried, history=history, tools=tools, output_schema=schema)
