"""How the tests of plain agents drive a function, and the fixture agents of the adapter suite as plain functions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pydantic_core

import landline
from landline.adapters.plain import PlainAdapter, PlainRun, SyncRun, adapter
from landline.model.callers import Caller
from landline.model.events import UsageReported
from landline.model.messages import FilePart, ImagePart
from landline.ports.adapter import AgentSpec, Ask, Suspended, ToolPolicy, ToolRaised
from landline.testing.adapters import AdapterKit, ToolBox
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.wanted_place import written

USER = Caller(tenant="t", user="u")


async def play(
    fn: Callable[..., Any],
    line: MemoryLine,
    *,
    text: str = "hi",
    tools: Mapping[str, ToolPolicy] | None = None,
    **given: Any,
) -> Any:
    """Run one segment; returns the output, or raises what ended it."""
    spec = landline.agent(fn, name="plain", tools=tools)
    given.setdefault("caller", USER)
    return (await drive(adapter, line, turn_of(line, spec, text, **given))).output


async def play_on(
    fn: Callable[..., Any], line: MemoryLine, answer: Callable[[Ask], dict[str, Any]], **given: Any
) -> tuple[Any, MemoryLine]:
    """Run segment after segment, over crashes and questions, until the output is there."""
    for _ in range(20):
        try:
            return await play(fn, line, **given), line
        except Crashed:
            line = line.resumed(drop=False)
        except Suspended:
            if not line.dead:
                assert all(complete for _, _, complete in line.messages()), (
                    "no message is open while it waits"
                )
                for key, ask in list(line.questions.items()):
                    line.answer(key, **answer(ask))
            line = line.resumed(drop=False)
    raise AssertionError("the function asks for ever")


def texts(line: MemoryLine) -> list[str]:
    """The messages that count."""
    return [text for _, text, _ in line.messages()]


class _Kit(AdapterKit):
    """What async and sync kits share."""

    @property
    def adapter(self) -> PlainAdapter:
        return adapter


class AsyncKit(_Kit):
    """The fixture agents as async functions and generators."""

    def echo(self) -> AgentSpec:
        async def echo(run: PlainRun) -> AsyncIterator[Any]:
            for message in run.history:
                if message.role == "user":
                    yield f"Before: {_text(message)}. "
            for piece in ("You ", "said: ", run.input):
                yield piece
                await asyncio.sleep(0)
            yield UsageReported(input_tokens=1, output_tokens=2, total_tokens=3)

        return landline.agent(echo, name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        async def work(name: str, n: int) -> int:
            box.note(name, n)
            return n * 10

        async def tools(run: PlainRun) -> str:
            await run.text("Let me see. ")
            await asyncio.gather(
                run.tool("first", partial(work, "first"), n=1),
                run.tool("second", partial(work, "second"), n=2),
            )
            await run.tool("third", partial(work, "third"), n=3)
            return "Done."

        return landline.agent(tools, name="tools", tools={"third": landline.tool()})

    def approval(self, box: ToolBox) -> AgentSpec:
        async def look(name: str) -> str:
            box.note("look", name)
            return f"saw {name}"

        async def delete(name: str) -> str:
            box.note("delete", name)
            return f"deleted {name}"

        async def approval(run: PlainRun) -> str:
            async def guarded() -> str:
                try:
                    return await run.tool("delete", delete, name="b")
                except ToolRaised as raised:
                    return raised.message

            _, told = await asyncio.gather(run.tool("look", look, name="a"), guarded())
            return f"I was told: {told}"

        return landline.agent(
            approval, name="approval", tools={"look": landline.tool(), "delete": landline.tool(approval=True)}
        )

    def structured(self) -> AgentSpec:
        async def structured() -> AsyncIterator[dict[str, Any]]:
            yield {"city": "Paris"}
            yield {"city": "Paris", "people": 2_000_000}
            yield {"city": "Paris", "people": 2_000_000, "sights": ["Louvre"]}
            yield {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}

        return landline.agent(structured, name="structured")

    def reasoning(self) -> AgentSpec:
        async def reasoning(run: PlainRun) -> str:
            await run.reasoning("Hm, ")
            await run.reasoning("so. ")
            return "42"

        return landline.agent(reasoning, name="reasoning")

    def settings(self) -> AgentSpec:
        async def settings(run: PlainRun) -> str:
            return str(run.settings.get("temperature"))

        return landline.agent(settings, name="settings")

    def sees(self) -> AgentSpec:
        async def sees(run: PlainRun) -> AsyncIterator[str]:
            for part in run.parts:
                if isinstance(part, FilePart | ImagePart):
                    _, media_type, content = await run.read_file(part.file_id)
                    yield f"{media_type} {len(content)}"

        return landline.agent(sees, name="sees")

    def asks(self) -> AgentSpec:
        async def asks(run: PlainRun) -> str:
            return f"Hello, {await run.ask('Your name?')}."

        return landline.agent(asks, name="asks")

    def failing(self, canary: str) -> AgentSpec:
        def fail() -> None:
            raise ValueError(canary)

        async def failing(run: PlainRun) -> None:
            await run.tool("fail", fail)

        return landline.agent(failing, name="failing")

    def endless(self, box: ToolBox) -> AgentSpec:
        async def endless(run: PlainRun) -> None:
            await run.text("one ")
            await _for_ever(box)

        return landline.agent(endless, name="endless")

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        async def endless_tool(run: PlainRun) -> None:
            await run.tool("wait", lambda: _for_ever(box))

        return landline.agent(endless_tool, name="endless_tool")

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        async def blocking_tool(run: PlainRun) -> None:
            await run.tool("block", lambda: _block(box))

        return landline.agent(blocking_tool, name="blocking_tool")

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        def pay() -> str:
            box.note("pay")
            return "paid"

        async def idem(run: PlainRun) -> str:
            try:
                return await run.tool("pay", pay)
            except ToolRaised as raised:
                return raised.message

        return landline.agent(idem, name="idempotent", tools={"pay": landline.tool(idempotent=idempotent)})

    def context(self) -> AgentSpec:
        async def context(run: PlainRun) -> str:
            return run.context

        return landline.agent(context, name="context")

    def steered(self) -> AgentSpec:
        async def steered(run: PlainRun) -> str:
            await run.text("Let me see. ")
            return _also(await run.inputs())

        return landline.agent(steered, name="steered")

    def wanted(self) -> AgentSpec:
        async def wanted(run: PlainRun) -> Any:
            if any(tool.name == "greet" for tool in run.mcp_tools):
                await run.mcp("greet", name="Ada")
            if run.output_schema is None:
                return f"You said: {run.input}"
            for so_far in _parts(run.input):
                await run.output(so_far)
            return None

        return landline.agent(wanted, name="wanted")

    def brought(self) -> AgentSpec:
        async def brought(run: PlainRun) -> str:
            try:
                return f"I was told: {await run.mcp('greet', name='Ada')}"
            except ToolRaised as raised:
                return raised.message

        return landline.agent(brought, name="brought")


class SyncKit(AsyncKit):
    """The same as sync functions and generators, where that is another thing."""

    def echo(self) -> AgentSpec:
        def echo(run: SyncRun) -> Any:
            for message in run.history:
                if message.role == "user":
                    yield f"Before: {_text(message)}. "
            yield from ("You ", "said: ", run.input)
            run.emit(UsageReported(input_tokens=1, output_tokens=2, total_tokens=3))

        return landline.agent(echo, name="echo")

    def tools(self, box: ToolBox) -> AgentSpec:
        def work(name: str, n: int) -> int:
            box.note(name, n)
            return n * 10

        def tools(run: SyncRun) -> str:
            run.text("Let me see. ")
            for n, name in enumerate(("first", "second", "third"), 1):
                run.tool(name, partial(work, name), n=n)
            return "Done."

        return landline.agent(tools, name="tools")

    def approval(self, box: ToolBox) -> AgentSpec:
        def note(tool: str, name: str) -> str:
            box.note(tool, name)
            return f"{tool}d {name}"

        def approval(run: SyncRun) -> str:
            run.tool("look", partial(note, "look"), name="a")
            try:
                return run.tool("delete", partial(note, "delete"), name="b")
            except ToolRaised as raised:
                return raised.message

        return landline.agent(
            approval, name="approval", tools={"look": landline.tool(), "delete": landline.tool(approval=True)}
        )

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        def blocking_tool(run: SyncRun) -> None:
            run.tool("block", lambda: _block(box))

        return landline.agent(blocking_tool, name="blocking_tool")

    def context(self) -> AgentSpec:
        def context(run: SyncRun) -> str:
            return run.context

        return landline.agent(context, name="context")

    def steered(self) -> AgentSpec:
        def steered(run: SyncRun) -> str:
            run.text("Let me see. ")
            return _also(run.inputs())

        return landline.agent(steered, name="steered")

    def wanted(self) -> AgentSpec:
        def wanted(run: SyncRun) -> Any:
            if any(tool.name == "greet" for tool in run.mcp_tools):
                run.mcp("greet", name="Ada")
            if run.output_schema is None:
                return f"You said: {run.input}"
            for so_far in _parts(run.input):
                run.output(so_far)
            return None

        return landline.agent(wanted, name="wanted")

    def brought(self) -> AgentSpec:
        def brought(run: SyncRun) -> str:
            try:
                return f"I was told: {run.mcp('greet', name='Ada')}"
            except ToolRaised as raised:
                return raised.message

        return landline.agent(brought, name="brought")


def _parts(text: str) -> list[dict[str, Any]]:
    """The answer to `text` as far as it has come, piece by piece."""
    whole = ""
    found: list[dict[str, Any]] = []
    for piece in written(text):
        whole += piece
        so_far = pydantic_core.from_json(whole, allow_partial=True)
        if so_far and so_far not in found:
            found.append(so_far)
    return found


def _also(said: Sequence[str]) -> str:
    return " ".join(f"Also: {text}" for text in said) or "That is all."


async def _for_ever(box: ToolBox) -> None:
    box.started.set()
    try:
        await asyncio.Event().wait()
    finally:
        box.stopped.set()


def _block(box: ToolBox) -> None:
    box.thread_started.set()
    box.release.wait(5)


def _text(message: Any) -> str:
    return message.content
