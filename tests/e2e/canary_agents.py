"""Agents that fail with secrets in their mouths: each error of theirs holds every canary of the test (TRU-17)."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import Agent as SdkAgent
from agents import OpenAIChatCompletionsModel, function_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from openai import AsyncOpenAI
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import landline
from landline.testing.models import openai_agents as scripted

PLANTED = json.loads(Path("planted.json").read_text())
SAID: str = PLANTED["said"]
"""Every canary, each as such errors usually tell it."""
STUB: str = PLANTED["stub"]
"""A server that answers every request with 401 and all headers and the body it was sent."""
KEYS: dict[str, str] = PLANTED["canaries"]


class _OwnError(Exception):
    def __init__(self) -> None:
        super().__init__("own", {"headers": {"X-Acme-Access": KEYS["mcp"]}, "said": SAID})


def raises(_: str) -> str:
    raise ValueError(SAID)


def chained(_: str) -> str:
    try:
        raise KeyError(SAID)
    except KeyError as first:
        first.add_note(SAID)
        raise ExceptionGroup(SAID, [OSError(SAID), _OwnError()]) from first


async def late(_: Any) -> AsyncIterator[str]:
    yield "so far "
    raise RuntimeError(SAID)


async def tool(run: Any) -> str:
    def lookup(word: str) -> str:
        raise PermissionError(SAID + word)

    return str(await run.tool("lookup", lookup, word="x"))


async def step(run: Any) -> str:
    def broken() -> None:
        raise _OwnError

    return str(await run.step("broken", broken))


def unfit(_: str) -> Any:
    return {"not json": object, SAID: {1, 2}}


async def noisy(run: Any) -> str:
    """Logs, warns, and leaves failing tasks and threads behind."""
    logging.getLogger("noisy").error("it said %s", SAID, extra={"headers": {"authorization": KEYS["bearer"]}})
    logging.getLogger("noisy").debug({"password": KEYS["password"], "deep": [{"token": SAID}]})
    logging.getLogger("noisy").info("%d", SAID)
    warnings.warn(SAID, stacklevel=1)
    loop = asyncio.get_running_loop()
    loop.call_soon(raises, "")
    task = loop.create_task(asyncio.to_thread(raises, ""))
    await asyncio.sleep(0.05)
    del task
    thread = threading.Thread(target=raises, args=("",))
    thread.start()
    thread.join()
    return "done"


async def reaches(run: Any) -> str:
    return str(await run.mcp("read", where="x"))


async def waits(run: Any) -> str:
    await run.ask("Shall I?", kind="approval", tool="erase", arguments={"what": "all"})
    raise ValueError(SAID)


def _node(_: MessagesState) -> MessagesState:
    raise ValueError(SAID)


_graph: Any = StateGraph(MessagesState)
_graph.add_node("node", _node)
_graph.add_edge(START, "node")
_graph.add_edge("node", END)


async def _calls(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    if any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts):
        yield "done"
    else:
        yield {0: DeltaToolCall(name="lookup", json_args="{}", tool_call_id="c1")}


def _calls_whole(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts):
        return ModelResponse(parts=[TextPart("done")])
    return ModelResponse(parts=[ToolCallPart("lookup", {}, "c1")])


pai_tool = PydanticAgent(FunctionModel(_calls_whole, stream_function=_calls), name="pai-tool")


@pai_tool.tool_plain
def lookup() -> str:
    """Look something up."""
    raise ValueError(SAID)


pai_model = PydanticAgent(
    OpenAIChatModel("m", provider=OpenAIProvider(base_url=f"{STUB}/v1", api_key=KEYS["openai"])),
    name="pai-model",
)

sdk_model = SdkAgent(
    name="sdk-model",
    model=OpenAIChatCompletionsModel(
        "m", AsyncOpenAI(base_url=f"{STUB}/v1", api_key=KEYS["openai"], max_retries=0)
    ),
)


async def _sdk(asked: scripted.Asked) -> AsyncIterator[scripted.Piece]:
    if asked.told:
        yield "done"
    else:
        yield scripted.Call("fetch", {})


@function_tool
def fetch() -> str:
    """Fetch something."""
    raise ValueError(SAID)


sdk_tool = SdkAgent(name="sdk-tool", model=scripted.FunctionModel(_sdk), tools=[fetch])

_headers = {
    "Authorization": f"Bearer {KEYS['bearer']}",
    "X-Acme-Access": KEYS["mcp"],
    "Cookie": KEYS["cookie"],
}
_servers = [landline.mcp(f"{STUB}/mcp", name="stub", headers=_headers)]

agents = [
    landline.agent(raises, name="raises"),
    landline.agent(chained, name="chained"),
    landline.agent(late, name="late"),
    landline.agent(tool, name="tool"),
    landline.agent(step, name="step"),
    landline.agent(unfit, name="unfit"),
    landline.agent(noisy, name="noisy"),
    landline.agent(waits, name="waits"),
    landline.agent(_graph.compile(), name="graph"),
    landline.agent(pai_tool, name="pai-tool"),
    landline.agent(pai_model, name="pai-model"),
    landline.agent(sdk_model, name="sdk-model"),
    landline.agent(sdk_tool, name="sdk-tool"),
    landline.agent(reaches, name="mcp", mcp=_servers),
    landline.agent(
        PydanticAgent(FunctionModel(_calls_whole, stream_function=_calls)), name="pai-mcp", mcp=_servers
    ),
    landline.agent(
        landline.remote(f"{STUB}/v1", protocol="openai-chat", agent="m", headers=_headers), name="far-model"
    ),
    landline.agent(landline.remote(STUB, headers=_headers), name="far-line"),
    landline.agent(landline.remote(STUB, protocol="a2a", headers=_headers), name="far-a2a"),
]
