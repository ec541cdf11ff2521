"""One turn of a workflow: its agents are asked one after the other, each as an agent of its own would be."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pydantic_core
from ag2 import Agent
from ag2.events import BaseEvent, BinaryInput, Input, ModelMessage, ModelRequest, ModelResponse, TextInput
from ag2.network import EV_TEXT, Envelope, ensure_parts
from ag2.network.policies import CHANNEL_STATE_DEP
from msgspec import Raw

from landline.adapters.ag2.messages import inputs_of
from landline.adapters.ag2.segment import Asked, Segment
from landline.adapters.ag2.settings import with_settings
from landline.adapters.ag2.workflow import USER, AG2Workflow, Channel
from landline.model import messages as shown
from landline.model.errors import Unsupported
from landline.model.events import AgentChanged, Event
from landline.model.messages import Native
from landline.ports.adapter import Finished

__all__ = ["run_workflow"]

FRAMEWORK = "ag2_workflow"
VERSION = 1


async def run_workflow(segment: Segment, workflow: AG2Workflow) -> AsyncGenerator[Event | Finished]:
    """Yield the turn's events, then its `Finished`."""
    turn = segment.turn
    agents = {agent.name: agent for agent in workflow.agents}
    for agent in workflow.agents:
        with_settings(agent.config, turn.settings)
    channel = workflow.channel(turn.run_id)
    for envelope in _history(turn.history, channel):
        channel.heard(envelope)
    inputs = await inputs_of(turn.input, turn.line)
    if not inputs:
        raise Unsupported("There is nothing to answer.", code="no_input")
    text = "\n".join(part.content for part in inputs if isinstance(part, TextInput))
    began = len(channel.wal)
    last = channel.heard(_text(USER, text))
    files = [part for part in inputs if isinstance(part, BinaryInput)]
    output: Any = ""
    spoke: str | None = None
    number = 0
    while (speaker := channel.speaker) is not None:
        if spoke is not None and speaker != spoke:
            for event in _changed(segment, number, spoke, speaker):
                yield event
        asked = await _asked(segment, channel, agents[speaker], last, files)
        async with aclosing(asked.events()) as events:
            async for event in events:
                yield event
        output, spoke, number, files = asked.output, speaker, number + 1, []
        assert asked.reply is not None
        envelope = channel.adapter.build_round_envelope(
            channel.metadata, speaker, asked.reply, asked.own, channel.state, cast("Any", _Names(agents))
        )
        if envelope is None:
            # A round without a word and without a handoff: AG2's hub waits here, and nobody would come.
            break
        last = channel.said(envelope)
    own = pydantic_core.to_json([envelope.to_dict() for envelope in channel.wal[began:]])
    native = Native(framework=FRAMEWORK, version=VERSION, messages=Raw(own))
    yield Finished(output=output, native=native, model=segment.journal.model)


async def _asked(
    segment: Segment, channel: Channel, agent: Agent[Any], envelope: Envelope, files: Sequence[Input]
) -> Asked:
    """Ask an agent what follows `envelope`, with the channel as its view shows it."""
    before = await _projected(channel, agent.name, channel.wal[: channel.wal.index(envelope)])
    now = await _projected(channel, agent.name, [envelope])
    inputs = [part for event in now if isinstance(event, ModelRequest) for part in event.parts]
    if not inputs:
        inputs = ensure_parts(channel.adapter.extract_turn_input(envelope))
    return Asked(
        segment,
        agent,
        [*inputs, *files],
        before,
        dependencies={CHANNEL_STATE_DEP: channel.state},
    )


async def _projected(channel: Channel, name: str, wal: list[Envelope]) -> list[BaseEvent]:
    view = channel.adapter.default_view_policy(channel.metadata, name)
    events = await view.project(
        wal, participant_id=name, channel=channel.metadata, render_envelope=channel.rendered
    )
    # The models' clients read whole responses; what an agent said itself comes as a bare message.
    return [ModelResponse(event) if isinstance(event, ModelMessage) else event for event in events]


def _changed(segment: Segment, number: int, source: str, target: str) -> list[Event]:
    line, key = segment.turn.line, f"agent:{number}"
    if line.recorded(key) is not None:
        return []
    # The record and the event go to the log as one: a change that is replayed is not told again.
    line.record(key, json.dumps(target).encode())
    return [AgentChanged(source=source, target=target)]


class _Names:
    """What AG2 asks its hub for when it resolves a handoff: here agents go by their names."""

    def __init__(self, agents: dict[str, Agent[Any]]) -> None:
        self._agents = agents

    def name_to_id_map(self) -> dict[str, str]:
        """Return each agent's id by its name."""
        return {name: name for name in self._agents}


def _text(sender: str, text: str) -> Envelope:
    return Envelope(
        channel_id="", sender_id=sender, audience=None, event_type=EV_TEXT, event_data={"text": text}
    )


def _history(history: Sequence[shown.Message], channel: Channel) -> list[Envelope]:
    """Return the branch before this turn; another framework's turns as what the user and the first agent said."""
    own = {
        message.run_id: message.native
        for message in history
        if message.native is not None
        and (message.native.framework, message.native.version) == (FRAMEWORK, VERSION)
    }
    told: set[str | None] = set()
    envelopes: list[Envelope] = []
    for message in history:
        native = own.get(message.run_id)
        if native is None:
            text = message.content or _outputs(message)
            sender = USER if message.role in ("user", "system") else channel.metadata.creator_id
            envelopes += [_text(sender, text)] if text else []
        elif message.run_id not in told:
            told.add(message.run_id)
            kept = cast("list[dict[str, Any]]", pydantic_core.from_json(bytes(native.messages)))
            envelopes += [Envelope.from_dict(one) for one in kept]
    return envelopes


def _outputs(message: shown.Message) -> str:
    outputs = [part.output for part in message.parts if isinstance(part, shown.OutputPart)]
    return "\n".join(pydantic_core.to_json(output).decode() for output in outputs)
