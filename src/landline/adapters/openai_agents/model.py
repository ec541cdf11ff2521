"""The seam at the model: a finished response is recorded and replayed by its number in the run (ADP-4)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from copy import copy
from typing import Any, cast

import pydantic_core
from agents import Model, ModelProvider, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel
from openai.types.responses import Response, ResponseCompletedEvent, ResponseOutputItemDoneEvent

from landline.adapters.openai_agents.events import provider_tools, usage_of
from landline.adapters.openai_agents.failures import answer_failed, length_reached, truncated
from landline.adapters.openai_agents.journal import Journal
from landline.adapters.openai_agents.partial import shape_of
from landline.model.errors import Unsupported

__all__ = ["JournalModel", "model_of"]


def model_of(given: Any, provider: ModelProvider, *, name: str | None) -> Model:
    """Return the model an agent asks for, under another `name` if the request wants one.

    Raises:
        Unsupported: The agent has a model of its own making, which takes no name.
    """
    if not isinstance(given, Model):
        return provider.get_model(name or given)
    if name is None:
        return given
    if not isinstance(given, OpenAIChatCompletionsModel | OpenAIResponsesModel):
        raise Unsupported("This agent's model cannot be chosen by the request.")
    renamed = copy(given)
    renamed.model = name
    return renamed


class JournalModel(Model):
    """A model whose responses are on the line."""

    def __init__(self, model: Model, journal: Journal) -> None:
        self._model, self._journal = model, journal

    def __getattr__(self, name: str) -> Any:
        """Pass on what the framework asks of particular models."""
        if name.startswith("__") or name == "_model":
            raise AttributeError(name)
        return getattr(self._model, name)

    async def close(self) -> None:
        """Leave the model open: it belongs to the agent."""

    async def _cleanup_on_run_end(self, owner: object) -> None:
        await self._model._cleanup_on_run_end(owner)

    def get_retry_advice(self, request: Any) -> Any:
        """Pass on."""
        return self._model.get_retry_advice(request)

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a run on the line always streams."""
        raise NotImplementedError  # abstract in the SDK, which asks a streamed run for `stream_response` only

    async def stream_response(  # noqa: PLR0913 - the framework's signature
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the framework's name
        model_settings: ModelSettings,
        tools: Any,
        output_schema: Any,
        handoffs: Any,
        tracing: Any,
        **more: Any,
    ) -> AsyncIterator[Any]:
        """Answer call number k of the run from the line, or make it and record the whole response."""
        journal = self._journal
        await journal.settle()
        journal.answer_failed = None
        structured = output_schema is not None and not output_schema.is_plain_text()
        for event in journal.speech.begin(
            structured=structured, shape=shape_of(output_schema) if structured else None
        ):
            await journal.channel.send(event)
        stored = journal.line.recorded(f"model:{journal.responses}")
        if stored is not None:
            yield await self._replay(stored)
            return
        await journal.at_line(journal.line.before_model())
        model, watch = _watched(self._model)
        stream = cast(
            "Any",
            model.stream_response(
                system_instructions, input, model_settings, tools, output_schema, handoffs, tracing, **more
            ),
        )
        done: list[Any] = []
        first = True
        async with aclosing(stream):
            async for event in stream:
                for said in journal.speech.take(event):
                    await journal.channel.send(said)
                if isinstance(event, ResponseOutputItemDoneEvent):
                    done.append(event.item)
                if isinstance(event, ResponseCompletedEvent):
                    if not watch.whole:
                        raise truncated()
                    # Some servers give the items only one by one.
                    event.response.output = event.response.output or done
                    event.response.model = watch.answered_by or event.response.model
                    await self._keep(event.response, taken=_call_ids(input))
                    yield event
                    return
                journal.answer_failed = answer_failed(event)
                if first or journal.answer_failed is not None:
                    # The framework keeps every event to the run's end; it needs to know that the answer has begun.
                    first = False
                    yield event
        raise truncated()

    async def _keep(self, response: Response, *, taken: set[str]) -> None:
        journal = self._journal
        if response.status == "incomplete":
            raise length_reached()
        _with_own_ids(response, taken | journal.call_ids)
        await journal.channel.told()
        # The record and the usage go to the log as one: a response that is replayed is not counted again.
        journal.line.record(
            f"model:{journal.responses}",
            response.model_dump_json(exclude_unset=True, warnings=False).encode(),
        )
        if told := [*usage_of(response), *provider_tools(response)]:
            await journal.at_line(journal.line.emit(*told))
        await self._settle(response, replayed=False)

    async def _replay(self, stored: bytes) -> ResponseCompletedEvent:
        response = _load(stored)
        await self._settle(response, replayed=True)
        return ResponseCompletedEvent.construct(
            type="response.completed", response=response, sequence_number=0
        )

    async def _settle(self, response: Response, *, replayed: bool) -> None:
        journal = self._journal
        journal.responses += 1
        journal.model = response.model or journal.model
        journal.call_ids |= _call_ids(response.output)
        for event in journal.speech.settle(response, replayed=replayed):
            await journal.channel.send(event)
        await journal.channel.told()


def _load(stored: bytes) -> Response:
    # The client's own way of reading a response: lenient, and the same classes as when it came over the wire.
    return Response.construct(**pydantic_core.from_json(stored))


def _call_ids(items: Any) -> set[str]:
    if isinstance(items, str):
        return set()
    found = (_field(item, "call_id") for item in items)
    return {call_id for call_id in found if isinstance(call_id, str)}


def _field(item: Any, name: str) -> Any:
    return cast("dict[str, Any]", item).get(name) if isinstance(item, dict) else getattr(item, name, None)


def _with_own_ids(response: Response, taken: set[str]) -> None:
    """Rename calls whose id came before: the framework and the log know a call by its id."""
    for item in response.output:
        if item.type != "function_call":
            continue
        call_id, number = item.call_id, 1
        while call_id in taken:
            number += 1
            call_id = f"{item.call_id}#{number}"
        item.call_id = call_id
        taken.add(call_id)


class _Watch:
    """Whether a stream of chat chunks proved its end (RES-5): the framework asks that of OpenAI's own servers only.

    Also which model the server says it was: the framework puts in the one that was asked for.
    """

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.answered_by: str | None = None


def _watched(model: Model) -> tuple[Model, _Watch]:
    if not isinstance(model, OpenAIChatCompletionsModel):
        return model, _Watch(whole=True)
    watch, twin = _Watch(whole=False), copy(model)
    fetch = cast("Any", model)._fetch_response

    async def fetch_watched(*args: Any, **kwargs: Any) -> Any:
        response, chunks = await fetch(*args, **kwargs)
        return response, _Chunks(chunks, watch)

    # There is no public place between the client's chunks and the model's events.
    cast("Any", twin)._fetch_response = fetch_watched
    return twin, watch


class _Chunks:
    """The client's stream, with an eye on the finish reason."""

    def __init__(self, chunks: Any, watch: _Watch) -> None:
        self._chunks, self._watch = chunks, watch

    def __getattr__(self, name: str) -> Any:
        if name == "_chunks":
            raise AttributeError(name)
        return getattr(self._chunks, name)

    def __aiter__(self) -> "_Chunks":
        return self

    async def __anext__(self) -> Any:
        chunk = await anext(self._chunks)
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self._watch.whole = True
        self._watch.answered_by = chunk.model or self._watch.answered_by
        return chunk
