"""The short way: one capability, and a model that tells what it says, for agents that bring no capabilities of their own.

With nobody else to hear of them, a run's stream events need not pass the framework's layers for listeners: the node is
run, not streamed, in a task that ends with the turn, and the model hands over what it streams event by event. Agents
with capabilities (hooks, listeners, instrumentation, handlers of deferred calls) take the long way, in `turn`.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import nullcontext
from math import inf
from typing import Any

import anyio
from pydantic_ai import Agent
from pydantic_ai.capabilities.abstract import leaf_capabilities
from pydantic_ai.exceptions import ModelRequestTimeout
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, merge_model_settings
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, RunContext

from landline.adapters.pydantic_ai.approvals import Approvals
from landline.adapters.pydantic_ai.events import Speech
from landline.adapters.pydantic_ai.journal import Journal
from landline.adapters.pydantic_ai.mcp import RunServers
from landline.model.events import Event
from landline.ports.adapter import Turn

__all__ = ["LoneJournal", "is_alone"]

AHEAD = 16
"""Events that a model may be ahead of its run's log: what has arrived is told in one go, not in a switch of tasks for each."""

_FRAMEWORKS_OWN = frozenset(type(leaf) for leaf in leaf_capabilities(Agent().root_capability))
"""What every agent has: nothing that looks at a model's answer or decides about calls."""


def is_alone(capability: Any) -> bool:
    """Tell whether nothing is in this root capability but what every agent has, and the journal."""
    return all(
        type(leaf) in _FRAMEWORKS_OWN or isinstance(leaf, LoneJournal)
        for leaf in leaf_capabilities(capability)
    )


class LoneJournal(Journal):
    """The journal of an agent that is alone: it asks humans and tells what the model says, as one capability."""

    def __init__(self, turn: Turn, servers: RunServers) -> None:
        super().__init__(turn, servers)
        self._turn = turn
        self.speech: Speech | None = None
        """What the run says; None on the long way, where the turn hears it itself."""
        self._heard = False
        self._said: list[Event] = []
        self._untold = 0
        self._ready, self._taken = asyncio.Event(), asyncio.Event()

    async def told(self, request: Coroutine[Any, Any, Any]) -> AsyncGenerator[Event]:
        """Make the model request, in a task of its own, and yield what is said meanwhile; closing this stops it."""
        task = asyncio.create_task(request)
        task.add_done_callback(lambda _: self._ready.set())
        try:
            while self._said or not task.done():
                if not self._said:
                    await self._ready.wait()
                self._ready.clear()
                said, self._said = self._said, []
                for event in said:
                    yield event
                self._untold -= len(said)
                self._taken.set()
            await task
        finally:
            if not task.done():
                task.cancel()
                # Whatever it ends with, nobody is there to hear of it.
                await asyncio.gather(task, return_exceptions=True)

    async def _say(self, events: Iterator[Event], *, ahead: int = AHEAD) -> None:
        """Hand events to `told`, and wait until it has taken them when it is more than `ahead` behind."""
        new = tuple(events)
        if new:
            self._said += new
            self._untold += len(new)
            self._ready.set()
        while self._untold > ahead:
            self._taken.clear()
            await self._taken.wait()

    async def begins(self) -> None:
        """Tell that a response begins."""
        self._heard = False
        if self.speech is not None:
            await self._say(self.speech.begin(output_is_text=self.output_is_text))

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Return the humans' decisions; see `Approvals`."""
        return await Approvals(self._turn, self).handle_deferred_tool_calls(ctx, requests=requests)

    def get_wrapper_model(self, model: Model) -> Model | None:
        """Return `model`, streaming what it is asked for whole."""
        return _Streaming(model, self)

    async def tell(
        self,
        model: Model,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the model's answer, streamed into the log as it comes (EVT-6).

        Raises:
            ModelRequestTimeout: Nothing came within the setting `first_event_timeout`.
        """
        paused = _paused(messages)
        patience = None if self._heard else _first_event_timeout(model, settings)
        with nullcontext() if patience is None else anyio.move_on_after(patience) as first:
            async with model.request_stream(messages, settings, parameters, self.ctx) as stream:
                async for part in stream:
                    self._heard = True
                    if first is not None:
                        first.deadline = inf
                    if self.speech is not None:
                        await self._say(self.speech.take(part, _parts_before(stream, paused)))
            # All that was said is in the log before the answer is in the journal.
            await self._say(iter(()), ahead=0)
            # Only after the stream is closed is all that came with it there.
            return stream.get()
        assert patience is not None
        raise ModelRequestTimeout(model.model_name, patience, setting="first_event_timeout")


class _Streaming(WrapperModel):
    """A model that streams what it is asked for whole."""

    def __init__(self, wrapped: Model, journal: LoneJournal) -> None:
        super().__init__(wrapped)
        self._journal = journal

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the whole answer, told by then."""
        return await self._journal.tell(self.wrapped, messages, model_settings, model_request_parameters)


def _paused(messages: list[ModelMessage]) -> ModelResponse | None:
    """Return the answer that the provider paused and is asked to go on with."""
    last = messages[-1] if messages else None
    return last if isinstance(last, ModelResponse) and last.state == "suspended" else None


def _parts_before(stream: StreamedResponse, paused: ModelResponse | None) -> int:
    """Return how many parts came before this stream's: another response that goes on with one counts its own anew."""
    if paused is None or stream.provider_response_id == paused.provider_response_id:
        return 0
    return len(paused.parts)


def _first_event_timeout(model: Model, settings: ModelSettings | None) -> float | None:
    """Return how long to wait for a first event, which the framework enforces on requests that it streams itself."""
    while isinstance(model, WrapperModel):
        model = model.wrapped
    if isinstance(model, FallbackModel):  # it gives each of its models a time of its own
        return None
    return (merge_model_settings(model.settings, settings) or {}).get("first_event_timeout")
