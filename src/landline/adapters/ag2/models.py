"""Models on the line: a response that came is recorded, and given again instead of asked for (ADP-4).

A run gives its agents a config of its own, which makes journalling clients around the owner's. The owner's objects are
read and copied, never written.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pydantic_core
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    BuiltinToolCallEvent,
    BuiltinToolResultEvent,
    DataInput,
    ModelReasoning,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolNotFoundEvent,
    ToolResultEvent,
)

from landline.adapters.ag2.codec import dump_events, load_events
from landline.adapters.ag2.events import Speech
from landline.adapters.ag2.failures import check_whole
from landline.adapters.ag2.frames import CallFrame, TurnFrame, current_call
from landline.adapters.ag2.journal import Journal
from landline.adapters.ag2.results import arguments_of, dump_result, readable
from landline.adapters.ag2.tools import Tools
from landline.model.events import Event, ToolCalled, ToolCompleted, UsageReported

__all__ = ["JournalConfig", "Models"]

_NO_TOOL = "There is no such tool."


class Models:
    """The model calls of one run."""

    def __init__(
        self, journal: Journal, tools: Tools, speech: Speech, override: Callable[[Any], Any]
    ) -> None:
        self.journal, self.tools, self.speech = journal, tools, speech
        self._override = override
        self._opened: dict[str, int] = {}
        self._clients: list[Any] = []

    def config(self, config: Any) -> Any:
        """Return the run's own config in the place of an agent's."""
        return config if config is None or isinstance(config, JournalConfig) else JournalConfig(self, config)

    def client_of(self, config: Any) -> Any:
        """Make the owner's client, with this run's settings."""
        client = self._override(config).create()
        if getattr(config, "http_client", None) is None:
            self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the connections that the run's clients opened; those that the owner gave them stay open."""
        for client in self._clients:
            inner = getattr(client, "_client", None)
            library = type(inner).__module__.partition(".")[0]
            if library in ("openai", "anthropic"):
                with suppress(Exception):  # it is on its way out: how it breaks on the way concerns nobody
                    await cast("Any", inner).close()
        self._clients.clear()

    def open(self, parent: CallFrame | None, messages: Sequence[BaseEvent]) -> TurnFrame:
        """Begin a turn; its path is the same when the run is taken up again."""
        if parent is None:
            frame = TurnFrame(path=f"{len(self.journal.turns)}:" if self.journal.turns else "")
            self.journal.turns.append(frame)
            return frame
        # By what the agent was told: turns that one call begins side by side may come in another order.
        place = f"{parent.event.id}/{_digest(_last_request(messages))[:8]}"
        number = self._opened[place] = self._opened.get(place, 0) + 1
        frame = TurnFrame(path=f"{place}.{number}:", shown=False)
        parent.turns.append(frame)
        return frame


class JournalConfig:
    """Stands where an agent's config stands, and is it in all but its clients."""

    def __init__(self, models: Models, config: Any) -> None:
        self._models, self._config = models, config

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "JournalConfig":
        return self

    def copy(self, /, **overrides: Any) -> "JournalConfig":
        """Return a copy of the owner's config, journalled too."""
        return JournalConfig(self._models, self._config.copy(**overrides))

    def create(self) -> "JournalClient":
        """Make the client of one turn."""
        return JournalClient(self._models, self._config, current_call.get())


