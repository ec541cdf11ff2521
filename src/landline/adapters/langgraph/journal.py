"""What makes a run resumable: model responses are recorded, tools go through the line (ADP-4).

Finished nodes are not run again, their writes are in the checkpoints; within a node that starts again, requests and
calls that were finished are answered from here. One instance belongs to one segment of one run.
"""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import msgspec
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp, GraphInterrupt, ParentCommand

from landline.adapters.langgraph.failures import check_whole
from landline.adapters.langgraph.marks import Barrier, mark, model_of, speaker_of, usage_of
from landline.adapters.langgraph.results import BROUGHT_CODES, HandledError, dump_result, load_result, refusal
from landline.adapters.langgraph.settings import with_settings
from landline.adapters.langgraph.stopping import stopped_for_sure
from landline.adapters.langgraph.threads import ToolThreads
from landline.adapters.langgraph.tools import in_threads
from landline.adapters.langgraph.values import dump_message, load_messages
from landline.ports.adapter import REFUSALS, Ask, OutcomeUnknown, ToolCall, ToolPolicy, ToolRaised, Turn

__all__ = ["Journal", "Response"]

_NOBODY_KNOWS = "Whether this call ran is not known, and it was decided not to run it again."
_DENIED = "A human did not allow this call."
_WAITS = "The call stopped to wait for an answer."
_NOSTREAM = "nostream"
_LAST = 8
"""How many of a request's messages are looked at to know it again within its node."""


class Response(msgspec.Struct):
    """A recorded model response: `key` says which request of which node it answered, `shown` whether it is talk.

    `speaker`: the graph within the graph that asked for it, as `speaker_of` names it.
    """

    key: str
    shown: bool
    message: msgspec.Raw
    speaker: str = ""

    def load(self) -> AIMessage:
        """Return the message."""
        (message,) = load_messages([msgspec.json.decode(self.message)])
        return cast("AIMessage", message)


