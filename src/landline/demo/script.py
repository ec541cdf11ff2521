"""A stand-in for a language model: simple rules over the user's words, streamed word by word.

It is a Pydantic AI model like any other, so everything around it (tools, approvals, structured output, the log) is
the real thing. Its name says what it is.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

__all__ = ["SCRIPT_NAME", "Call", "Reply", "Rules", "Said", "read", "scripted_model"]

SCRIPT_NAME = "landline-offline-script"


@dataclass(frozen=True, slots=True)
class Said:
    """What the script goes by: the user's newest words, and what the tools gave back since then, round by round."""

    words: str
    rounds: Sequence[Sequence[ToolReturnPart]]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the script wants to use."""

    name: str
    arguments: dict[str, Any]


Reply = str | Sequence[Call] | dict[str, Any]
"""The script's next move: words, tool calls, or a structured answer."""

Rules = Callable[[Said], Reply]


def read(messages: Sequence[ModelMessage]) -> Said:
    """Return what matters of the messages so far."""
    words, rounds = "", list[list[ToolReturnPart]]()
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        returns: list[ToolReturnPart] = []
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                words, rounds = _text(part), []
            elif isinstance(part, ToolReturnPart):
                returns.append(part)
        if returns:
            rounds.append(returns)
    return Said(words, rounds)


def _text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return " ".join(piece for piece in part.content if isinstance(piece, str))


def scripted_model(rules: Rules, *, delay_s: float) -> FunctionModel:
    """Return a model that answers by `rules`, pausing `delay_s` seconds after each word."""

    async def whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        match rules(read(messages)):
            case str() as words:
                return ModelResponse(parts=[TextPart(words)])
            case reply:
                calls = _calls(reply, info, len(messages))
                return ModelResponse(parts=[ToolCallPart(c.name, c.arguments, id_) for id_, c in calls])

    async def stream(
        messages: list[ModelMessage], info: AgentInfo
    ) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        match rules(read(messages)):
            case str() as words:
                for word in _words(words):
                    yield word
                    await asyncio.sleep(delay_s)
            case reply:
                for index, (id_, call) in enumerate(_calls(reply, info, len(messages))):
                    yield {index: DeltaToolCall(name=call.name, json_args="", tool_call_id=id_)}
                    for fragment in _words(json.dumps(call.arguments, ensure_ascii=False)):
                        yield {index: DeltaToolCall(json_args=fragment)}
                        await asyncio.sleep(delay_s)

    return FunctionModel(whole, stream_function=stream, model_name=SCRIPT_NAME)


def _calls(reply: Sequence[Call] | dict[str, Any], info: AgentInfo, position: int) -> list[tuple[str, Call]]:
    """Number the calls by their place among the messages: unique in a run, and the same when it is replayed."""
    calls = [Call(info.output_tools[0].name, reply)] if isinstance(reply, dict) else reply
    return [(f"script_{position}_{index}", call) for index, call in enumerate(calls)]


def _words(text: str) -> Iterator[str]:
    """Cut `text` after each word; the pieces add up to it."""
    return (match.group() for match in re.finditer(r"\s*\S+\s?|\s+", text))
