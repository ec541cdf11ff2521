"""A chat model without a model, for LangChain: a function says what is streamed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import msgspec
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict

__all__ = ["Calls", "Deltas", "Script", "Scripted", "Thought", "prompts", "returns"]

Calls = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Thought:
    """A piece of reasoning, as a model's client streams it beside the text."""

    text: str


Deltas = AsyncIterator[str | Calls | Thought]
Script = Callable[..., Deltas]


class Scripted(BaseChatModel):
    """A chat model that streams what its script says: text, and calls whose ids are the tools' names or `fresh_ids`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    script: Any
    temperature: float | None = None
    fresh_ids: bool = False
    told_options: bool = False
    """Whether the script is also given the options of the request, with the tools that were bound."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=tools, **kwargs)

    def _deltas(self, messages: list[BaseMessage], options: dict[str, Any]) -> Deltas:
        return self.script(messages, options=options) if self.told_options else self.script(messages)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        count = 0
        async for delta in self._deltas(messages, kwargs):
            count += 1
            if isinstance(delta, str):
                yield ChatGenerationChunk(message=AIMessageChunk(content=delta))
            elif isinstance(delta, Thought):
                block = {"type": "reasoning", "reasoning": delta.text, "index": 0}
                yield ChatGenerationChunk(message=AIMessageChunk(content=[block]))
            else:
                chunks = [
                    {
                        "name": name,
                        "args": msgspec.json.encode(args).decode(),
                        "id": f"call_{uuid4().hex}" if self.fresh_ids else name,
                        "index": index,
                    }
                    for index, (name, args) in enumerate(delta)
                ]
                yield ChatGenerationChunk(
                    message=AIMessageChunk(content="", tool_call_chunks=cast("Any", chunks))
                )
        usage = {"input_tokens": len(messages), "output_tokens": count, "total_tokens": len(messages) + count}
        metadata = {"model_name": "scripted-1", "finish_reason": "stop"}
        yield ChatGenerationChunk(
            # The usage is a TypedDict of the framework, given as a dict.
            message=AIMessageChunk(content="", usage_metadata=cast("Any", usage), response_metadata=metadata)
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        async def whole() -> list[str | Calls | Thought]:
            return [delta async for delta in self._deltas(messages, kwargs)]

        deltas = asyncio.run(whole())
        calls = [call for delta in deltas if isinstance(delta, list) for call in delta]
        message = AIMessage(
            content="".join(delta for delta in deltas if isinstance(delta, str)),
            tool_calls=[{"name": name, "args": args, "id": name} for name, args in calls],
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def prompts(messages: Sequence[BaseMessage]) -> list[str]:
    """Return what the user said, turn by turn."""
    return [str(message.text) for message in messages if isinstance(message, HumanMessage)]


def returns(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    """What tools told the model since the user spoke."""
    last = max(i for i, message in enumerate(messages) if isinstance(message, HumanMessage))
    return [message for message in messages[last:] if isinstance(message, ToolMessage)]
