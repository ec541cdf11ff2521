"""The conformance suite's agents, written with LangChain's `create_agent` on a scripted chat model."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Any, cast

import langchain.agents
import langgraph.func
import langgraph.graph
import msgspec
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
)
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.graph import START, MessagesState
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from landline.adapters.langgraph import LangGraphAdapter, adapter
from landline.adapters.langgraph.brought import BroughtTools
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.testing.adapters import AdapterKit, ToolBox
from landline.testing.models.langgraph import Deltas, Script, Scripted, Thought, prompts, returns
from tests.adapters.wanted_place import written

create_agent = cast("Any", langchain.agents).create_agent
StateGraph = cast("Any", langgraph.graph).StateGraph
entrypoint = cast("Any", langgraph.func).entrypoint
task = cast("Any", langgraph.func).task
"""The framework's own, whose generics are in part unknown to a type checker."""


class Place(BaseModel):
    """A place."""

    city: str
    people: int
    sights: list[str]


def next_node(state: dict[str, Any]) -> str:
    """Go on to the tools that the last message calls, or end."""
    return "tools" if state["messages"][-1].tool_calls else "__end__"


def once(name: str, arguments: dict[str, Any] | None = None) -> Script:
    async def stream(messages: list[BaseMessage]) -> Deltas:
        if told := returns(messages):
            yield f"I was told: {told[0].content}"
        else:
            yield [(name, arguments or {})]

    return stream


async def echo(messages: list[BaseMessage]) -> Deltas:
    *before, last = prompts(messages)
    for text in before:
        yield f"Before: {text}. "
    for piece in ("You ", "said: ", last):
        await asyncio.sleep(0)
        yield piece