class Journal:
    """Records and replays one run."""

    def __init__(self, turn: Turn) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self.model: str | None = None
        self.model_errors: list[BaseException] = []
        self.responses: list[Response] = []
        self.recorded_runs: set[UUID] = set()
        """Requests whose response and usage are in the journal."""
        self.settings_taken: set[str] = set()
        self.brought, self.wanted = turn.tools, turn.output_schema
        self.lost: BaseException | None = None
        """What ended the segment under a call; the framework may have put an error of its own in its place."""
        self._line, self._policies, self._settings = turn.line, turn.spec.tools, turn.settings
        self._requests: Counter[str] = Counter()
        self._asking: Counter[str] = Counter()
        self._call_ids: set[str] = set()
        self._asks: list[Ask] = []
        self._running: Counter[str] = Counter()
        self._waiters: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._tasks: set[asyncio.Task[Any]] = set()
        while (stored := turn.line.recorded(f"model:{len(self.responses)}")) is not None:
            response = msgspec.json.decode(stored, type=Response)
            self.responses.append(response)
            self._learn(response.load())
        self._stored = {response.key: response for response in self.responses}

    def close(self) -> None:
        """End the segment: calls that a failed node left behind are stopped."""
        self.closed = True
        for task in self._tasks:
            task.cancel()

    def take_asks(self) -> list[Ask]:
        """Return the questions of tools that came up since the last time."""
        asks, self._asks = self._asks, []
        return asks

    # model requests

    def asking(self, within: str) -> int:
        """Return how many requests to models the node `within` has under way."""
        return self._asking[within]

    async def model_call(
        self,
        model: BaseChatModel,
        messages: list[BaseMessage],
        options: dict[str, Any],
        run_manager: Any,
        run: Callable[[dict[str, Any]], Awaitable[ChatResult]],
    ) -> ChatResult:
        """Answer a request from the journal, or make it and record the whole response."""
        try:
            return await self._model_call(model, messages, options, run_manager, run)
        except BaseException as error:  # a lost line is no Exception, and it is passed on
            self._note_loss(error)
            raise

    async def _model_call(
        self,
        model: BaseChatModel,
        messages: list[BaseMessage],
        options: dict[str, Any],
        run_manager: Any,
        run: Callable[[dict[str, Any]], Awaitable[ChatResult]],
    ) -> ChatResult:
        options = with_settings(model, options, self._settings, self.settings_taken)
        key = self._request_key(messages)
        stored = self._stored.get(key)
        if stored is not None:
            self.recorded_runs.add(run_manager.run_id)
            return ChatResult(generations=[ChatGeneration(message=stored.load())])
        await self._line.before_model()
        within = _task()
        self._asking[within] += 1
        try:
            with stopped_for_sure(self.loop):
                result = await run(options)
        except Exception as error:  # whatever a model's client raises is passed on
            self.model_errors.append(error)
            raise
        finally:
            self._asking[within] -= 1
        message = result.generations[0].message if len(result.generations) == 1 else None
        if not isinstance(message, AIMessage):
            return result
        check_whole(message)
        number = len(self.responses)
        self._with_own_ids(message, number)
        response = Response(
            key=key,
            shown=_NOSTREAM not in (run_manager.tags or ()),
            message=msgspec.Raw(dump_message(message)),
            speaker=speaker_of(run_manager.metadata or {}),
        )
        self.responses.append(response)
        self.recorded_runs.add(run_manager.run_id)
        self._learn(message)
        # The record and the usage go to the log as one: a response that is replayed is not counted again.
        self._line.record(f"model:{number}", msgspec.json.encode(response))
        if (usage := usage_of(message)) is not None:
            await self._line.emit(usage)
        return result

    def _request_key(self, messages: list[BaseMessage]) -> str:
        """Name a request by its place: the same node, asking the same for the nth time, asks for the same again."""
        said = [
            (message.type, message.content, getattr(message, "tool_calls", None))
            for message in messages[-_LAST:]
        ]
        digest = hashlib.sha256(
            msgspec.json.encode((_task(), len(messages), said), enc_hook=repr)
        ).hexdigest()[:24]
        self._requests[digest] += 1
        return f"{digest}:{self._requests[digest]}"

    def _with_own_ids(self, message: AIMessage, number: int) -> None:
        """Rename calls whose id came before in this run: the log and the journal know a call by its id."""
        taken = set(self._call_ids)
        for index, call in enumerate(message.tool_calls):
            if not call["id"] or call["id"] in taken:
                call["id"] = f"{call['id'] or 'call'}#{number}.{index}"
            taken.add(call["id"])

    def _learn(self, message: AIMessage) -> None:
        self.model = model_of(message) or self.model
        self._call_ids.update(call["id"] for call in message.tool_calls if call["id"])

    # tools

    async def tool_call(
        self,
        node: Any,
        call: dict[str, Any],
        runtime: Any,
        run: Callable[[Any, Any, Executor], Awaitable[Any]],
    ) -> Any:
        """Run a tool through the line, once over all crashes.

        A call that stops to ask lets the node's other calls come to their end first, so that their results are kept.
        """
        task, within = cast("asyncio.Task[Any]", asyncio.current_task()), _task(runtime.config)
        self._tasks.add(task)
        self._running[within] += 1
        stopping: GraphBubbleUp | None = None
        try:
            await self._spoken(runtime.config)
            return await self._tool_call(node, call, run, within)
        except GraphBubbleUp as stop:
            stopping = stop
            raise
        except BaseException as error:  # a lost line is no Exception, and it is passed on
            self._note_loss(error)
            raise
        finally:
            self._running[within] -= 1
            for waiter in self._waiters.pop(within, ()):
                if not waiter.done():
                    waiter.set_result(None)
            if stopping is not None:
                await self._others_done(within)
            self._tasks.discard(task)

    def _note_loss(self, error: BaseException) -> None:
        if not isinstance(error, Exception | asyncio.CancelledError):
            self.lost = error

    async def _others_done(self, within: str) -> None:
        while self._running[within] > 0:
            waiter = self.loop.create_future()
            self._waiters[within].append(waiter)
            await waiter

    async def _spoken(self, config: Any) -> None:
        """Wait until the log has all that was said before this call."""
        barrier = Barrier(self.loop.create_future())
        if mark(barrier, config):
            await barrier.passed

    async def _tool_call(
        self,
        node: Any,
        call: dict[str, Any],
        run: Callable[[Any, Any, Executor], Awaitable[Any]],
        within: str,
    ) -> Any:
        policy = self._policies.get(call["name"], ToolPolicy())
        call_id = self._call_id(call, within)
        if policy.approval:
            answer = self._line.answer_to(call_id)
            if answer is None:
                self._asks.append(_approval(call_id, call, policy))
                raise GraphInterrupt(())
            if not answer.approve:
                return await self._refuse(call_id, call, "denied", answer.reason or _DENIED)
            if answer.arguments is not None:
                call = {**call, "args": answer.arguments}
        key = self._key(call_id)
        given_up = self._line.answer_to(self._line.unknown_key(key))
        if given_up is not None and not given_up.approve:
            return await self._refuse(key, call, "outcome_unknown", _NOBODY_KNOWS)
        return await self._run(key, node, call, policy, run)

    async def _run(
        self,
        key: str,
        node: Any,
        call: dict[str, Any],
        policy: ToolPolicy,
        run: Callable[[Any, Any, Executor], Awaitable[Any]],
    ) -> Any:
        threads, made = ToolThreads(), list[Any]()
        tool = ToolCall(
            call_id=key,
            name=call["name"],
            arguments=call["args"],
            idempotent=policy.idempotent,
            refused=_runs_nothing(node, call["name"]),
        )

        async def once() -> Any:
            try:
                output = await run(in_threads(node, call["name"], threads), call, threads)
            except ParentCommand as jump:
                output = cast("Any", jump).args[0]
                self._line.record(f"jump:{key}", b"true")
            except GraphBubbleUp:
                self._line.record(f"deferred:{key}", b"true")
                raise
            if isinstance(output, ToolMessage) and output.status == "error":
                error = HandledError(output)
                if error.failure()[1] != output.content:
                    self._keep(key, dump_result(output)[1])
                raise error
            shown, record = dump_result(output)
            self._keep(key, record)
            made.append(output)
            return shown

        try:
            shown = await self._line.tool(tool, once, failure=_failure_of)
        except OutcomeUnknown:
            self._asks.append(_doubt(tool, self._line.unknown_key(key)))
            raise GraphInterrupt(()) from None
        except HandledError as error:
            return error.message
        except ToolRaised as raised:
            return self._failed_before(key, call, raised)
        except asyncio.CancelledError:
            if threads.running:
                threads.late = self._line.finishing(key)
            raise
        output = made[0] if made else load_result(call, shown, self._line.recorded(f"tool:{key}"))
        if self._line.recorded(f"jump:{key}") is not None:
            raise ParentCommand(output)
        return output

    def _keep(self, key: str, record: bytes | None) -> None:
        if record is not None:
            self._line.record(f"tool:{key}", record)

    def _failed_before(self, key: str, call: dict[str, Any], raised: ToolRaised) -> ToolMessage:
        if (record := self._line.recorded(f"tool:{key}")) is not None:
            return load_result(call, None, record)
        told = raised.code == "tool_failed" or raised.code in REFUSALS
        if not told and not raised.code.startswith(BROUGHT_CODES):
            raise raised
        return refusal(call, raised.message, code=raised.code)

    def _call_id(self, call: dict[str, Any], within: str) -> str:
        """Return the call's id, with its node's where the id comes from no recorded response and may come again."""
        id_ = call["id"] or "call"
        return id_ if id_ in self._call_ids else f"{id_}@{hashlib.sha256(within.encode()).hexdigest()[:12]}"

    def _key(self, call_id: str) -> str:
        """Return the journal's key: a call that stopped to ask and is answered is a call of its own."""
        key, number = call_id, 1
        while self._line.recorded(f"deferred:{key}") is not None:
            number += 1
            key = f"{call_id}:{number}"
        return key

    async def _refuse(self, key: str, call: dict[str, Any], code: str, text: str) -> ToolMessage:
        async def fail() -> Any:
            raise HandledError(refusal(call, text))

        # Idempotent, because this run of it does nothing but fail: the log gets its end of the call.
        tool = ToolCall(call_id=key, name=call["name"], arguments=call["args"], idempotent=True, refused=True)
        with suppress(HandledError, ToolRaised):
            await self._line.tool(tool, fail, failure=lambda _: (code, text))
        return refusal(call, text)


