"""Agents for the tutorials' wires: one of each framework on a scripted model of its own, and plain ones that go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypedDict

from agents import Agent as SdkAgent
from agents.testing import ScriptedModel, assistant_message
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

import landline
from landline.adapters.plain import PlainRun


class SupportOutput(BaseModel):
    support_advice: str
    block_card: bool
    risk_level: int
    follow_up_actions: list[str]


ADVICE = (
    '{"support_advice": "Block it now.", "block_card": true, "risk_level": 7, "follow_up_actions": ["call"]}'
)


async def _advise(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[dict[int, DeltaToolCall]]:
    yield {0: DeltaToolCall(name=info.output_tools[0].name)}
    for first in range(0, len(ADVICE), 9):
        yield {0: DeltaToolCall(json_args=ADVICE[first : first + 9])}


async def _chat(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    for word in ("I ", "heard ", "you ", f"{len(messages)}."):
        yield word


class State(TypedDict):
    input: str
    output: str


def _say(state: State) -> dict[str, str]:
    return {"output": f"Graph: {state['input']}"}


def _graph() -> Any:
    graph = StateGraph(State)
    graph.add_node("say", _say)  # pyright: ignore[reportUnknownMemberType] - the library's own types are partial
    graph.add_edge(START, "say")
    return graph.compile()  # pyright: ignore[reportUnknownMemberType] - the library's own types are partial


async def echo(run: PlainRun) -> str:
    """Say the message back."""
    return f"You said: {run.input}"


async def broken(run: PlainRun) -> str:
    """Fail with what nobody may see."""
    await run.text("Let me ")
    raise ValueError("canary")


async def asking(run: PlainRun) -> str:
    """Ask which card."""
    return f"Card {await run.ask('Which card?')}."


async def hold(run: PlainRun) -> None:
    """Say a word and wait to be stopped."""
    await run.text("waiting")
    await asyncio.Event().wait()


_bank: Any = Agent(FunctionModel(stream_function=_advise), output_type=SupportOutput, name="bank_support")
_chatty: Any = Agent(FunctionModel(stream_function=_chat), name="chatty")

agents = [
    landline.agent(_bank, name="bank_support", description="Bank cards and balances."),
    landline.agent(_chatty, name="chatty"),
    landline.agent(
        SdkAgent(name="sdk", model=ScriptedModel([[assistant_message("From the SDK.")]] * 50)), name="sdk"
    ),
    landline.agent(_graph(), name="graph"),
    landline.agent(echo, name="echo"),
    landline.agent(broken, name="broken"),
    landline.agent(asking, name="asking"),
    landline.agent(hold, name="hold"),
    landline.agent(hold, name="late", deadline_s=1.0),
]