class LangGraphKit(AdapterKit):
    @property
    def adapter(self) -> LangGraphAdapter:
        return adapter

    def echo(self) -> AgentSpec:
        return AgentSpec(agent=create_agent(Scripted(script=echo)), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            match len(returns(messages)):
                case 0:
                    yield "Let me "
                    yield "see. "
                    yield [("first", {"n": 1}), ("second", {"n": 2})]
                case 2:
                    yield [("third", {"n": 3})]
                case _:
                    yield "Do"
                    yield "ne."

        @tool
        async def first(n: int) -> int:
            """First."""
            box.note("first", n)
            return n * 10

        @tool
        def second(n: int) -> int:
            """Second."""
            box.note("second", n)
            return n * 10

        @tool
        async def third(n: int) -> int:
            """Third."""
            box.note("third", n)
            return n * 10

        return AgentSpec(agent=create_agent(Scripted(script=stream), [first, second, third]), name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            told = returns(messages)
            if not told:
                yield [("look", {"name": "a"}), ("delete", {"name": "b"})]
            else:
                yield "I was told: "
                yield str(next(message.content for message in told if message.name == "delete"))

        @tool
        async def look(name: str) -> str:
            """Look."""
            box.note("look", name)
            return f"saw {name}"

        @tool
        async def delete(name: str) -> str:
            """Delete."""
            box.note("delete", name)
            return f"deleted {name}"

        return AgentSpec(
            agent=create_agent(Scripted(script=stream), [look, delete]),
            name="approval",
            tools={"delete": ToolPolicy(approval=True)},
        )

    def structured(self) -> AgentSpec:
        async def stream(_: list[BaseMessage]) -> Deltas:
            yield [("Place", {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]})]

        agent = create_agent(Scripted(script=stream), response_format=ToolStrategy(Place))
        return AgentSpec(agent=agent, name="structured")

    def reasoning(self) -> AgentSpec:
        async def stream(_: list[BaseMessage]) -> Deltas:
            yield Thought("Hm, ")
            yield Thought("so. ")
            yield "4"
            yield "2"

        return AgentSpec(agent=create_agent(Scripted(script=stream)), name="reasoning")

    def settings(self) -> AgentSpec:
        async def stream(_: list[BaseMessage], *, options: dict[str, Any]) -> Deltas:
            # As a provider's client does: what the request says, else what the model was made with.
            yield str(options.get("temperature", model.temperature))

        model = Scripted(script=stream, told_options=True)
        return AgentSpec(agent=create_agent(model), name="settings")

    def sees(self) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            for block in cast("list[dict[str, Any]]", messages[-1].content_blocks):
                if block["type"] in ("image", "file"):
                    yield f"{block['mime_type']} {len(base64.b64decode(block['base64']))}"

        return AgentSpec(agent=create_agent(Scripted(script=stream)), name="sees")

    def asks(self) -> AgentSpec:
        async def greet(state: MessagesState) -> dict[str, Any]:
            name = interrupt("Your name?")
            return {"messages": [AIMessage(content=f"Hello, {name}.")]}

        graph = StateGraph(MessagesState)
        graph.add_node("greet", greet)
        graph.add_edge(START, "greet")
        return AgentSpec(agent=graph.compile(), name="asks")

    def handoff(self) -> AgentSpec:
        async def call(_: list[BaseMessage]) -> Deltas:
            yield [("transfer_to_back", {})]

        async def answer(_: list[BaseMessage]) -> Deltas:
            yield "Back "
            yield "here."

        @tool
        async def transfer_to_back(tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
            """Hand over to the agent `back`."""
            told = ToolMessage("Handed over.", name="transfer_to_back", tool_call_id=tool_call_id)
            return Command(goto="back", graph=Command.PARENT, update={"messages": [told]})

        graph = StateGraph(MessagesState)
        front = create_agent(Scripted(script=call), [transfer_to_back], name="front")
        graph.add_node("front", front, destinations=("back",))
        graph.add_node("back", create_agent(Scripted(script=answer), name="back"))
        graph.add_edge(START, "front")
        return AgentSpec(agent=graph.compile(), name="front")

    def failing(self, canary: str) -> AgentSpec:
        @tool
        async def broken() -> str:
            """Break."""
            raise RuntimeError(canary)

        return AgentSpec(agent=create_agent(Scripted(script=once("broken")), [broken]), name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def stream(_: list[BaseMessage]) -> Deltas:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return AgentSpec(agent=create_agent(Scripted(script=stream)), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        @tool
        async def wait() -> str:
            """Wait."""
            try:
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()
            return "never"

        return AgentSpec(agent=create_agent(Scripted(script=once("wait")), [wait]), name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        @tool
        def block() -> str:
            """Block."""
            box.thread_started.set()
            box.release.wait(10)
            return "late"

        return AgentSpec(agent=create_agent(Scripted(script=once("block")), [block]), name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        @tool
        async def pay() -> str:
            """Pay."""
            box.note("pay")
            return "paid"

        return AgentSpec(
            agent=create_agent(Scripted(script=once("pay")), [pay]),
            name="paying",
            tools={"pay": ToolPolicy(idempotent=idempotent)},
        )

    def context(self) -> AgentSpec:
        async def stream(messages: list[BaseMessage]) -> Deltas:
            yield next(str(message.text) for message in messages if isinstance(message, SystemMessage))

        @dynamic_prompt
        def say(request: ModelRequest[Any]) -> str:
            return str(request.runtime.context)

        return AgentSpec(
            agent=create_agent(Scripted(script=stream), middleware=[say], context_schema=str), name="context"
        )

    def brought(self) -> AgentSpec:
        greeting = Scripted(script=once("greet", {"name": "Ada"}))
        return AgentSpec(agent=create_agent(greeting, middleware=[BroughtTools()]), name="brought")

    def wanted(self) -> AgentSpec:
        async def stream(messages: list[BaseMessage], *, options: dict[str, Any]) -> Deltas:
            if options.get("tools") and not returns(messages):
                yield [("greet", {"name": "Ada"})]
            elif "response_format" not in options:
                yield f"You said: {prompts(messages)[-1]}"
            else:
                for piece in written(prompts(messages)[-1]):
                    yield piece

        model = Scripted(script=stream, told_options=True)
        return AgentSpec(agent=create_agent(model, middleware=[BroughtTools()]), name="wanted")

    def texts_of(self, native: bytes) -> Sequence[str]:
        turn = msgspec.json.decode(native)
        return [
            str(message.text)
            for message in messages_from_dict(turn["messages"])
            if isinstance(message, HumanMessage | AIMessage) and message.text
        ]