def _runs_nothing(node: Any, name: str) -> bool:
    """Tell whether the node has no such tool, and nothing of its owner's that could stand in."""
    stands_in = node._awrap_tool_call is not None or node._wrap_tool_call is not None
    return name not in node.tools_by_name and not stands_in


def _failure_of(error: Exception) -> tuple[str, str] | None:
    """Record only words that are meant for the model; any other exception's text stays out of the log."""
    if isinstance(error, HandledError):
        return error.failure()
    return ("deferred", _WAITS) if isinstance(error, GraphBubbleUp) else None


def _task(config: Any = None) -> str:
    """Return the place in the graph that is running: it is the same when a checkpoint is taken up again."""
    return str((config or get_config()).get("configurable", {}).get("checkpoint_ns", ""))


def _approval(key: str, call: dict[str, Any], policy: ToolPolicy) -> Ask:
    return Ask(
        key=key,
        kind="approval",
        prompt=f"Allow the tool {call['name']} to run?",
        tool=call["name"],
        call_id=key,
        arguments=call["args"],
        approvers=policy.approvers,
        expires_s=policy.expires_s,
    )


def _doubt(tool: ToolCall, key: str) -> Ask:
    return Ask(
        key=key,
        kind="approval",
        prompt=(
            f"The server stopped while the tool {tool.name} was running. It may or may not have done its work. "
            "Run it again?"
        ),
        tool=tool.name,
        call_id=tool.call_id,
        arguments=tool.arguments,
    )
