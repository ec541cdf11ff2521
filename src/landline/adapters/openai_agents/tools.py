"""The seam at the tools: each call runs on the line, once over all crashes, and asks a human where it must (ADP-3, ADP-4).

A call that has to wait gives the framework a word in the place of its result, so that its parallel calls end as they
would; the segment ends before a model sees it. Guards of a tool run around its code, within what the line records.
"""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec
import pydantic_core
from agents import FunctionTool
from agents.tool import Tool, maybe_invoke_function_tool_failure_error_function
from agents.tool_context import ToolContext

from landline.adapters.openai_agents.guards import guarded_input, guarded_output
from landline.adapters.openai_agents.invoke import invoke, twin
from landline.adapters.openai_agents.journal import HELD, Halted, Journal
from landline.adapters.openai_agents.mcp import RunServers
from landline.adapters.openai_agents.provider_tools import hosted
from landline.adapters.openai_agents.records import (
    GIVEN_UP,
    Refused,
    approval,
    denial,
    doubt,
    failure_of,
    settled,
)
from landline.adapters.openai_agents.results import as_json, dump_result, load_result
from landline.adapters.openai_agents.threads import ToolThreads
from landline.ports.adapter import REFUSALS, OutcomeUnknown, ToolCall, ToolPolicy, ToolRaised

__all__ = ["Tools"]


