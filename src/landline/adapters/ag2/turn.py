"""One turn of an AG2 agent: it runs on a stream of its own, in its own task, and hands each event to the line."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, cast

from ag2 import Agent, Context, MemoryStream
from ag2.agent import AgentReply
from ag2.context import strip_reserved_variables
from ag2.events import BaseEvent, HumanInputRequest, HumanMessage, Input, ModelRequest
from msgspec import Raw
from pydantic import ValidationError

from landline.adapters.ag2.copies import Copies
from landline.adapters.ag2.events import Speech
from landline.adapters.ag2.failures import agent_failed
from landline.adapters.ag2.journal import Journal
from landline.adapters.ag2.messages import FRAMEWORK, VERSION, dump_native, history_of, inputs_of
from landline.adapters.ag2.models import Models
from landline.adapters.ag2.results import plain
from landline.adapters.ag2.settings import with_settings
from landline.adapters.ag2.tools import Tools
from landline.model.errors import AgentFailed, LandlineError, Unsupported
from landline.model.events import Event
from landline.model.messages import Native
from landline.ports.adapter import Finished, Turn

__all__ = ["Asked", "Segment", "run_turn"]

CONTEXT = "context"
"""The dependency that is the run's context."""


class Segment:
    """What one segment of a run works with."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.journal = Journal(turn)
        self.tools = Tools(self.journal)
        self.speech = Speech(turn.line.emitted_text)
        self.models = Models(
            self.journal, self.tools, self.speech, partial(with_settings, settings=turn.settings)
        )
        self.copies = Copies(self.models, self.tools)

    def given(self) -> dict[str, Any]:
        """Return the run's context as the framework takes it: as the dependency `context`, a mapping also as variables.

        Names that the framework keeps its own state under are left out: who could set them would pass its approvals.
        """
        context = self.turn.context
        variables = (
            dict(cast("Mapping[str, Any]", context)) if isinstance(context, Mapping) else dict[str, Any]()
        )
        return {
            "dependencies": {} if context is None else {CONTEXT: context},
            "variables": strip_reserved_variables(variables, source="the run's context", warn=False),
        }

    async def close(self) -> None:
        """End what is still at work, and the run's connections."""
        await self.journal.stop()
        await self.models.close()

    async def output(self, reply: "AgentReply[Any, Any]", schema: Any) -> Any:
        """Return what the agent answered, as plain JSON data.

        Raises:
            AgentFailed: It does not fit the agent's response schema.
        """
        if schema is None or getattr(schema, "json_schema", None) is None:
            return reply.body or ""
        if type(schema).__name__ == "RawSchema":
            # The framework gives its text back with a warning: a schema without a type validates nothing.
            return _parsed(reply.body or "")
        try:
            return plain(await reply.content())
        except (ValidationError, ValueError) as error:
            raise AgentFailed("The model's answer does not fit.", code="model_invalid_response") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def run_turn(turn: Turn) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    segment = Segment(turn)
    try:
        history = await history_of(turn.history, turn.line)
        inputs = await inputs_of(turn.input, turn.line)
        if not inputs:
            inputs, history = _question_again(history)
        with_settings(turn.agent.config, turn.settings)
        asked = Asked(segment, turn.agent, inputs, history)
        async with aclosing(asked.events()) as events:
            async for event in events:
                yield event
        native = Native(framework=FRAMEWORK, version=VERSION, messages=Raw(dump_native(asked.own)))
        yield Finished(output=asked.output, native=native, model=segment.journal.model)
    except LandlineError:
        raise
    except Exception as error:  # whatever an agent, a tool or a model raises ends as a stable code
        raise agent_failed(error, speaking=segment.speech.speaking) from error
    finally:
        await segment.close()


def _question_again(history: list[BaseEvent]) -> tuple[list[Input], list[BaseEvent]]:
    """Take the question that is answered again off the end of the branch."""
    if history and isinstance(last := history[-1], ModelRequest):
        return list(last.parts), history[:-1]
    raise Unsupported("There is nothing to answer.", code="no_input")


class Asked:
    """One question to one agent of the run, and what came of it."""

    def __init__(
        self, segment: Segment, agent: Agent[Any], inputs: list[Input], history: list[BaseEvent]
    ) -> None:
        self._segment, self._agent, self._inputs, self._history = segment, agent, inputs, history
        self.output: Any = None
        self.own: list[BaseEvent] = []
        """The turn's own events, the user's question included."""

    async def events(self) -> AsyncGenerator[Event]:
        """Yield what the agent says and does until it has answered.

        Raises:
            Suspended: Questions are open (raised by the line).
            AgentFailed: The answer does not fit.
        """
        segment, agent = self._segment, self._agent
        stream = MemoryStream()
        await stream.history.replace(self._history)

        async def ask_human(request: HumanInputRequest) -> str:
            return await segment.journal.ask_human(request)

        async def ask_early(request: HumanInputRequest, context: Context) -> None:
            said = await segment.journal.ask_human(request)
            await context.send(HumanMessage(said, parent_id=request.id))

        twin = segment.copies.agent(agent)
        # An agent with a hook of its own has its own way to its humans.
        hook = None if agent.has_hitl_hook else ask_human
        # The framework's own hook is not there yet while prompts are made: a question would wait for ever.
        early = stream.where(HumanInputRequest).subscribe(ask_early, interrupt=True)
        # The run owns the task in which the agent works, and ends it when this block is left.
        async with twin.run(*self._inputs, stream=stream, hitl_hook=hook, **segment.given()) as run:
            stream.unsubscribe(early)
            run.start()
            async with aclosing(segment.journal.events()) as events:
                async for event in events:
                    yield event
            reply = await run.result()
            if reply.response.tool_calls and reply.response.response_force:
                raise Unsupported(
                    "A tool of this agent is run by the client, which Landline cannot do.",
                    code="external_tool",
                )
            self.output = await segment.output(reply, agent.response_schema)
        for event in segment.speech.finish(self.output):
            yield event
        seeded = {id(event) for event in self._history}
        self.own = [event for event in await stream.history.get_events() if id(event) not in seeded]
