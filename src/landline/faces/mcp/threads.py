"""The face's own tools: what a client needs to find threads again, and to look after runs that were left."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel

from landline.faces.mcp import decode, encode
from landline.faces.mcp.agents import AgentTools
from landline.faces.mcp.calls import Call, Result
from landline.faces.mcp.encode import ANSWER_TOOL
from landline.faces.mcp.wire import AnswerRun, CancelRun, GetRun, ListMessages, ListThreads, parsed
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.messages import Message
from landline.ports.store import MessageQuery, ThreadQuery
from landline.web.caller import check_scopes
from landline.web.face import FacePorts

__all__ = ["ThreadTools"]

_SHOWN: Final = ("id", "run_id", "seq", "role", "content", "created_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Own:
    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    scopes: tuple[str, ...]
    call: Callable[[Call], Awaitable[Result]]
    reads: bool = True


class ThreadTools:
    """The face's `ToolSource` for threads and runs; what is not the caller's own is not there."""

    def __init__(self, ports: FacePorts, agents: AgentTools) -> None:
        self._ports = ports
        self._agents = agents
        self._own = {
            own.name: own
            for own in (
                _Own(
                    name="landline_threads",
                    title="List threads",
                    description="List your threads with agents, the newest first. A thread's id goes into an agent's "
                    "`thread_id` to go on in it.",
                    arguments=ListThreads,
                    scopes=("threads:read",),
                    call=self._threads,
                ),
                _Own(
                    name="landline_messages",
                    title="Read a thread",
                    description="Read the messages of a thread, oldest first.",
                    arguments=ListMessages,
                    scopes=("threads:read",),
                    call=self._messages,
                ),
                _Own(
                    name="landline_run",
                    title="Look at a run",
                    description="Say how a run of an agent stands, or with `wait` follow it to its end or its next "
                    "question. A run goes on also when nobody follows it.",
                    arguments=GetRun,
                    scopes=("runs:read",),
                    call=self._run,
                ),
                _Own(
                    name=ANSWER_TOOL,
                    title="Answer a run",
                    description="Pass on a human's answers to what a waiting run asks, then follow the run. Approvals are "
                    "for a human to give: never approve on your own.",
                    arguments=AnswerRun,
                    scopes=("runs:read", "approvals:answer"),
                    call=self._answer,
                    reads=False,
                ),
                _Own(
                    name="landline_cancel",
                    title="Cancel a run",
                    description="Stop a run; what it has said so far is kept. Cancelling one that has ended changes nothing.",
                    arguments=CancelRun,
                    scopes=("runs:write",),
                    call=self._cancel,
                    reads=False,
                ),
            )
        }

    def tools(self, caller: Caller) -> Sequence[Tool]:
        """Return the tools for which the caller has the scopes."""
        return [_tool(own) for own in self._own.values() if caller.scopes.issuperset(own.scopes)]

    async def call(self, call: Call) -> Result:
        """Carry out a call of one of them."""
        own = self._own.get(call.params.name)
        if own is None:
            raise NotFound("There is no such tool.")
        check_scopes(call.caller, own.scopes, self._ports.door.audit)
        return await own.call(call)

    async def _threads(self, call: Call) -> Result:
        given = parsed(ListThreads, call.arguments)
        query = ThreadQuery(
            limit=given.limit, cursor=given.cursor, agent=given.agent, archived=given.archived, q=given.query
        )
        page = await self._ports.threads.list(call.caller, query)
        items = [msgspec.to_builtins(thread) for thread in page.items]
        return encode.data_result(_page(items, page.next_cursor))

    async def _messages(self, call: Call) -> Result:
        given = parsed(ListMessages, call.arguments)
        query = MessageQuery(thread_id=given.thread_id, limit=given.limit, cursor=given.cursor)
        page = await self._ports.threads.messages(call.caller, query)
        return encode.data_result(_page([_shown(message) for message in page.items], page.next_cursor))

    async def _run(self, call: Call) -> Result:
        given = parsed(GetRun, call.arguments)
        run = await self._ports.runs.get(call.caller, given.run_id)
        if given.wait:
            return await self._agents.follow(call, run)
        return encode.data_result(encode.run_data(run))

    async def _answer(self, call: Call) -> Result:
        given = parsed(AnswerRun, call.arguments)
        answered = await self._ports.runs.answer(call.caller, given.run_id, decode.answers(given.answers))
        if answered.run is None:  # somebody else's run, which the caller may answer and not read
            questions = [encode.question_data(question) for question in answered.questions]
            return encode.data_result({"run_id": given.run_id, "answered": questions})
        if answered.run.status == "waiting":
            return encode.data_result(encode.run_data(answered.run))
        return await self._agents.follow(call, answered.run)

    async def _cancel(self, call: Call) -> Result:
        given = parsed(CancelRun, call.arguments)
        run = await self._ports.runs.cancel(call.caller, given.run_id)
        return encode.data_result(encode.run_data(run))


def _tool(own: _Own) -> Tool:
    schema = own.arguments.model_json_schema()
    schema.pop("title", None)
    return Tool(
        name=own.name,
        title=own.title,
        description=own.description,
        input_schema={"properties": {}, **schema},
        annotations=ToolAnnotations(
            title=own.title,
            read_only_hint=own.reads,
            destructive_hint=not own.reads,
            idempotent_hint=own.reads or own.name == "landline_cancel",
            open_world_hint=False,
        ),
    )


def _page(items: list[Any], next_cursor: str | None) -> dict[str, Any]:
    return {"items": items, **({} if next_cursor is None else {"next_cursor": next_cursor})}


def _shown(message: Message) -> dict[str, Any]:
    """Return a message without its framework's own form, which never leaves the server."""
    return {name: getattr(message, name) for name in _SHOWN} | {"parts": msgspec.to_builtins(message.parts)}
