"""A model without a model, for the OpenAI Agents SDK: a function says what is streamed, in the Responses API's events."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents import Model, ModelResponse, Usage
from openai.types.responses import Response, ResponseCompletedEvent, ResponseUsage
from openai.types.responses.response_output_item_done_event import ResponseOutputItemDoneEvent
from openai.types.responses.response_reasoning_summary_text_delta_event import (
    ResponseReasoningSummaryTextDeltaEvent,
)
from openai.types.responses.response_text_delta_event import ResponseTextDeltaEvent

_ids = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` as text is sent as it stands."""

    name: str
    arguments: Any = field(default_factory=dict[str, Any])
    call_id: str = ""


@dataclass(frozen=True)
class Think:
    """A piece of reasoning."""

    text: str


@dataclass(frozen=True)
class Raw:
    """An output item as it is, such as a tool call that the provider ran itself."""

    item: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a model call was asked; `offered` are the tools themselves, `schema` is the one of the answer."""

    instructions: str | None
    items: Sequence[Any]
    tools: Sequence[str]
    handoffs: Sequence[str]
    settings: Any
    offered: Sequence[Any] = ()
    schema: dict[str, Any] | None = None

    @property
    def prompts(self) -> list[str]:
        """What the user said, turn by turn."""
        return [_said(item) for item in self.items if item.get("role") == "user"]

    @property
    def told(self) -> list[tuple[str, str]]:
        """(tool, output) since the user spoke."""
        last = max(at for at, item in enumerate(self.items) if item.get("role") == "user")
        names: dict[str, str] = {}
        told: list[tuple[str, str]] = []
        for item in self.items[last:]:
            if item.get("type") == "function_call":
                names[item["call_id"]] = item["name"]
            elif item.get("type") == "function_call_output":
                output = item["output"]
                told.append((names[item["call_id"]], str(output) if isinstance(output, str) else output))
        return told


def _said(item: Any) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


Piece = str | Call | Think | Raw
Speaks = Callable[[Asked], AsyncIterator[Piece]]


class FunctionModel(Model):
    """Streams what `speaks` yields; counts its calls."""

    def __init__(self, speaks: Speaks, *, model: str = "function") -> None:
        self._speaks, self.model = speaks, model
        self.calls: list[Asked] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        events = [event async for event in self.stream_response(*args, **kwargs)]
        response = events[-1].response
        return ModelResponse(output=response.output, usage=Usage(), response_id=response.id)

    async def stream_response(  # noqa: PLR0913 - the signature is the framework's
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the framework's name
        model_settings: Any,
        tools: Any,
        output_schema: Any,
        handoffs: Any,
        tracing: Any,
        **_: Any,
    ) -> AsyncIterator[Any]:
        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        asked = Asked(
            system_instructions,
            items,
            [tool.name for tool in tools],
            [handoff.tool_name for handoff in handoffs],
            model_settings,
            tools,
            None if output_schema is None or output_schema.is_plain_text() else output_schema.json_schema(),
        )
        self.calls.append(asked)
        del self.calls[:-100]
        text = thought = ""
        output: list[dict[str, Any]] = []
        async for piece in self._speaks(asked):
            if isinstance(piece, str):
                text += piece
                yield ResponseTextDeltaEvent.construct(
                    type="response.output_text.delta", delta=piece, item_id="m", content_index=0
                )
            elif isinstance(piece, Think):
                thought += piece.text
                yield ResponseReasoningSummaryTextDeltaEvent.construct(
                    type="response.reasoning_summary_text.delta", delta=piece.text, item_id="r"
                )
            elif isinstance(piece, Raw):
                output.append(piece.item)
            else:
                output.append(call_item(piece))
        output = [*_message(text, thought), *output]
        response = Response.construct(
            id=f"resp_{next(_ids)}", model=self.model, object="response", output=output, status="completed",
            usage={"input_tokens": 7, "output_tokens": 5, "total_tokens": 12,
                   "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
        )  # fmt: skip
        assert isinstance(response.usage, ResponseUsage)
        for item in response.output:
            yield ResponseOutputItemDoneEvent.construct(type="response.output_item.done", item=item)
        yield ResponseCompletedEvent.construct(
            type="response.completed", response=response, sequence_number=1
        )


def call_item(call: Call) -> dict[str, Any]:
    """Return the output item of a call."""
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
    number = next(_ids)
    return {
        "type": "function_call", "id": f"fc_{number}", "call_id": call.call_id or f"call_{number}",
        "name": call.name, "arguments": arguments, "status": "completed",
    }  # fmt: skip


def _message(text: str, thought: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if thought:
        summary = [{"type": "summary_text", "text": thought}]
        items.append({"type": "reasoning", "id": f"rs_{next(_ids)}", "summary": summary})
    if text:
        content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}]
        items.append(
            {"type": "message", "id": f"msg_{next(_ids)}", "role": "assistant", "status": "completed",
             "content": content}
        )  # fmt: skip
    return items
