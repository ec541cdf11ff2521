"""Marks that the journal puts into a run's stream between what models say, so that the log keeps their order."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langgraph.config import get_config

from landline.adapters.langgraph.failures import check_whole
from landline.model.events import UsageReported

__all__ = ["Barrier", "Watch", "Whole", "mark", "model_of", "speaker_of", "usage_of"]

_STREAM = "__pregel_stream"
"""Where the framework keeps the stream of the run in a node's configuration."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Somebody waits until all before this mark is in the log."""

    passed: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class Whole:
    """The response to request `run` has come to its end; `usage` when the journal has not told it."""

    run: str
    message: AIMessage
    usage: UsageReported | None


def mark(item: Barrier | Whole, config: Any = None) -> bool:
    """Put `item` behind what was said; False when nobody reads the stream that this code runs in."""
    if config is None:
        try:
            config = get_config()
        except RuntimeError:
            return False
    stream = cast("Callable[[Any], None] | None", config.get("configurable", {}).get(_STREAM))
    if stream is None:
        return False
    stream(((), "custom", item))
    return True


def speaker_of(metadata: Mapping[str, Any]) -> str:
    """Return the graph within the graph that a message or a request with `metadata` is of; of the graph itself: ""."""
    path = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
    return str(metadata.get("lc_agent_name") or path[-2].split(":")[0]) if len(path) > 1 else ""


def model_of(message: AIMessage) -> str | None:
    """Return the model that answered, if its provider tells it."""
    metadata = cast("dict[str, Any]", message.response_metadata)
    return metadata.get("model_name") or metadata.get("model")


def usage_of(message: AIMessage) -> UsageReported | None:
    """Return the event of a response's usage, if the model tells it."""
    usage = message.usage_metadata
    if usage is None:
        return None
    return UsageReported(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        total_tokens=usage["total_tokens"],
        model=model_of(message),
    )


class Watch(BaseCallbackHandler):
    """Sees the end of every response, also of a model that a node streams by itself, past the journal."""

    run_inline = True
    raise_error = True

    def __init__(self, recorded: set[UUID]) -> None:
        self._recorded = recorded
        self.runs: dict[str, str] = {}
        """Which request a message answers: a message's id may change while it is streamed."""

    @property
    def ignore_chat_model(self) -> bool:
        """Whether beginnings of requests are of no interest: for who cannot take them the framework writes out the thread."""
        return True

    @property
    def ignore_chain(self) -> bool:
        """Whether beginnings and ends of nodes are of no interest."""
        return True

    @property
    def ignore_agent(self) -> bool:
        """Whether beginnings and ends of tools are of no interest."""
        return True

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_: Any) -> None:
        """Note which request the message of `chunk` answers."""
        if isinstance(chunk, ChatGenerationChunk) and chunk.message.id is not None:
            self.runs[chunk.message.id] = str(run_id)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Check that the response is whole, and mark its end.

        Raises:
            AgentFailed: It is truncated.
        """
        generation = response.generations[0][0] if response.generations and response.generations[0] else None
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            return
        message = generation.message
        if message.id is not None:
            self.runs[message.id] = str(run_id)
        if run_id in self._recorded:
            mark(Whole(str(run_id), message, None))
        else:
            check_whole(message)
            mark(Whole(str(run_id), message, usage_of(message)))
