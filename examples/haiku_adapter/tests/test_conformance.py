"""Haiku poets pass the suite that every adapter passes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import haiku
from landline_haiku import HaikuAdapter, adapter

import landline
from landline.ports.adapter import AgentSpec
from landline.testing.adapters import AdapterConformance, AdapterKit, ToolBox


def poet(write: Callable[[haiku.Asked], AsyncGenerator[str]], **tools: Callable[..., Any]) -> haiku.Poet:
    return haiku.Poet("poet", write, tools)


class HaikuKit(AdapterKit):
    """The suite's small agents as poets; what the adapter does not declare is never asked for."""

    @property
    def adapter(self) -> HaikuAdapter:
        return adapter

    def echo(self) -> AgentSpec:
        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            for earlier in asked.earlier:
                yield f"Before: {earlier}. "
            for piece in ("You ", "said: ", asked.text):
                yield piece
                await asyncio.sleep(0)

        return landline.agent(poet(write), name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        def tool(name: str) -> Callable[..., Any]:
            def work(n: int) -> int:
                box.note(name, n)
                return n * 10

            return work

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            yield "Let me see. "
            await asked.use_all(("first", {"n": 1}), ("second", {"n": 2}))
            await asked.use("third", n=3)
            yield "Done."

        tools = {name: tool(name) for name in ("first", "second", "third")}
        return landline.agent(poet(write, **tools), name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        async def look(name: str) -> str:
            box.note("look", name)
            return f"saw {name}"

        async def delete(name: str) -> str:
            box.note("delete", name)
            return f"deleted {name}"

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            try:
                _, told = await asked.use_all(("look", {"name": "a"}), ("delete", {"name": "b"}))
            except haiku.ToolFailed as failed:
                told = str(failed)
            yield f"I was told: {told}"

        policies = {"delete": landline.tool(approval=True)}
        return landline.agent(poet(write, look=look, delete=delete), name="approval", tools=policies)

    def failing(self, canary: str) -> AgentSpec:
        def fail() -> None:
            raise ValueError(canary)

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            yield await asked.use("fail")

        return landline.agent(poet(write, fail=fail), name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            try:
                yield "one "
                box.started.set()
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        return landline.agent(poet(write), name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        async def wait() -> None:
            box.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                box.stopped.set()

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            yield await asked.use("wait")

        return landline.agent(poet(write, wait=wait), name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        def block() -> None:
            box.thread_started.set()
            box.release.wait(5)

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            yield await asked.use("block")

        return landline.agent(poet(write, block=block), name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        def pay() -> str:
            box.note("pay")
            return "paid"

        async def write(asked: haiku.Asked) -> AsyncGenerator[str]:
            try:
                yield await asked.use("pay")
            except haiku.ToolFailed as failed:
                yield str(failed)

        policies = {"pay": landline.tool(idempotent=idempotent)}
        return landline.agent(poet(write, pay=pay), name="idempotent", tools=policies)


class TestHaiku(AdapterConformance):
    kit = HaikuKit()
