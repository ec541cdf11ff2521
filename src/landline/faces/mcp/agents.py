"""Agents as tools: what is listed of them, and a call as a run that is followed to its end.

A client that closes the response of a stateless call (2026-07-28), or sends `notifications/cancelled` (2025-11-25),
cancels the run, as its protocol says. A connection that merely breaks on the older wire changes nothing.
"""

import asyncio
from typing import Any, Final, cast

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    ElicitRequestFormParams,
    InputRequiredResult,
    Tool,
    ToolAnnotations,
)
from pydantic import ValidationError

from landline.faces.mcp import decode, encode, forms
from landline.faces.mcp.calls import Call, Result, can_fill_forms
from landline.faces.mcp.content import Blocks
from landline.faces.mcp.encode import Heard
from landline.faces.mcp.going import Going
from landline.faces.mcp.schemas import input_schema, message_default, output_schema, read_arguments
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import Conflict, Invalid, NotFound, Unsupported
from landline.model.messages import Part, TextPart
from landline.model.runs import Answer, Question, Run
from landline.ports.runs import StartRun
from landline.web.caller import check_scopes, with_context
from landline.web.face import FacePorts
from landline.web.inline_files import keep_file, part_of

__all__ = ["SCOPES", "AgentTools"]

SCOPES: Final = ("runs:read", "runs:write")