class JournalClient:
    """The client of one turn of one agent."""

    def __init__(self, models: Models, config: Any, parent: CallFrame | None) -> None:
        self._models, self._config, self._parent = models, config, parent
        self._line, self._journal = models.journal.line, models.journal
        self._client: Any = None
        self._frame: TurnFrame | None = None
        self._listener: _Listener | None = None
        self._number = 0

    async def __call__(
        self, messages: Sequence[BaseEvent], context: ConversationContext, **given: Any
    ) -> ModelResponse:
        """Answer request number k of this turn from the journal, or make it and record the whole response."""
        frame = self._frame
        if frame is None:
            frame = self._frame = self._models.open(self._parent, messages)
            self._listener = _Listener(self._models, frame, context)
        frame.done = False
        assert self._listener is not None
        self._listener.listen()
        if frame.shown:
            await self._journal.say(*self._models.speech.begin(given.get("response_schema")))
        key = f"model:{frame.path}{self._number}"
        stored = self._line.recorded(key)
        if stored is not None:
            *sent, response = load_events(stored)
            for event in sent:
                await context.send(event)
            self._number += 1
            return self._learn(frame, sent, cast("ModelResponse", response))
        await self._line.before_model()
        tap = _Tap(context, self._models, shown=frame.shown)
        response = await self._ask(messages, replace(context, stream=cast("Any", tap)), given)
        check_whole(response)
        response = self._with_own_ids(frame, response)
        # The record and the usage go to the log as one: a response that is replayed is not counted again.
        self._line.record(key, dump_events([*tap.sent, response]))
        await self._journal.say(_usage_of(response), *_provider_tools(tap.sent))
        self._number += 1
        return self._learn(frame, tap.sent, response)

    async def _ask(
        self, messages: Sequence[BaseEvent], context: ConversationContext, given: dict[str, Any]
    ) -> ModelResponse:
        if self._client is None:
            self._client = self._models.client_of(self._config)
        return await self._client(messages, context, **given)

    def _learn(self, frame: TurnFrame, sent: list[BaseEvent], response: ModelResponse) -> ModelResponse:
        calls = [] if response.response_force else response.tool_calls.calls
        self._journal.call_ids.update(call.id for call in calls)
        if frame.shown:
            self._journal.model = response.model or self._journal.model
            thought = "".join(event.content for event in sent if isinstance(event, ModelReasoning))
            self._models.speech.came(thought)
        return response

    def _with_own_ids(self, frame: TurnFrame, response: ModelResponse) -> ModelResponse:
        """Rename calls of subordinate agents, and those whose id came before: the log knows a call by its id."""
        taken = set(self._journal.call_ids)
        calls: list[ToolCallEvent] = []
        for index, call in enumerate(response.tool_calls.calls):
            call_id = call.id
            if frame.path or not call_id or call_id in taken:
                call_id = f"call_{_digest(f'{frame.path}|{self._number}|{index}|{call.id}')[:24]}"
            taken.add(call_id)
            calls.append(readable(call, call_id))
        response.tool_calls = ToolCallsEvent(calls)
        return response


class _Tap:
    """A stream as a model's client sees it: what it sends is shown, and kept for the record."""

    def __init__(self, context: ConversationContext, models: Models, *, shown: bool) -> None:
        self.sent: list[BaseEvent] = []
        self._context, self._models, self._shown = context, models, shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context.stream, name)

    async def send(self, event: BaseEvent, _: ConversationContext) -> None:
        """Pass an event on."""
        if isinstance(event, ModelReasoning) or not getattr(type(event), "__transient__", False):
            self.sent.append(event)
        if self._shown:
            await self._models.journal.say(*self._models.speech.take(event))
        await self._context.send(event)


class _Listener:
    """Follows one turn on its agent's stream, after the agent's own middleware."""

    def __init__(self, models: Models, frame: TurnFrame, context: ConversationContext) -> None:
        self._models, self._frame, self._context = models, frame, context
        self._subscription: Any = None

    def listen(self) -> None:
        """Listen, until the turn is over: another turn may come on the same stream."""
        if self._subscription is None:
            self._subscription = self._context.stream.subscribe(self.take)

    async def take(self, event: BaseEvent) -> None:
        frame = self._frame
        if isinstance(event, ModelResponse):
            self._models.tools.announce(frame, [] if event.response_force else event.tool_calls.calls)
            if frame.shown:
                await self._models.journal.say(*self._models.speech.settle(event))
            if frame.done:
                self._context.stream.unsubscribe(self._subscription)
                self._subscription = None
        elif isinstance(event, ToolResultEvent) and event.parent_id in frame.called:
            if isinstance(event, ToolNotFoundEvent):
                await self._models.tools.refuse(frame.called[event.parent_id], "tool_not_found", _NO_TOOL)
            frame.ended.add(event.parent_id)
            self._models.journal.moved()


def _usage_of(response: ModelResponse) -> Event:
    usage = response.usage
    asked, said = int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)
    return UsageReported(
        input_tokens=asked, output_tokens=said, total_tokens=asked + said, model=response.model or None
    )


def _provider_tools(sent: Sequence[BaseEvent]) -> list[Event]:
    """Tools that the provider ran itself within the response, such as its web search."""
    ends = {event.parent_id: event for event in sent if isinstance(event, BuiltinToolResultEvent)}
    events: list[Event] = []
    for event in sent:
        if isinstance(event, BuiltinToolCallEvent) and (end := ends.get(event.id)) is not None:
            events.append(ToolCalled(call_id=event.id, name=event.name, arguments=arguments_of(event)))
            events.append(ToolCompleted(call_id=event.id, result=dump_result(end.result)[0]))
    return events


def _last_request(messages: Sequence[BaseEvent]) -> bytes:
    request = next((event for event in reversed(messages) if isinstance(event, ModelRequest)), None)
    parts = request.parts if request else []
    texts = [part.content for part in parts if isinstance(part, TextInput)]
    data = [part.data for part in parts if isinstance(part, DataInput)]
    return pydantic_core.to_json([texts, data], fallback=str)


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
