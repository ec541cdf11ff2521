"""A model without a model, for AG2: a function says what is streamed."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelMessageChunk,
    ModelReasoning,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultEvent,
    ToolResultsEvent,
    Usage,
)

__all__ = ["Said", "Script", "ScriptConfig", "call", "prompts", "told", "words"]

Said = str | ToolCallEvent | ModelReasoning
Script = Callable[..., AsyncIterator[Said]]
"""Takes the messages and the context, and with `told_options` also `options`: the tools and the schema of the answer."""


class ScriptConfig(ModelConfig):
    """A model that streams what `script` yields of what it is told: the same for the same, as a resumed run needs."""

    def __init__(self, script: Script, *, told_options: bool = False) -> None:
        self.script, self.told_options = script, told_options
        self.asked = 0
        self.offered: list[Any] = []

    @property
    def provider(self) -> ModelProvider:
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        return "scripted"

    def copy(self) -> "ScriptConfig":
        return self

    def create(self) -> LLMClient:
        return _Client(self)

    def create_files_client(self) -> Any:
        raise NotImplementedError  # abstract in AG2, which asks for it where an agent uploads files


class _Client(LLMClient):
    def __init__(self, config: ScriptConfig) -> None:
        self._config = config

    async def __call__(
        self,
        messages: Sequence[BaseEvent],
        context: ConversationContext,
        *,
        tools: Iterable[Any] = (),
        **more: Any,
    ) -> ModelResponse:
        self._config.asked += 1
        self._config.offered = list(tools)
        options = {"options": {**more, "tools": self._config.offered}} if self._config.told_options else {}
        text, calls = "", list[ToolCallEvent]()
        async for said in self._config.script(messages, context, **options):
            match said:
                case str():
                    text += said
                    await context.send(ModelMessageChunk(said))
                case ModelReasoning():
                    await context.send(said)
                case _:
                    calls.append(said)
        return ModelResponse(
            ModelMessage(text) if text else None,
            tool_calls=ToolCallsEvent(calls),
            usage=Usage(prompt_tokens=len(messages), completion_tokens=2),
            model="scripted-1",
        )


def call(name: str, /, **arguments: Any) -> ToolCallEvent:
    """A call whose id is the tool's name: such ids come again from turn to turn."""
    return ToolCallEvent(name, id=name, arguments=json.dumps(arguments))


def told(messages: Sequence[BaseEvent]) -> list[ToolResultEvent]:
    """What tools told the model since the user spoke."""
    last = max(i for i, message in enumerate(messages) if isinstance(message, ModelRequest))
    batches = (message for message in messages[last:] if isinstance(message, ToolResultsEvent))
    return [result for batch in batches for result in batch.results]


def words(result: ToolResultEvent) -> str:
    """Return what a result tells the model, as text."""
    return " ".join(str(getattr(part, "content", getattr(part, "data", ""))) for part in result.result.parts)


def prompts(messages: Sequence[BaseEvent]) -> list[str]:
    """Return what the user said, turn by turn."""
    return [
        "".join(part.content for part in message.parts if isinstance(part, TextInput))
        for message in messages
        if isinstance(message, ModelRequest)
    ]