class AgentTools:
    """The agents a caller may use; the face's `ToolSource` for them."""

    def __init__(self, ports: FacePorts, going: Going) -> None:
        self._ports = ports
        self._going = going
        self._blocks = Blocks(ports)

    def tools(self, caller: Caller) -> list[Tool]:
        """Return a tool per agent that could be loaded."""
        if not caller.scopes.issuperset(SCOPES):
            return []
        return [_tool(info) for info in self._ports.agents.list(caller) if info.error is None]

    async def call(self, call: Call) -> Result:
        """Run the agent, or go on with a run that asked something."""
        check_scopes(call.caller, SCOPES, self._ports.door.audit)
        info = self._ports.agents.get(call.caller, call.params.name)
        if call.params.request_state is None:
            return await self._to_the_end(call, await self._start(call, info))
        run, told = await self._resumed(call, info)
        return await self._to_the_end(call, run, told=told)

    async def follow(self, call: Call, run: Run) -> Result:
        """Follow a run of any agent to its end or its next question, which this client may answer."""
        return await self._to_the_end(call, run)

    async def _start(self, call: Call, info: AgentInfo) -> Run:
        given = read_arguments(info, call.arguments)
        message = given.message if given.message is not None else message_default(info)
        if message is None:
            raise Invalid("The arguments do not fit: message is missing.", code="invalid_request")
        parts: list[Part] = [TextPart(text=decode.message_text(message))]
        if given.files:
            parts += [await self._upload(call.caller, info, file) for file in given.files]
        wanted = StartRun(input=parts, thread_id=given.thread_id, agent=info.name)
        wanted = await with_context(self._ports, call.caller, call.request, wanted)
        return (await self._ports.runs.start(call.caller, wanted)).run

    async def _upload(self, caller: Caller, info: AgentInfo, given: Any) -> Part:
        found = await keep_file(self._ports.files, caller, given.name, decode.file_bytes(given))
        if ("images" if found.media_type.startswith("image/") else "files") not in info.capabilities:
            raise Unsupported(f"This agent takes no {found.media_type}.")
        return part_of(found)

    async def _resumed(self, call: Call, info: AgentInfo) -> tuple[Run, int]:
        """Return the run that a client comes back to, its answers given, and up to where it was told its progress."""
        try:
            run_id, told = decode.read_state(call.params.request_state or "")
            run = await self._ports.runs.get(call.caller, run_id)
        except (Invalid, NotFound):
            raise _bad_state() from None
        if info.name not in (run.agent, run.routed_to):
            raise _bad_state()
        if run.status == "waiting":
            given = decode.responses(encode.open_of(run), call.params.input_responses)
            if given:
                run = await self._answer(call, run, given)
        return run, told

    async def _to_the_end(self, call: Call, run: Run, *, told: int = 0) -> Result:
        with self._going.on(call, run.id):
            try:
                return await self._served(call, run, told)
            except asyncio.CancelledError:
                self._going.left(call, run.id)
                raise

    async def _served(self, call: Call, run: Run, told: int) -> Result:
        came_back = call.params.request_state is not None
        unasked = not came_back
        heard = Heard()
        # The tail of a waiting run has been reached already: there is nothing to wait for.
        await self._hear(call, run.id, heard, live=run.status != "waiting", told=told)
        while True:
            run = await self._ports.runs.get(call.caller, run.id)
            asked = encode.open_of(run)
            if run.status != "waiting" or not asked:
                return await self._result(call, run, heard)
            if not self._may_answer(call):
                return await self._result(call, run, heard)
            if call.modern:
                given = decode.responses(asked, call.params.input_responses, unasked=True) if unasked else []
                unasked = False
                if not given:
                    if came_back and decode.dismissed(asked, call.params.input_responses):
                        return await self._result(call, run, heard)
                    return self._ask_back(call, run, asked, heard) or await self._result(call, run, heard)
            else:
                given = await self._fill_in(call, run.id, asked, heard)
                if given is None:
                    run = await self._ports.runs.get(call.caller, run.id)
                    await self._hear(call, run.id, heard, live=run.status != "waiting", told=told)
                    continue
            if not given:
                return await self._result(call, run, heard)
            run = await self._answer(call, run, given)
            if run.status == "waiting":
                return await self._result(call, run, heard)  # others have to agree too
            await self._hear(call, run.id, heard, live=True, told=told)

    async def _hear(self, call: Call, run_id: str, heard: Heard, *, live: bool, told: int) -> None:
        """Read the log from where it was read, to its end or the next question."""
        async for batch in self._ports.runs.follow(call.caller, run_id, after=heard.seq, live=live):
            for stamped in batch:
                message = heard.hear(stamped)
                if message is not None and stamped.seq > told:
                    await call.tell(stamped.seq, message)

    async def _answer(self, call: Call, run: Run, given: list[Answer]) -> Run:
        try:
            await self._ports.runs.answer(call.caller, run.id, given)
        except Conflict as error:
            if error.code != "question_closed":
                raise  # else somebody was faster, through this face or another: the run goes on
        return await self._ports.runs.get(call.caller, run.id)

    def _may_answer(self, call: Call) -> bool:
        return "approvals:answer" in call.caller.scopes

    def _ask_back(
        self, call: Call, run: Run, asked: list[Question], heard: Heard
    ) -> InputRequiredResult | None:
        if not can_fill_forms(call.context):
            return None
        requests = {key: forms.request_of(question) for key, question in forms.keys_of(asked).items()}
        return InputRequiredResult(
            input_requests=cast("Any", requests),
            request_state=decode.state_of(run.id, heard.seq),
            _meta=encode.meta_of(run),
        )

    async def _fill_in(
        self, call: Call, run_id: str, asked: list[Question], heard: Heard
    ) -> list[Answer] | None:
        """Return what the client's user filled in, or None when the run went on meanwhile: somebody else answered."""
        if not can_fill_forms(call.context) or not call.context.session.can_send_request:
            return []
        async with asyncio.TaskGroup() as tasks:
            forms_ = tasks.create_task(self._forms(call, asked))
            other = tasks.create_task(self._moves_on(call, run_id, heard.seq))
            try:
                await asyncio.wait({forms_, other}, return_when="FIRST_COMPLETED")
            finally:
                other.cancel()
                forms_.cancel()  # takes the form back from the client, if it is still open
        return None if forms_.cancelled() else forms_.result()

    async def _moves_on(self, call: Call, run_id: str, after: int) -> None:
        """Return when the log of a waiting run has grown."""
        async for _ in self._ports.runs.follow(call.caller, run_id, after=after):
            return

    async def _forms(self, call: Call, asked: list[Question]) -> list[Answer]:
        """Show the client's user a form per question, on the older wire; what they leave stays open."""
        session = call.context.session
        found: list[Answer] = []
        for question in asked:
            params = cast("ElicitRequestFormParams", forms.request_of(question).params)
            try:
                filled = await session.elicit_form(
                    params.message, params.requested_schema, related_request_id=call.context.request_id
                )
                answer = forms.answer_of(question, forms.Filled(action=filled.action, content=filled.content))
            except (MCPError, ValidationError, forms.Unfit):
                continue  # the client could not, or sent what does not fit: the question stays open, and is told
            if answer is not None:
                found.append(answer)
        return found

    async def _result(self, call: Call, run: Run, heard: Heard) -> CallToolResult:
        files = await self._blocks.of(call.caller, heard.files)
        return encode.run_result(run, heard, files, may_answer=self._may_answer(call))


def _tool(info: AgentInfo) -> Tool:
    said = info.description or f"Ask {info.title}."
    if info.starters:
        said = f"{said}\n\nFor example: {'; '.join(info.starters[:3])}"
    return Tool(
        name=info.name,
        title=info.title,
        description=said,
        input_schema=input_schema(info),
        output_schema=output_schema(info),
        annotations=ToolAnnotations(title=info.title, read_only_hint=False, open_world_hint=True),
    )


def _bad_state() -> MCPError:
    return MCPError(INVALID_PARAMS, "Invalid or expired requestState")
