"""What one segment of a run works with, and one question to one of its agents."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, cast

from ag2 import Agent, Context, MemoryStream
from ag2.agent import AgentReply
from ag2.context import strip_reserved_variables
from ag2.events import BaseEvent, HumanInputRequest, HumanMessage, Input
from pydantic import ValidationError

from landline.adapters.ag2.brought import brought
from landline.adapters.ag2.copies import Copies
from landline.adapters.ag2.events import Speech
from landline.adapters.ag2.journal import Journal
from landline.adapters.ag2.mcp import McpConnections
from landline.adapters.ag2.models import Models
from landline.adapters.ag2.results import plain
from landline.adapters.ag2.settings import with_settings
from landline.adapters.ag2.tools import Tools
from landline.adapters.ag2.wanted import Wanted
from landline.model.errors import AgentFailed, Unsupported
from landline.model.events import Event
from landline.ports.adapter import Turn

__all__ = ["Asked", "Segment"]

CONTEXT = "context"
"""The dependency that is the run's context."""


class Segment:
    """What one segment of a run works with."""

    def __init__(self, turn: Turn, mcp: McpConnections) -> None:
        self.turn = turn
        self.journal = Journal(turn)
        self.tools = Tools(self.journal)
        self.speech = Speech(turn.line.emitted_text)
        self.models = Models(
            self.journal, self.tools, self.speech, partial(with_settings, settings=turn.settings)
        )
        self.copies = Copies(self.models, self.tools, mcp)
        self.brought = [self.copies.tool(tool) for tool in brought(turn.tools)]

    def given(self, more: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the run's context as the framework takes it: as the dependency `context`, a mapping also as variables.

        Names that the framework keeps its own state under are left out: who could set them would pass its approvals.
        """
        context = self.turn.context
        variables = (
            dict(cast("Mapping[str, Any]", context)) if isinstance(context, Mapping) else dict[str, Any]()
        )
        return {
            "dependencies": {**more} if context is None else {CONTEXT: context, **more},
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


class Asked:
    """One question to one agent of the run, and what came of it."""

    def __init__(
        self,
        segment: Segment,
        agent: Agent[Any],
        inputs: list[Input],
        history: list[BaseEvent],
        *,
        dependencies: Mapping[Any, Any] | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        self._segment, self._agent, self._inputs, self._history = segment, agent, inputs, history
        self._dependencies = dependencies or {}
        self._wanted = wanted
        self.reply: AgentReply[Any, Any] | None = None
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
        async with twin.run(
            *self._inputs,
            stream=stream,
            tools=segment.brought,
            hitl_hook=hook,
            **({} if self._wanted is None else {"response_schema": self._wanted}),
            **segment.given(self._dependencies),
        ) as run:
            stream.unsubscribe(early)
            run.start()
            async with aclosing(segment.journal.events()) as events:
                async for event in events:
                    yield event
            reply = self.reply = await run.result()
            if reply.response.tool_calls and reply.response.response_force:
                raise Unsupported(
                    "A tool of this agent is run by the client, which Landline cannot do.",
                    code="external_tool",
                )
            self.output = await segment.output(reply, self._wanted or agent.response_schema)
        for event in segment.speech.finish(self.output):
            yield event
        seeded = {id(event) for event in self._history}
        self.own = [event for event in await stream.history.get_events() if id(event) not in seeded]
