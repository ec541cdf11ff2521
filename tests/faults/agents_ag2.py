"""The AG2 agent that the kill run serves: the plan and the tools of `agents.py`, in AG2."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from ag2 import Agent, Context, Inject
from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelMessageChunk,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultsEvent,
    Usage,
)

import landline
from landline.testing.kill import Ledger

ledger = Ledger(Path(os.environ.get("FAULTS_LEDGER", "ledger.jsonl")))

POLICIES = {"pay": landline.tool(approval=True), "stamp": landline.tool(idempotent=True)}

RunId = Annotated[str, Inject("context")]


class Planned(ModelConfig):
    """A model without a model: which tool comes next follows from the tools that have returned in this turn."""

    @property
    def provider(self) -> ModelProvider:
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        return "faults"

    def copy(self) -> Planned:
        return self

    def create(self) -> LLMClient:
        return PlannedClient()

    def create_files_client(self) -> Any:
        raise NotImplementedError  # abstract in AG2, which asks for it where an agent uploads files


class PlannedClient(LLMClient):
    async def __call__(
        self, messages: Sequence[BaseEvent], context: ConversationContext, **_: Any
    ) -> ModelResponse:
        plan, returned = so_far(messages)
        text = ""
        async for word in speak(plan, len(returned)):
            text += word
            await context.send(ModelMessageChunk(word))
        todo = [("book", "stamp", "file")[number % 3] for number in range(plan["steps"])]
        todo += ["pay"] if plan["pay"] else []
        calls: list[ToolCallEvent] = []
        if len(returned) < len(todo):
            arguments = json.dumps({"pause_s": plan["pause_s"]})
            calls = [
                ToolCallEvent(todo[len(returned)], id=f"call_{uuid.uuid4().hex[:24]}", arguments=arguments)
            ]
        else:
            last = f"[{plan['nonce']}] done."
            text += last
            await context.send(ModelMessageChunk(last))
        return ModelResponse(
            ModelMessage(text),
            tool_calls=ToolCallsEvent(calls),
            usage=Usage(prompt_tokens=1, completion_tokens=1),
            model="faults",
        )


async def speak(plan: dict[str, Any], turn: int) -> AsyncIterator[str]:
    for number in range(plan["words"]):
        yield f"m{turn}.{number} "
        await asyncio.sleep(plan["pause_s"])


def so_far(messages: Sequence[BaseEvent]) -> tuple[dict[str, Any], list[str]]:
    """Return the plan of the newest user message and the tools that returned since."""
    plan: dict[str, Any] = {}
    returned: list[str] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            texts = [part.content for part in message.parts if isinstance(part, TextInput)]
            plan, returned = json.loads("".join(texts)), []
        elif isinstance(message, ToolResultsEvent):
            returned += [str(result.name) for result in message.results]
    return plan, returned


model_agent = Agent("model", config=Planned())


async def _tool(run_id: str, ctx: Context, name: str, pause_s: float) -> str:
    with ledger.execution(run_id, str(ctx.tool_call_id), name):
        await asyncio.sleep(pause_s)
    return name


@model_agent.tool
async def book(pause_s: float, run_id: RunId, ctx: Context) -> str:
    """Book."""
    return await _tool(run_id, ctx, "book", pause_s)


@model_agent.tool
async def stamp(pause_s: float, run_id: RunId, ctx: Context) -> str:
    """Stamp."""
    return await _tool(run_id, ctx, "stamp", pause_s)


@model_agent.tool
def file(pause_s: float, run_id: RunId, ctx: Context) -> str:
    """File, in a thread."""
    with ledger.execution(run_id, str(ctx.tool_call_id), "file"):
        time.sleep(pause_s)
    return "file"


@model_agent.tool
async def pay(pause_s: float, run_id: RunId, ctx: Context) -> str:
    """Pay."""
    return await _tool(run_id, ctx, "pay", pause_s)


def _run_id(caller: Any, run: Any) -> str:
    return str(run.id)


agents = [landline.agent(model_agent, name="model", tools=POLICIES, context=_run_id)]
