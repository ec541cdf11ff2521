"""One turn of a graph: its stream is pulled in the caller's own task, again and again until no question is open.

A graph without a checkpointer of its own gets one that lives in the run's records and begins where the thread's last turn
left the state. One that was compiled with a checkpointer keeps it: it gets the new message only, under the thread's id.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint
from langgraph.types import Command, Interrupt, StateSnapshot
from msgspec import Raw

from landline.adapters.langgraph.events import Speech, json_text
from landline.adapters.langgraph.failures import agent_failed
from landline.adapters.langgraph.graphs import Shape, answer_of, bound, compiled, input_of, shape_of
from landline.adapters.langgraph.journal import Journal
from landline.adapters.langgraph.marks import Watch
from landline.adapters.langgraph.messages import (
    FRAMEWORK,
    VERSION,
    Thread,
    content_of,
    dump_native,
    thread_of,
)
from landline.adapters.langgraph.questions import asks_of, resume_value
from landline.adapters.langgraph.saver import LineSaver
from landline.adapters.langgraph.seams import journalled
from landline.adapters.langgraph.settings import check_settings, check_taken
from landline.adapters.langgraph.tools import check_tools
from landline.adapters.langgraph.values import Pool
from landline.model.errors import Invalid, LandlineError
from landline.model.events import Event
from landline.model.json_schema import read
from landline.model.messages import Native
from landline.ports.adapter import Ask, Finished, Turn

__all__ = ["run_turn"]

_PASSING = ("__start__", "branch:to:", "__pregel_tasks")
"""Channels that carry a graph from step to step and hold nothing of the thread."""


async def run_turn(turn: Turn) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    check_settings(turn.settings)
    journal = Journal(turn)
    watch = Watch(journal.recorded_runs)
    speech = Speech(turn.line, journal, watch, turn.spec.name, wanted=turn.output_schema is not None)
    try:
        segment = _Segment(turn, journal, watch)
        await segment.prepare()
        for event in speech.resume():
            yield event
        with journalled(journal):
            async with aclosing(segment.parts()) as parts:
                async for part in parts:
                    for event in speech.take(part):
                        yield event
        check_taken(turn.settings, journal.settings_taken)
        output, message = answer_of(segment.shape, segment.values)
        if turn.output_schema is not None:
            output, message = read(output if isinstance(output, str) else "", turn.output_schema), None
        for event in speech.finish(output, message):
            yield event
        yield Finished(output=output, native=segment.native(), model=journal.model)
    except LandlineError:
        raise
    except Exception as error:  # whatever an agent, a tool or a model raises ends as a stable code
        if journal.lost is not None:
            raise journal.lost from error
        raise agent_failed(error, journal.model_errors, speaking=speech.speaking) from error
    finally:
        journal.close()


class _Segment:
    """A graph at work on one turn, from its start or from where an earlier segment left it."""

    def __init__(self, turn: Turn, journal: Journal, watch: Watch) -> None:
        self._turn, self._journal = turn, journal
        graph = compiled(turn.agent)
        check_tools(graph, turn.tools, wanted=turn.output_schema is not None)
        self.shape: Shape = shape_of(graph)
        self._own = isinstance(graph.checkpointer, BaseCheckpointSaver)
        self._graph, self._saver = graph, cast("LineSaver | None", None)
        self._thread = Thread(agent=turn.spec.name)
        self._new: HumanMessage | None = None
        self._input: Any = None
        self.values: Any = None
        self._config = self._configuration(watch)

    def _configuration(self, watch: Watch) -> RunnableConfig:
        turn = self._turn
        configurable: dict[str, Any] = {"thread_id": turn.thread_id, **turn.settings}
        context = turn.context
        if self.shape.graph.context_schema is None and isinstance(context, dict):
            # How graphs took their context before there were schemas for it.
            configurable = {**cast("dict[str, Any]", context), **configurable}
        return {
            "configurable": configurable,
            "metadata": {"landline_run": turn.run_id},
            "callbacks": [watch],
        }

    async def prepare(self) -> None:
        """Find where the graph stands, and what it is to be given."""
        turn = self._turn
        if self._own:
            await self._prepare_own()
            return
        self._thread = await thread_of(turn.history, turn.line, turn.spec.name)
        new = self._new = await self._prompt()
        thread = self._thread
        base = [*thread.messages, *([new] if new is not None else [])]
        self._saver = LineSaver(turn.line, Pool(base), self._seed())
        self._graph = bound(self._graph, self._saver)
        if self._saver.begun:
            self._input = self._resumed(await self._graph.aget_state(self._config))
            return
        held = self.shape.remembers if self.shape.workflow else thread.checkpoint is not None
        self._input = input_of(self.shape, thread.fresh if held else thread.messages, new)

    async def _prepare_own(self) -> None:
        new = self._new = await self._prompt()
        state = await self._graph.aget_state(self._config)
        if cast("dict[str, Any]", state.metadata or {}).get("landline_run") == self._turn.run_id:
            self._input = self._resumed(state)
            return
        self._input = input_of(self.shape, [], new)

    async def _prompt(self) -> HumanMessage | None:
        content = await content_of(self._turn.input, self._turn.line)
        if not content:
            return None
        if not isinstance(content, str) and not self.shape.takes_messages:
            raise Invalid("This agent takes text only.", code="no_files")
        return HumanMessage(content=cast("Any", content), id=f"{self._turn.run_id}:input")

    def _seed(self) -> Checkpoint | None:
        thread = self._thread
        if thread.checkpoint is None:
            return None
        values = dict(thread.state)
        if self.shape.messages is not None:
            values[self.shape.messages] = thread.settled
        return Checkpoint(
            v=4,
            id=thread.checkpoint,
            ts="",
            channel_values=values,
            channel_versions=dict.fromkeys(values, 1),
            versions_seen={},
            updated_channels=None,
        )

    async def parts(self) -> AsyncGenerator[Any]:
        """Yield the parts of the graph's stream, until it has no question left.

        Raises:
            Suspended: Questions are open (raised by the line).
        """
        first = True
        while True:
            if not (self._input is None and first and await self._over()):
                stream = self._graph.astream(
                    self._input,
                    self._config,
                    context=self._turn.context,
                    stream_mode=["messages", "custom"],
                    subgraphs=True,
                    durability="sync",
                    version="v2",
                )
                async with aclosing(stream) as parts:
                    async for part in parts:
                        yield part
            first = False
            state = await self._graph.aget_state(self._config)
            if not await self._asked(state):
                self.values = state.values
                return
            self._input = self._resumed(state)

    async def _over(self) -> bool:
        # Not `next`: a task whose writes are stored is not in it, and what follows it is still to be done.
        return not (await self._graph.aget_state(self._config)).tasks

    async def _asked(self, state: StateSnapshot) -> bool:
        """Ask what is open; False when nothing is."""
        asks = [*self._journal.take_asks(), *(ask for i in state.interrupts for ask in asks_of(i))]
        if not asks and state.next:
            asks = [self._breakpoint(state)]
        if not asks:
            return False
        await self._turn.line.ask(*asks)
        return True

    def _breakpoint(self, state: StateSnapshot) -> Ask:
        at = (state.config.get("configurable") or {}).get("checkpoint_id")
        return Ask(key=f"breakpoint:{at}", kind="approval", prompt=f"Go on with {', '.join(state.next)}?")

    def _resumed(self, state: StateSnapshot) -> Any:
        """Return what the graph goes on with: the answers to its interrupts, or nothing."""
        given: dict[str, Any] = {}
        for interrupt in state.interrupts:
            if (answers := self._answers(interrupt)) is not None:
                given[interrupt.id] = resume_value(interrupt, answers)
        return Command(resume=given) if given else None

    def _answers(self, interrupt: Interrupt) -> Any:
        answers = [self._turn.line.answer_to(ask.key) for ask in asks_of(interrupt)]
        return None if any(answer is None for answer in answers) else answers

    def native(self) -> Native | None:
        """Return what this turn added to the thread."""
        messages = self._messages()
        head = self._saver.head() if self._saver is not None else None
        state = {
            name: value
            for name, value in (head["channel_values"] if head else {}).items()
            if name != self.shape.messages and not name.startswith(_PASSING)
        }
        dumped = dump_native(
            before=self._thread,
            messages=messages,
            state=state,
            checkpoint=head["id"] if head else None,
            whole=self._turn.spec.history_messages is not None,
        )
        return Native(framework=FRAMEWORK, version=VERSION, messages=Raw(dumped))

    def _messages(self) -> list[BaseMessage]:
        """Return the thread's messages after this turn; a graph with its own checkpointer tells those of the turn."""
        if self.shape.messages is not None:
            values = cast("dict[str, list[BaseMessage]]", self.values)
            messages = list(values.get(self.shape.messages, ()))
            places = {message.id: place for place, message in enumerate(messages)} if self._own else {}
            return messages[places.get(self._new.id, 0) if self._new is not None else 0 :]
        value = self.values
        said = cast("list[Any]", value) if isinstance(value, list) else [value]
        if not all(isinstance(message, BaseMessage) for message in said):
            output, _ = answer_of(self.shape, self.values)
            text = output if isinstance(output, str) else json_text(output)
            said = [AIMessage(content=text, id=f"{self._turn.run_id}:output")]
        asked = [] if self._new is None else [self._new]
        known = {message.id for message in (*self._thread.messages, *asked)}
        return [*self._thread.messages, *asked, *(message for message in said if message.id not in known)]
