"""The agent that the kill run serves on LangGraph: the same plans and the same ledger as `agents.py`."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import langchain.agents
from langchain.tools import ToolRuntime
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import tool

import landline
from landline.testing.kill import Ledger

ledger = Ledger(Path(os.environ.get("FAULTS_LEDGER", "ledger.jsonl")))

POLICIES = {"pay": landline.tool(approval=True), "stamp": landline.tool(idempotent=True)}


class Planned(BaseChatModel):
    """A model without a model: which tool comes next follows from the tools that have returned in this turn."""

    @property
    def _llm_type(self) -> str:
        return "faults"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError  # abstract in LangChain, which asks `_astream` wherever a run streams

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        plan, returned = _so_far(messages)
        todo = [("book", "stamp", "file")[number % 3] for number in range(plan["steps"])]
        todo += ["pay"] if plan["pay"] else []
        for number in range(plan["words"]):
            yield _text(f"m{len(returned)}.{number} ")
            await asyncio.sleep(plan["pause_s"])
        if len(returned) < len(todo):
            call = {
                "name": todo[len(returned)],
                "args": json.dumps({"pause_s": plan["pause_s"]}),
                "id": f"call_{uuid.uuid4().hex[:24]}",
                "index": 0,
            }
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))  # pyright: ignore[reportArgumentType] - a plain dict for the TypedDict
        else:
            yield _text(f"[{plan['nonce']}] done.")


def _text(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def _so_far(messages: list[BaseMessage]) -> tuple[dict[str, Any], list[str]]:
    """Return the plan of the newest user message and the tools that returned since."""
    plan: dict[str, Any] = {}
    returned: list[str] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            plan, returned = json.loads(str(message.text)), []
        elif isinstance(message, ToolMessage):
            returned.append(str(message.name))
    return plan, returned


async def _tool(runtime: ToolRuntime[str, Any], name: str, pause_s: float) -> str:
    with ledger.execution(runtime.context, str(runtime.tool_call_id), name):
        await asyncio.sleep(pause_s)
    return name


@tool
async def book(pause_s: float, runtime: ToolRuntime[str, Any]) -> str:
    """Book."""
    return await _tool(runtime, "book", pause_s)


@tool
async def stamp(pause_s: float, runtime: ToolRuntime[str, Any]) -> str:
    """Stamp."""
    return await _tool(runtime, "stamp", pause_s)


@tool
def file(pause_s: float, runtime: ToolRuntime[str, Any]) -> str:
    """File, in a thread."""
    with ledger.execution(runtime.context, str(runtime.tool_call_id), "file"):
        time.sleep(pause_s)
    return "file"


@tool
async def pay(pause_s: float, runtime: ToolRuntime[str, Any]) -> str:
    """Pay."""
    return await _tool(runtime, "pay", pause_s)


def _run_id(caller: Any, run: Any) -> str:
    return str(run.id)


model_agent = cast("Any", langchain.agents).create_agent(
    Planned(), [book, stamp, file, pay], context_schema=str
)

agents = [landline.agent(model_agent, name="model", tools=POLICIES, context=_run_id)]