class Tools:
    """The tools of one run."""

    def __init__(self, journal: Journal, servers: RunServers) -> None:
        self._journal, self._line, self._servers = journal, journal.line, servers
        self._policies = journal.turn.spec.tools
        self._brought = {tool.name for tool in journal.turn.tools}

    def own(self, tools: Sequence[Tool]) -> list[Tool]:
        """Return the run's own twins of `tools`.

        Raises:
            Unsupported: One acts on this machine by means of its own, past the line.
        """
        return [
            self._own(tool) if isinstance(tool, FunctionTool) else hosted(tool, self._journal)
            for tool in tools
        ]

    def _own(self, tool: FunctionTool) -> FunctionTool:
        async def on_invoke(ctx: ToolContext[Any], arguments: str) -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._journal.tasks.add(task)
            try:
                return await self._call(tool, ctx, arguments)
            finally:
                self._journal.tasks.discard(task)

        own = twin(tool)
        own.on_invoke_tool = on_invoke
        own.needs_approval = False
        own.tool_input_guardrails = own.tool_output_guardrails = None
        own.timeout_seconds = None
        own._failure_error_function = None  # pyright: ignore[reportPrivateUsage] - the constructor does not take it
        own._use_default_failure_error_function = False  # pyright: ignore[reportPrivateUsage] - as above
        return own

    async def _call(self, tool: FunctionTool, ctx: ToolContext[Any], raw: str) -> Any:
        await self._journal.admitted()
        line, key = self._line, ctx.tool_call_id
        policy = self._policies.get(tool.name, ToolPolicy())
        arguments = _parsed(raw)
        if await self._needs_approval(tool, policy, ctx, arguments):
            answer = line.answer_to(key)
            if answer is None:
                self._journal.held.append(approval(key, tool.name, arguments, policy))
                return HELD
            if not answer.approve:
                return await self._refuse(key, tool.name, arguments, denial(answer))
            if answer.arguments is not None:
                arguments, raw = answer.arguments, pydantic_core.to_json(answer.arguments).decode()
                ctx.tool_arguments = raw
        if self._given_up(key):
            return await self._refuse(key, tool.name, arguments, GIVEN_UP)
        call = ToolCall(call_id=key, name=tool.name, arguments=arguments, idempotent=policy.idempotent)
        try:
            return await self._on_line(tool, call, ctx, raw)
        except OutcomeUnknown:
            self._journal.held.append(doubt(call, key=line.unknown_key(key)))
            return HELD

    async def _on_line(self, tool: FunctionTool, call: ToolCall, ctx: ToolContext[Any], raw: str) -> Any:
        line, key, threads = self._line, call.call_id, ToolThreads()
        result: list[Any] = []

        async def run() -> Any:
            try:
                await guarded_input(tool, ctx, self._journal)
                value = await self._servers.call(tool, lambda: invoke(tool, ctx, raw, threads))
                await guarded_output(tool, ctx, value, self._journal)
            except Refused as refused:
                line.record(f"told:{key}", msgspec.json.encode(str(refused)))
                raise
            except Exception as error:  # a tool is anybody's code
                # What the framework would tell the model is kept with the failure: it may call on the owner's code.
                await self._keep_told(tool, ctx, key, error)
                raise
            result.append(value)
            shown, record = dump_result(value)
            if record is not None:
                line.record(f"tool:{key}", record)
            return shown

        try:
            shown = await self._journal.at_line(line.tool(call, run, failure=failure_of))
        except OutcomeUnknown:
            raise
        except Halted:
            self._journal.tool_ended()
            raise
        except asyncio.CancelledError:
            if threads.running:
                threads.late = line.finishing(key)
            raise
        except Exception as error:  # noqa: BLE001 - a tool is anybody's code: what the model is told of it is known, or it is raised again
            return self._told(key, error)
        given = result[0] if result else load_result(shown, line.recorded(f"tool:{key}"))
        return as_json(given) if tool.name in self._brought else given

    async def _keep_told(self, tool: FunctionTool, ctx: ToolContext[Any], key: str, error: Exception) -> None:
        settles, text = await settled(tool, ctx, error)
        if not settles:
            text = await maybe_invoke_function_tool_failure_error_function(
                function_tool=tool, context=ctx, error=error
            )
        if text is not None:
            self._line.record(f"told:{key}", msgspec.json.encode(text))

    def _told(self, key: str, error: Exception) -> str:
        """Return what the model is told of a failed call, or let the failure end the run."""
        if isinstance(error, ToolRaised) and error.code == "guard_tripped":
            self._journal.tripped_before()
            raise Halted
        if isinstance(error, ToolRaised) and error.code in REFUSALS:
            return error.message
        stored = self._line.recorded(f"told:{key}")
        if stored is None:
            raise error
        return msgspec.json.decode(stored, type=str)

    async def _refuse(self, key: str, name: str, arguments: Any, refused: Refused) -> str:
        async def refuse() -> Any:
            raise refused

        # Idempotent, because this run of it does nothing but fail: the log gets its end of the call.
        call = ToolCall(call_id=key, name=name, arguments=arguments, idempotent=True, refused=True)
        with suppress(Refused, ToolRaised):
            await self._journal.at_line(self._line.tool(call, refuse, failure=failure_of))
        return str(refused)

    def _given_up(self, key: str) -> bool:
        answer = self._line.answer_to(self._line.unknown_key(key))
        return answer is not None and not answer.approve

    async def _needs_approval(
        self, tool: FunctionTool, policy: ToolPolicy, ctx: ToolContext[Any], arguments: Any
    ) -> bool:
        if policy.approval or tool.needs_approval is True:
            return True
        if not callable(tool.needs_approval):
            return False
        key = f"approval:{ctx.tool_call_id}"
        if (stored := self._line.recorded(key)) is not None:
            return msgspec.json.decode(stored, type=bool)
        # Arguments that are no object cannot be judged.
        needed = not isinstance(arguments, dict)
        if not needed:
            decided = tool.needs_approval(ctx, cast("dict[str, Any]", arguments), ctx.tool_call_id)
            needed = bool(await decided if inspect.isawaitable(decided) else decided)
        self._line.record(key, msgspec.json.encode(needed))
        return needed


def _parsed(raw: str) -> Any:
    if not raw:
        return {}
    try:
        return pydantic_core.from_json(raw)
    except ValueError:
        return raw
