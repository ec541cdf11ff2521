"""Guards as a gate on runs (ADR 0012): every text that comes to an agent is judged here once, at admission or with an
answer, and what the agent brings is judged on its line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from landline.gates.guards.judge import Judge, Judged, Rule
from landline.gates.guards.line import GuardedLine
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.carried import Carried, CarriedMessage
from landline.model.errors import Invalid
from landline.model.events import GuardTripped
from landline.model.messages import Part, TextPart, ToolCallPart, ToolResultPart
from landline.model.runs import Answer, Run
from landline.ports.gates import GatedRun, LineGate
from landline.ports.guards import Stage
from landline.ports.runs import StartRun

__all__ = ["GuardGate", "Judges"]

WITHHELD = "[withheld]"

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
    """

    def __init__(
        self,
        rules: Callable[[str], Sequence[Rule]],
        *,
        fail_open: bool = False,
        timeout_s: float = 10.0,
    ) -> None:
        self._rules, self._fail_open, self._timeout_s = rules, fail_open, timeout_s
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
        carried = request.carried
        if carried is not None:
            carried = await _carried(carried, judges, tripped)
        if tripped:
            carried = msgspec.structs.replace(carried or Carried(), tripped=tripped)
        if carried is not request.carried:
            changes["carried"] = carried
        return replace(request, **changes) if changes else request

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
        return GuardedLine(gated, judges) if wanted else None


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


async def _part(part: Part, judges: Judges, tripped: list[GuardTripped]) -> Part:
    """Judge what a history brings beside texts: calls and results of tools."""
    if isinstance(part, ToolCallPart):
        return msgspec.structs.replace(part, arguments=await _data(part.arguments, judges["input"], tripped))
    if isinstance(part, ToolResultPart):
        result = part.result
        for stage in ("input", "tool_output"):
            result = await _data(result, judges[stage], tripped)
        error = part.error if part.error is None else await _data(part.error, judges["tool_output"], tripped)
        return msgspec.structs.replace(part, result=result, error=error)
    return part


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
        tools.append(msgspec.structs.replace(tool, **await _data(words, judges["input"], tripped)))
    schema = await _data(carried.output_schema, judges["input"], tripped)
    return msgspec.structs.replace(carried, history=history, tools=tools, output_schema=schema)
