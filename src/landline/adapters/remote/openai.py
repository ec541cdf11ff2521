"""A turn of an OpenAI-compatible endpoint: one streamed answer, complete only when the endpoint says why it ended.

A finished answer is recorded before it counts, so that nobody pays for it twice; one that a crash cut is asked for again.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol, cast

import httpx
import msgspec

from landline.adapters.remote import chat, responses
from landline.adapters.remote.describe import SETTINGS
from landline.adapters.remote.failures import broken, failed
from landline.adapters.remote.openai_input import conversation_of
from landline.adapters.remote.peer import open_peer
from landline.adapters.remote.spoken import Spoken
from landline.model.errors import LandlineError, Unsupported
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    OutputPartial,
    ReasoningDelta,
    TextDelta,
)
from landline.model.ids import new_id
from landline.model.json_schema import read
from landline.ports.adapter import Finished, Turn
from landline.ports.egress import Egress

__all__ = ["run_turn"]

RECORD = "remote.response"


class Wire(Protocol):
    """One of the two shapes of the endpoint."""

    PATH: str

    def body(
        self,
        model: str,
        conversation: list[dict[str, Any]],
        settings: dict[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the request."""
        ...

    def take(self, data: str, spoken: Spoken) -> tuple[str, str] | None:
        """Take one frame in; a `("text" | "reasoning", delta)` is new to readers. Raises AgentFailed."""
        ...


async def run_turn(turn: Turn, egress: Egress) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    taken = SETTINGS[turn.agent.protocol]
    unknown = sorted(set(turn.settings) - set(taken))
    if unknown:
        raise Unsupported(f"This agent takes no setting {unknown[0]!r}; it takes {', '.join(taken)}.")
    stored = turn.line.recorded(RECORD)
    if stored is not None:
        spoken = msgspec.json.decode(stored, type=Spoken)
        said = turn.line.emitted_text(0)
        if said is None or not said[2]:
            for event in _whole(spoken, turn.output_schema):
                yield event
    else:
        spoken = Spoken()
        async with aclosing(cast("Any", _asked(turn, egress, spoken))) as events:
            async for event in events:
                yield event
    yield Finished(output=_output(spoken, turn.output_schema), model=spoken.model or turn.agent.agent)


def _output(spoken: Spoken, schema: Mapping[str, Any] | None) -> Any:
    return spoken.text if schema is None else read(spoken.text, schema)


def _whole(spoken: Spoken, schema: Mapping[str, Any] | None) -> list[Event]:
    """Return the answer as a message, for a run whose readers have lost it."""
    id_ = new_id()
    events: list[Event] = [MessageStarted(message_id=id_, role="assistant")]
    if spoken.reasoning:
        events.append(ReasoningDelta(message_id=id_, delta=spoken.reasoning))
    if schema is not None:
        events.append(OutputPartial(message_id=id_, output=_output(spoken, schema)))
    elif spoken.text:
        events.append(TextDelta(message_id=id_, delta=spoken.text))
    return [*events, MessageCompleted(message_id=id_, text=spoken.text)]


async def _asked(turn: Turn, egress: Egress, spoken: Spoken) -> AsyncIterator[Event]:
    wire = cast("Wire", chat if turn.agent.protocol == "openai-chat" else responses)
    conversation = await conversation_of(turn, wire.PATH)
    body = wire.body(turn.agent.agent, conversation, dict(turn.settings), turn.output_schema)
    id_ = new_id()
    await turn.line.before_model()
    try:
        async with open_peer(turn.agent, egress) as peer, peer.stream("POST", wire.PATH, body=body) as stream:
            if not stream.is_events:
                (await stream.whole()).check()
                raise failed("invalid_response", model=True)
            yield MessageStarted(message_id=id_, role="assistant")
            async with aclosing(cast("Any", stream.frames())) as frames:
                async for frame in frames:
                    delta = wire.take(frame.data, spoken)
                    if delta is not None and (delta[0] != "text" or turn.output_schema is None):
                        made = TextDelta if delta[0] == "text" else ReasoningDelta
                        yield made(message_id=id_, delta=delta[1])
                    if spoken.ended:
                        break
    except (httpx.HTTPError, LandlineError) as error:
        if not (spoken.finished and isinstance(error, httpx.HTTPError)):
            raise broken(error, model=True) from error
    spoken.check()
    output = _output(spoken, turn.output_schema)
    turn.line.record(RECORD, msgspec.json.encode(spoken))
    # The usage goes with the record, so that an answer that is recorded is counted, once.
    if spoken.usage is not None:
        yield spoken.usage.event(spoken.model)
    if turn.output_schema is not None:
        yield OutputPartial(message_id=id_, output=output)
    yield MessageCompleted(message_id=id_, text=spoken.text)
