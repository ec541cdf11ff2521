"""What a client asks of an agent: start or continue a run, read it again, see the thread, stop it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.ag_ui import decode, documents
from landline.faces.ag_ui.answers import Answers, answers_for
from landline.faces.ag_ui.capabilities import capabilities_of
from landline.faces.ag_ui.files import check_media, keep_parts
from landline.faces.ag_ui.frames import Segment
from landline.faces.ag_ui.interrupts import interrupt_of
from landline.faces.ag_ui.records import Kept, Records
from landline.faces.ag_ui.telling import START, Telling, cursor_of
from landline.faces.ag_ui.wire import CancelBody, RunBody
from landline.model.callers import Caller
from landline.model.errors import Busy, Conflict, Invalid, LandlineError, NotFound
from landline.model.ids import fingerprint, is_id
from landline.model.messages import Part, TextPart
from landline.model.runs import TERMINAL, OnDisconnect, Question, Run
from landline.model.threads import Thread
from landline.ports.runs import StartRun
from landline.ports.store import IdempotencyKey, RunQuery
from landline.web.caller import CallerOf, check_scopes, with_context
from landline.web.face import FacePorts
from landline.web.named_threads import find_thread, thread_named
from landline.web.route import Entry, requires, streams
from landline.web.strict_json import canonical

__all__ = ["AgentRoutes"]

PREFIX = "/ag-ui"
FACE = "ag_ui"
_CURSOR = r"^[0-9]{1,18}\.[0-9]{1,9}$"

AgentName = Annotated[str, Path(min_length=1, max_length=128, description="The agent's name.")]
NameParam = Annotated[str, Query(min_length=1, max_length=256)]
AfterParam = Annotated[
    str | None, Query(pattern=_CURSOR, description="The id of the last frame that was seen.")
]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", pattern=_CURSOR, description="As `after`, and wins over it.")
]
OnLeaving = Annotated[
    OnDisconnect,
    Query(
        alias="onDisconnect", description="`cancel`: the run is stopped when the client closes the stream."
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A request on a thread: what it says, and what identifies it when it comes again."""

    agent: str
    body: RunBody
    body_hash: str


class AgentRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._runs = ports.runs
        self._records = Records(ports.documents)
        self._telling = Telling(ports, self._records)

    @requires("runs:write", "runs:read")
    @streams
    async def run(
        self,
        request: Request,
        agent: AgentName,
        body: RunBody,
        caller: CallerOf,
        on_leaving: OnLeaving = "continue",
    ) -> Response:
        """Start a run or continue one that waits, and tell it. A repeat with the same runId tells the same run."""
        self._ports.agents.get(caller, agent)
        decode.check_input(body)
        asked = _Asked(agent=agent, body=body, body_hash=fingerprint(canonical(await request.json())))
        thread = await self._thread(caller, body.thread_id)
        kept = await self._records.run(caller, thread.id, body.run_id) if thread else None
        if kept is not None:
            return await self._again(caller, kept, asked, on_leaving)
        waiting = await self._newest(caller, thread, "waiting")
        if thread is None or waiting is None:
            return await self._start(request, caller, thread, asked, on_leaving)
        return await self._continue(request, caller, thread, waiting, asked, on_leaving)

    @requires("runs:read")
    async def follow(
        self,
        agent: AgentName,
        caller: CallerOf,
        thread_name: Annotated[str, Query(alias="threadId", min_length=1, max_length=256)],
        run_name: Annotated[str | None, Query(alias="runId", min_length=1, max_length=320)] = None,
        after: AfterParam = None,
        last_event_id: LastEventId = None,
    ) -> Response:
        """Tell a run again from after a frame; without a runId the thread: what was said, and its last run."""
        self._ports.agents.get(caller, agent)
        thread = await self._owned_thread(caller, thread_name)
        if run_name is None:
            check_scopes(caller, ("threads:read",), self._ports.door.audit)
            return await self._connect(caller, thread, thread_name)
        segment = await self._segment(caller, thread, thread_name, run_name)
        cursor = cursor_of(last_event_id, after)
        if cursor != START and not await self._telling.anything_after(caller, segment, cursor):
            return Response(status_code=204)
        return self._telling.stream(caller, segment, cursor=cursor)

    @requires("runs:write")
    async def cancel(self, agent: AgentName, body: CancelBody, caller: CallerOf) -> Response:
        """Stop a run and keep what it said; a second cancel gives the same."""
        self._ports.agents.get(caller, agent)
        thread = await self._owned_thread(caller, body.thread_id)
        if body.run_id is not None:
            run = await self._runs.get(
                caller, (await self._segment(caller, thread, body.thread_id, body.run_id)).log
            )
        else:
            found = await self._newest(caller, thread, None)
            if found is None:
                raise NotFound("The thread has no run.", code="run_not_found")
            run = found
        if run.status not in TERMINAL:
            run = await self._runs.cancel(caller, run.id)
        return documents.json_response({"threadId": body.thread_id, "status": run.status})

    @requires("runs:read")
    async def capabilities(self, agent: AgentName, caller: CallerOf) -> Response:
        """Return what the agent can do."""
        return documents.json_response(capabilities_of(self._ports.agents.get(caller, agent)))

    # threads and runs by the client's names

    async def _thread(self, caller: Caller, name: str) -> Thread | None:
        found = await find_thread(self._ports, caller, face=FACE, name=name)
        if found is None and is_id(name):
            try:
                return await self._ports.threads.get(caller, name)
            except NotFound:
                return None  # also for somebody else's: the client may call a thread of its own like that
        return found

    async def _owned_thread(self, caller: Caller, name: str) -> Thread:
        thread = await self._thread(caller, name)
        if thread is None:
            raise NotFound("There is no such thread.", code="thread_not_found")
        return thread

    async def _segment(self, caller: Caller, thread: Thread, thread_name: str, name: str) -> Segment:
        """Return a run by the client's name or, for one that another wire began, by the name that `_connect` told."""
        kept = await self._records.run(caller, thread.id, name)
        if kept is not None:
            return kept.segment
        id_, _, after = name.partition("/")
        if is_id(id_) and (not after or (after.isdecimal() and len(after) <= 18)):
            run = await self._runs.get(caller, id_)
            place = int(after or 0)
            known = not place or place in await self._telling.waits(caller, run.id)
            if run.thread_id == thread.id and known:
                return Segment(thread=thread_name, run=name, log=run.id, after=place)
        raise NotFound("There is no such run.", code="run_not_found")

    async def _newest(
        self, caller: Caller, thread: Thread | None, status: Literal["waiting"] | None
    ) -> Run | None:
        if thread is None:
            return None
        page = await self._runs.history(caller, RunQuery(thread_id=thread.id, status=status, limit=1))
        return await self._runs.get(caller, page.items[0].id) if page.items else None

    # the thread as it stands

    async def _connect(self, caller: Caller, thread: Thread, thread_name: str) -> Response:
        run = await self._newest(caller, thread, None)
        if run is None:
            return self._telling.quiet(thread_name, thread.id, messages=[], outcome={"type": "success"})
        after = await self._telling.current(caller, run.id)
        for kept in await self._records.runs(caller, thread.id):
            if (kept.segment.log, kept.segment.after) == (run.id, after):
                return self._telling.with_past(caller, thread.id, kept.segment)
        name = f"{run.id}/{after}" if after else run.id
        segment = Segment(thread=thread_name, run=name, log=run.id, after=after)
        return self._telling.with_past(caller, thread.id, segment)

    # runs that begin

    async def _again(self, caller: Caller, kept: Kept, asked: _Asked, leaving: OnDisconnect) -> Response:
        """Tell a run whose request came before. Answers that did not get through then are given now."""
        if kept.body_hash != asked.body_hash:
            raise Invalid("This runId was used for another request.", code="idempotency_mismatch")
        if kept.segment.after:
            run = await self._runs.get(caller, kept.segment.log)
            if run.status == "waiting" and await self._telling.wait_of(caller, run) == kept.segment.after:
                await self._settle(caller, answers_for(run, asked.body))
        return self._stream(caller, kept.segment, leaving)

    async def _start(
        self, request: Request, caller: Caller, thread: Thread | None, asked: _Asked, leaving: OnDisconnect
    ) -> Response:
        body = asked.body
        await self._check_stale(caller, thread, body)
        if thread is None or thread.head_id is None:
            decode.check_history(body.messages)
        decode.call_answers(body.messages, {})
        names = [message.id for message in body.messages if message.role == "user"][-100:]
        taken = await self._records.taken(caller, thread.id, names) if thread else {}
        users = decode.new_users(body.messages, taken)
        given = [(message, decode.content(message, index)) for index, message in users]
        for _, parts in given:
            check_media(parts)
        again = decode.last_user(body.messages)
        if not users and (again is None or again.id not in taken):
            raise Invalid(
                "The request brings nothing new: its messages end with no message of the user.",
                code="nothing_new",
            )
        if thread is None:
            thread = await thread_named(
                self._ports, caller, face=FACE, name=body.thread_id, agent=asked.agent
            )
        said: list[Part] = []
        for _, parts in given:
            said += await keep_parts(self._ports.files, caller, parts)
        if users and not said:
            raise Invalid("The user's message is empty.", code="input_missing")
        context = decode.context_text(body.context)
        if said and context is not None:
            said.append(TextPart(text=context))
        anchor = None if users or again is None else taken[again.id]
        props = body.forwarded_props
        wanted = StartRun(
            input=said if users else None,
            thread_id=thread.id,
            agent=asked.agent,
            parent_id=anchor,
            context=props,
            has_context=props is not None and props != {},
            idempotency=IdempotencyKey(
                key=body.run_id, route=f"POST {PREFIX} {thread.id}", body_hash=asked.body_hash
            ),
            carried=decode.carried(body),
        )
        wanted = await with_context(self._ports, caller, request, wanted)
        run = (await self._runs.start(caller, wanted)).run
        segment = Segment(
            thread=body.thread_id, run=body.run_id, log=run.id, parent=body.parent_run_id, anchor=anchor
        )
        message_id = await self._input_of(caller, run.id) if users else None
        kept = Kept(segment=segment, body_hash=asked.body_hash)
        ours = {message.id: message_id for _, message in users} if message_id else {}
        with suppress(Conflict):  # the same request came twice at once, and both began the same run
            await self._records.keep(caller, thread.id, kept, users=ours, results={})
        return self._stream(caller, segment, leaving)

    async def _check_stale(self, caller: Caller, thread: Thread | None, body: RunBody) -> None:
        """Refuse answers to what was never asked. A client repeats those to a run that failed with its next message."""
        given = {entry.interrupt_id for entry in body.resume or ()}
        run = await self._newest(caller, thread, None) if given else None
        asked = await self._telling.asked(caller, run.id) if run is not None else set[str]()
        if not given <= asked:
            raise Conflict("The thread waits for no such interrupt.", code="interrupt_closed")

    async def _input_of(self, caller: Caller, run_id: str) -> str | None:
        """Return the id of the user's message that a run answers."""
        async for batch in self._runs.follow(caller, run_id, live=False):
            event: Any = batch[0].event()
            return event.message_id
        return None

    # runs that go on

    async def _continue(
        self, request: Request, caller: Caller, thread: Thread, run: Run, asked: _Asked, leaving: OnDisconnect
    ) -> Response:
        body = asked.body
        answers = answers_for(run, body)
        taken = await self._records.taken(
            caller, thread.id, [m.id for m in body.messages if m.role == "user"][-100:]
        )
        users = decode.new_users(body.messages, taken)
        if answers is None:
            raise Busy(run.id, waits=True)
        if users and not (body.resume and all(entry.status == "cancelled" for entry in body.resume)):
            raise Invalid("Answer what the thread waits for first, then say more.", code="answer_first")
        if users:  # the user moves on: what was asked is abandoned, with the run that asked it
            await self._runs.cancel(caller, run.id)
            rest = body.model_copy(update={"resume": None})
            moved = _Asked(agent=asked.agent, body=rest, body_hash=asked.body_hash)
            return await self._start(request, caller, thread, moved, leaving)
        segment = Segment(
            thread=body.thread_id,
            run=body.run_id,
            log=run.id,
            after=await self._telling.wait_of(caller, run),
            parent=body.parent_run_id,
        )
        kept = Kept(segment=segment, body_hash=asked.body_hash)
        # Kept before the answers are given: whoever repeats the request after a crash in between gives them again.
        await self._records.keep(caller, thread.id, kept, users={}, results=answers.results)
        try:
            still = await self._settle(caller, answers)
        except LandlineError:
            await self._records.forget(caller, thread.id, body.run_id)
            raise
        if still:
            await self._records.forget(caller, thread.id, body.run_id)
            outcome = {"type": "interrupt", "interrupts": [interrupt_of(question) for question in still]}
            return self._telling.quiet(body.thread_id, body.run_id, messages=None, outcome=outcome)
        return self._stream(caller, segment, leaving)

    async def _settle(self, caller: Caller, answers: Answers | None) -> Sequence[Question]:
        """Give the answers, or stop the run; return what is open after it, where more than one must agree."""
        if answers is None:
            return ()
        if not answers.given:
            await self._runs.cancel(caller, answers.run_id)
            return ()
        answered = await self._runs.answer(caller, answers.run_id, answers.given)
        run = answered.run
        if run is None or run.status != "waiting":
            return ()
        asked = {
            answer.question_id for answer in answers.given
        }  # it may have gone on and ask something else by now
        return [
            question for question in run.questions if question.question_id in asked and not question.outcome
        ]

    def _stream(self, caller: Caller, segment: Segment, leaving: OnDisconnect) -> Response:
        async def stop() -> None:
            await self._runs.cancel(caller, segment.log)

        return self._telling.stream(caller, segment, on_gone=stop if leaving == "cancel" else None)

    def routes(self) -> list[Entry]:
        """Return the table."""
        agent = f"{PREFIX}/{{agent}}"
        return [
            Entry(method="POST", path=agent, endpoint=self.run, name="ag_ui_run", summary="Run an agent",
                  docs={"responses": documents.RUN}),
            Entry(method="GET", path=agent, endpoint=self.follow, name="ag_ui_follow",
                  summary="Follow a run again, or a thread", docs={"responses": documents.FOLLOW}),
            Entry(method="POST", path=f"{agent}/cancel", endpoint=self.cancel, name="ag_ui_cancel",
                  summary="Stop a run", docs={"responses": documents.CANCEL}),
            Entry(method="GET", path=f"{agent}/capabilities", endpoint=self.capabilities, name="ag_ui_capabilities",
                  summary="What an agent can do", docs={"responses": documents.CAPABILITIES}),
        ]  # fmt: skip
