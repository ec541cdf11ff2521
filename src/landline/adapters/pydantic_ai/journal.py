"""The capability that makes a run resumable: model responses are recorded, tools go through the line (ADP-4).

Taken up again, the agent runs from its start: requests and calls that were finished are answered from the journal, in
the same order, and only what comes after them happens. One instance belongs to one segment of one run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pydantic_core
from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability, UseThreadExecutor
from pydantic_ai.capabilities.abstract import CapabilityOrdering, leaf_capabilities
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipModelRequest,
    SkipToolExecution,
    ToolFailed,
)
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import RunContext, ToolDefinition

from landline.adapters.pydantic_ai.failures import check_whole
from landline.adapters.pydantic_ai.mcp import RunServers, names_of_run
from landline.adapters.pydantic_ai.records import (
    SETTLED,
    as_it_was,
    doubt,
    dump_deferral,
    failure_of,
    load_deferral,
    load_response,
    provider_tools,
    refused,
    text_of_return,
    usage_of,
)
from landline.adapters.pydantic_ai.results import dump_result, load_result
from landline.adapters.pydantic_ai.threads import ToolThreads
from landline.model.messages import Part
from landline.ports.adapter import Ask, OutcomeUnknown, ToolCall, ToolPolicy, ToolRaised, Turn

__all__ = ["Journal"]

_NOBODY_KNOWS = "Whether this call ran is not known, and it was decided not to run it again."

_FRAMEWORKS_OWN = ("tool-search", "capability-load")
"""Kinds of tools that the framework brings by itself, for what is in the agent already."""


class Journal(AbstractCapability[Any]):
    """Records and replays one run; the outermost capability, so that all others count as part of what is recorded."""

    def __init__(self, turn: Turn, servers: RunServers) -> None:
        self._line, self._servers = turn.line, servers
        self._policies = turn.spec.tools
        self._own_threads = not _has_threads(turn.agent)
        self._requests = self._looks = 0
        self.given: dict[str, str | Sequence[UserContent]] = {}
        """The user's new input that the framework was handed, by the id it gave."""
        self._call_ids: set[str] = set()
        self._calls: dict[str, ToolCallPart] = {}
        self._in_line: set[str] = set()
        self._doubtful: list[Ask] = []
        self.replayed = False
        """Whether the last model request was answered from the journal."""
        self._output_mode = "text"
        self.model: str | None = None
        self.ctx: RunContext[Any] | None = None
        """What a model request is made in, while it is made."""
        self.answers: dict[str, Any] = {}
        """Answers that stand for a tool's result, by call id."""

    def get_ordering(self) -> CapabilityOrdering:
        """Stand outside all others."""
        return CapabilityOrdering(position="outermost")

    # model requests

    async def wrap_model_request(
        self,
        ctx: RunContext[Any],
        *,
        request_context: ModelRequestContext,
        handler: Callable[[ModelRequestContext], Awaitable[ModelResponse]],
    ) -> ModelResponse:
        """Answer request number k from the journal, or make it and record the whole response."""
        key, self.ctx = f"model:{self._requests}", ctx
        ordinal, self._requests = self._requests, self._requests + 1
        self._output_mode = _output_mode(request_context)
        if ordinal == 0 and self._servers.of_run and ctx.tool_manager is not None:
            self._line.knows(*await names_of_run(ctx.tool_manager.toolset))
        stored = self._line.recorded(key)
        self.replayed = stored is not None
        await self.begins()
        if stored is not None:
            self._deliver(ctx)
            return self._learn(load_response(stored))
        await self._line.before_model()
        try:
            response = await handler(request_context)
        except SkipModelRequest as skip:
            self._line.record(key, ModelMessagesTypeAdapter.dump_json([skip.response]))
            self._learn(skip.response)
            raise
        except ModelRetry as retry:
            self._line.record(key, pydantic_core.to_json({"retry": retry.message}))
            raise
        finally:
            self.ctx = None  # it knows this journal
        check_whole(response)
        response = self._with_own_ids(response, ordinal)
        # The record and the usage go to the log as one: a response that is replayed is not counted again.
        self._line.record(key, ModelMessagesTypeAdapter.dump_json([response]))
        await self._line.emit(usage_of(response), *provider_tools(response))
        return self._learn(response)

    async def begins(self) -> None:
        """Hear that a response begins; on the long way the turn tells it."""

    @property
    def output_is_text(self) -> bool:
        """Whether the text of the response that begins is the output, as JSON."""
        return self._output_mode in ("native", "prompted")

    def _deliver(self, ctx: RunContext[Any]) -> None:
        """Put what was handed over before a replayed request into history: only a request that is made does so itself."""
        for id_, content in self.given.items():
            if ctx.dequeue(id_):
                part = UserPromptPart(content=content)
                ctx.messages.append(
                    ModelRequest(parts=[part], run_id=ctx.run_id, conversation_id=ctx.conversation_id)
                )

    def take_input(self) -> list[Sequence[Part]]:
        """Return the user's new input at this place; when it is replayed, what was taken here before."""
        key, self._looks = f"steer:{self._looks}", self._looks + 1
        known = self._line.recorded(key) is not None
        # A place that the journal has passed took nothing, unless it says so.
        passed = self._line.recorded(f"model:{self._requests}") is not None
        if not known and (passed or not self._line.new_input):
            return []
        self._line.record(key, b"true")
        return self._line.take_input(key)

    def _with_own_ids(self, response: ModelResponse, ordinal: int) -> ModelResponse:
        """Rename calls whose id came before in this run: the log and the journal know a call by its id."""
        parts = list(response.parts)
        taken = set(self._call_ids)
        for index, part in enumerate(parts):
            if isinstance(part, ToolCallPart):
                call_id = part.tool_call_id
                if call_id in taken:
                    call_id = f"{call_id}#{ordinal}.{index}"
                    parts[index] = replace(part, tool_call_id=call_id)
                taken.add(call_id)
        return response if parts == list(response.parts) else replace(response, parts=parts)

    def _learn(self, response: ModelResponse) -> ModelResponse:
        self.model = response.model_name or self.model
        self._calls = {part.tool_call_id: part for part in response.parts if isinstance(part, ToolCallPart)}
        self._call_ids.update(self._calls)
        return response

    # tools

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Run a tool through the line, once over all crashes."""
        policy = self._policy(tool_def)
        if policy.approval and not ctx.tool_call_approved:
            raise ApprovalRequired
        key = self._key(call.tool_call_id, again=ctx.tool_call_approved)
        if (deferred := self._line.recorded(f"deferred:{key}")) is not None:
            raise load_deferral(deferred)
        if self._given_up(key):
            return await self._give_up(key, call)
        self._in_line.add(call.tool_call_id)
        threads = ToolThreads()
        tool = ToolCall(
            call_id=key, name=call.tool_name, arguments=call.args_as_dict(), idempotent=policy.idempotent
        )

        async def run() -> Any:
            with self._threads(threads):
                try:
                    value = await self._servers.call(handler, args)
                except SkipToolExecution as skip:
                    value = skip.result
                except (ApprovalRequired, CallDeferred) as deferral:
                    self._line.record(f"deferred:{key}", dump_deferral(deferral))
                    self._in_line.discard(call.tool_call_id)
                    raise
            shown, record = dump_result(value)
            if record is not None:
                self._line.record(f"tool:{key}", record)
            return shown

        try:
            shown = await self._line.tool(tool, run, failure=failure_of)
        except OutcomeUnknown:
            self._doubtful.append(doubt(tool, key=self._line.unknown_key(key)))
            return None  # never reaches the model: `doubtful` is asked before the next step
        except ToolRaised as raised:
            raise as_it_was(raised) from raised
        except asyncio.CancelledError:
            if threads.running:
                threads.late = self._line.finishing(key)
            raise
        return load_result(shown, self._line.recorded(f"tool:{key}"))

    def _policy(self, tool: ToolDefinition) -> ToolPolicy:
        if tool.tool_kind in _FRAMEWORKS_OWN:
            self._line.knows(tool.name)
        return self._policies.get(tool.name, ToolPolicy())

    def _threads(self, threads: ToolThreads) -> AbstractContextManager[None]:
        return Agent.using_thread_executor(threads) if self._own_threads else nullcontext()

    def _key(self, call_id: str, *, again: bool) -> str:
        """Return the journal's key: a call that stopped to ask and is answered is a call of its own."""
        key, number = call_id, 1
        while again and self._line.recorded(f"deferred:{key}") is not None:
            number += 1
            key = f"{call_id}:{number}"
        return key

    def _given_up(self, key: str) -> bool:
        answer = self._line.answer_to(self._line.unknown_key(key))
        return answer is not None and not answer.approve

    async def _give_up(self, key: str, call: ToolCallPart) -> Any:
        self._in_line.add(call.tool_call_id)
        # Idempotent, because this run of it does nothing but fail: the log gets its end of the call.
        await self._fail(key, call, code="outcome_unknown", message=_NOBODY_KNOWS, idempotent=True)
        raise ToolFailed(_NOBODY_KNOWS)

    def take_doubtful(self) -> list[Ask]:
        """Return the questions about calls of unknown outcome that came up since the last time."""
        asks, self._doubtful = self._doubtful, []
        return asks

    async def settle(self, part: ToolReturnPart) -> None:
        """Give the log a call that ended without its tool being run: refused, denied, or answered by a human."""
        call = self._calls.get(part.tool_call_id)
        if call is None or part.tool_call_id in self._in_line:
            return
        key = self._key(part.tool_call_id, again=True)
        if part.tool_call_id in self.answers:
            answer = self.answers[part.tool_call_id]

            async def said() -> Any:
                return answer

            await self._line.tool(refused(key, call, idempotent=True), said)
        elif (code := SETTLED.get(part.outcome)) is not None:
            await self._fail(key, call, code=code, message=text_of_return(part), idempotent=True)

    async def _fail(self, key: str, call: ToolCallPart, *, code: str, message: str, idempotent: bool) -> None:
        async def fail() -> Any:
            raise ToolFailed(message)

        try:
            await self._line.tool(
                refused(key, call, idempotent=idempotent), fail, failure=lambda _: (code, message)
            )
        except (ToolFailed, ToolRaised):
            return


def _has_threads(agent: Any) -> bool:
    """Tell whether the agent brings its own pool for sync tools; then that is used."""
    return any(isinstance(leaf, UseThreadExecutor) for leaf in leaf_capabilities(agent.root_capability))


def _output_mode(request_context: ModelRequestContext) -> str:
    mode = request_context.model_request_parameters.output_mode
    if mode == "auto":
        return str(request_context.model.profile.get("default_structured_output_mode", "tool"))
    return mode
