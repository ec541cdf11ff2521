"""One turn of an AG2 agent: it runs on a stream of its own, in its own task, and hands each event to the line."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from ag2 import Agent
from ag2.events import BaseEvent, Input, ModelRequest
from msgspec import Raw

from landline.adapters.ag2.failures import agent_failed
from landline.adapters.ag2.mcp import McpConnections
from landline.adapters.ag2.messages import FRAMEWORK, VERSION, dump_native, history_of, inputs_of
from landline.adapters.ag2.segment import Asked, Segment
from landline.adapters.ag2.settings import with_settings
from landline.adapters.ag2.wanted import Wanted
from landline.model.errors import LandlineError, Unsupported
from landline.model.events import Event
from landline.model.messages import Native
from landline.ports.adapter import Finished, Turn

__all__ = ["run_turn"]


async def run_turn(turn: Turn, mcp: McpConnections) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    segment = Segment(turn, mcp)
    try:
        async with aclosing(_answer(segment)) as items:
            async for item in items:
                yield item
    except LandlineError:
        raise
    except Exception as error:  # whatever an agent, a tool or a model raises ends as a stable code
        raise agent_failed(error, speaking=segment.speech.speaking) from error
    finally:
        await segment.close()


def _answer(segment: Segment) -> AsyncGenerator[Event | Finished]:
    agent = segment.turn.agent
    if isinstance(agent, Agent):
        return _answer_of_one(segment, cast("Agent[Any]", agent))
    if segment.turn.output_schema is not None:
        raise Unsupported(
            "A workflow's answer takes no schema from a client.", code="output_schema_unsupported"
        )
    from landline.adapters.ag2.workflow_turn import run_workflow

    return run_workflow(segment, agent)


async def _answer_of_one(segment: Segment, agent: Agent[Any]) -> AsyncGenerator[Event | Finished]:
    turn = segment.turn
    with_settings(agent.config, turn.settings)
    history = await history_of(turn.history, turn.line)
    inputs = await inputs_of(turn.input, turn.line)
    if not inputs:
        inputs, history = _question_again(history)
    wanted = None if turn.output_schema is None else Wanted(turn.output_schema)
    asked = Asked(segment, agent, inputs, history, wanted=wanted)
    async with aclosing(asked.events()) as events:
        async for event in events:
            yield event
    native = Native(framework=FRAMEWORK, version=VERSION, messages=Raw(dump_native(asked.own)))
    yield Finished(output=asked.output, native=native, model=segment.journal.model)


def _question_again(history: list[BaseEvent]) -> tuple[list[Input], list[BaseEvent]]:
    """Take the question that is answered again off the end of the branch."""
    if history and isinstance(last := history[-1], ModelRequest):
        return list(last.parts), history[:-1]
    raise Unsupported("There is nothing to answer.", code="no_input")
