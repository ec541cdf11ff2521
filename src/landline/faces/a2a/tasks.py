"""What A2A's operations do, the same for both of its wires: a task is a run, a context is a thread.

A client that goes away changes nothing: the protocol lets it come back with `SubscribeToTask` and `GetTask`.
"""

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from starlette.requests import Request

from landline.faces.a2a import decode, wire
from landline.faces.a2a.encode import Frame, Said, TaskView
from landline.faces.a2a.errors import (
    agent_not_found,
    not_cancelable,
    not_supported,
    push_not_supported,
    task_not_found,
)
from landline.faces.a2a.status import changed_at, state_of
from landline.faces.a2a.wire import Message, SendMessageRequest
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import Invalid, NotFound
from landline.model.events import FileAdded, Stamped
from landline.model.ids import is_id, new_id
from landline.model.messages import Part, TextPart
from landline.model.runs import TERMINAL, Run
from landline.model.threads import Thread
from landline.ports.documents import DocumentWrite
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery
from landline.web.caller import check_scopes, with_context
from landline.web.face import FacePorts
from landline.web.inline_files import keep_file, part_of
from landline.web.named_threads import find_thread, thread_named
from landline.web.waiting import until_gone

__all__ = ["MESSAGE_ID", "TaskRef", "Tasks"]

FACE: Final = "a2a"
MESSAGE_ID: Final = "a2a.message_id"
"""Where a run's metadata has the id that the client gave its message."""

MESSAGE_METADATA: Final = "a2a.metadata"
_THREAD: Final = "a2a.thread"
_SAID: Final = "face.a2a.said"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """A task to follow: its events after `view.seq`; `began` when a message just made it."""

    view: TaskView
    run: Run
    began: bool = False
    stays: bool = False


class Tasks:
    """The operations on the tasks of one agent at a time."""

    def __init__(self, ports: FacePorts) -> None:
        self.ports = ports

    def agent(self, caller: Caller, name: str) -> AgentInfo:
        """Return the agent. Raises NotFound for one the caller may not use."""
        try:
            return self.ports.agents.get(caller, name)
        except NotFound as error:
            raise agent_not_found(error.detail) from error

    async def take(self, request: Request, caller: Caller, agent: str, body: SendMessageRequest) -> TaskRef:
        """Take a message: it begins a task, or answers one that waits.

        Raises:
            LandlineError: It was refused; nothing was begun or answered.
        """
        info = self.agent(caller, agent)
        if body.configuration is not None and body.configuration.task_push_notification_config is not None:
            raise push_not_supported()
        if body.message.task_id:
            return await self._answer(caller, agent, body.message)
        check_scopes(caller, ("runs:write",))
        given = decode.inputs(body.message, info)
        thread = await self._thread(caller, agent, body.message.context_id or "")
        metadata: dict[str, Any] = {MESSAGE_ID: body.message.message_id}
        about = {**(body.metadata or {}), **(body.message.metadata or {})}
        if about:
            metadata[MESSAGE_METADATA] = about
        wanted = StartRun(
            input=[await self._part(caller, part) for part in given],
            thread_id=thread.id if thread else None,
            agent=agent,
            # Tasks of one context may be sent at once; each waits for its turn, as `submitted`.
            on_busy="queue",
            metadata=metadata,
        )
        started = await self.ports.runs.start(caller, await with_context(self.ports, caller, request, wanted))
        return TaskRef(view=await self._view(caller, started.run, fresh=True), run=started.run, began=True)

    async def send(
        self, request: Request, caller: Caller, agent: str, body: SendMessageRequest
    ) -> dict[str, Any] | None:
        """Take a message and return the SendMessageResponse, or None when the client has left meanwhile.

        On a server that stops, the task is returned as it is then.
        """
        configuration = body.configuration or wire.Configuration()
        task = await self.take(request, caller, agent, body)
        if configuration.return_immediately or task.stays:
            await self._fold(caller, task, live=False)
        else:
            follows = self._fold(caller, task, live=True)
            if await until_gone(follows, request=request, door=self.ports.door) == "gone":
                return None
        if task.view.direct and task.view.state == wire.COMPLETED:
            return {"message": task.view.reply()}
        return {"task": task.view.task(history=configuration.history_length)}

    async def frames(self, caller: Caller, task: TaskRef) -> AsyncIterator[Sequence[Frame]]:
        """Yield the task and what becomes of it, until it ends or asks; a batch of the log is a batch of frames."""
        if not task.began:
            yield [{"task": task.view.task()}]
        if task.stays:
            return
        batches = self.ports.runs.follow(caller, task.run.id, after=task.view.seq)
        async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
            async for batch in source:
                found: list[Frame] = []
                for event in batch:
                    found += task.view.take(event, raw=await self._raw(caller, event))
                if found:
                    yield found

    async def get(self, caller: Caller, agent: str, body: wire.GetTaskRequest) -> dict[str, Any]:
        """Return a task."""
        self.agent(caller, agent)
        task = await self._at_tail(caller, await self._run(caller, agent, body.id))
        return task.view.task(history=body.history_length, at=_since(task))

    async def cancel(self, caller: Caller, agent: str, body: wire.CancelTaskRequest) -> dict[str, Any]:
        """Cancel a task and return it."""
        check_scopes(caller, ("runs:write",))
        self.agent(caller, agent)
        run = await self._run(caller, agent, body.id)
        if run.status in TERMINAL:
            raise not_cancelable()
        task = await self._at_tail(caller, await self.ports.runs.cancel(caller, run.id))
        if task.view.state != wire.CANCELED:
            raise not_cancelable()
        return task.view.task()

    async def subscribe(self, caller: Caller, agent: str, body: wire.SubscribeToTaskRequest) -> TaskRef:
        """Return a task to follow. Raises Unsupported when it has ended."""
        self.agent(caller, agent)
        task = await self._at_tail(caller, await self._run(caller, agent, body.id))
        if task.view.terminal:
            raise not_supported("The task has ended; get it instead.")
        return task

    async def shown(self, caller: Caller, run: Run, body: wire.ListTasksRequest) -> dict[str, Any]:
        """Return a task as lists have it."""
        task = await self._at_tail(caller, run)
        artifacts = body.include_artifacts is True
        return task.view.task(history=body.history_length, artifacts=artifacts, at=_since(task))

    async def context(self, caller: Caller, agent: str, context_id: str) -> Thread | None:
        """Return the thread behind a context id, ours or the client's; None when there is none."""
        found = await find_thread(self.ports, caller, face=FACE, name=_name(agent, context_id))
        if found is None and is_id(context_id):
            try:
                return await self.ports.threads.get(caller, context_id)
            except NotFound:
                return None  # clients make up ids of this form too
        return found

    # --- beginning and answering

    async def _thread(self, caller: Caller, agent: str, context_id: str) -> Thread | None:
        if not context_id:
            return None
        found = await self.context(caller, agent, context_id)
        if found is not None:
            query = RunQuery(limit=1, thread_id=found.id, status="waiting")
            for run in (await self.ports.runs.history(caller, query)).items:
                # It would wait for as long as that one does, and the client perhaps for ever.
                raise not_supported(
                    f"Task {run.id} of this context waits for an answer: send it with this taskId, or cancel the task."
                )
            return found
        return await thread_named(self.ports, caller, face=FACE, name=_name(agent, context_id), agent=agent)

    async def _part(self, caller: Caller, given: "TextPart | decode.Upload") -> Part:
        if isinstance(given, TextPart):
            return given
        return part_of(await keep_file(self.ports.files, caller, given.name, given.data))

    async def _answer(self, caller: Caller, agent: str, message: Message) -> TaskRef:
        run = await self._run(caller, agent, message.task_id or "")
        task = await self._at_tail(caller, run)
        context_id = task.view.context_id
        if message.context_id and message.context_id != context_id:
            raise Invalid("The task belongs to another context.", code="context_mismatch")
        if task.view.terminal:
            raise not_supported("The task has ended and takes no more messages; send one without taskId.")
        if run.status != "waiting":
            raise not_supported("The task is at work and takes messages only when it asks for input.")
        given = decode.answers(message, run.questions)
        done = await self.ports.runs.answer(caller, run.id, given)
        said = Said(task.view.seq, _as_sent(message, run.id, context_id))
        await self._keep(caller, run.id, said)
        task.view.add(said)
        before = {question.question_id for question in run.questions}
        after = done.run
        # Other questions of the same moment, or other approvers, are still waited for: nothing will happen now.
        stays = (
            after is not None
            and after.status == "waiting"
            and {question.question_id for question in after.questions} <= before
        )
        if not stays:
            # A client that is told of the question once more takes it for a new one.
            await self._until(caller, task, lambda view: view.state != wire.INPUT_REQUIRED)
        return TaskRef(view=task.view, run=run, stays=stays)

    async def _keep(self, caller: Caller, run_id: str, said: Said) -> None:
        """Keep what the client said, for the task's history: the log has the answer's outcome only."""
        write = DocumentWrite(
            collection=_SAID, key=new_id(), body=msgspec.json.encode(said), version="1", label=run_id
        )
        await self.ports.documents.write_documents(caller, [write])

    # --- reading

    async def _run(self, caller: Caller, agent: str, task_id: str) -> Run:
        try:
            run = await self.ports.runs.get(caller, task_id)
        except NotFound:
            raise task_not_found(task_id) from None
        if run.agent != agent:
            raise task_not_found(task_id)
        return run

    async def _view(self, caller: Caller, run: Run, *, fresh: bool = False) -> TaskView:
        thread = await self.ports.threads.get(caller, run.thread_id)
        first = run.metadata.get(MESSAGE_ID)
        return TaskView(
            run.id,
            context_of(thread),
            first_id=first if isinstance(first, str) else None,
            said=[] if fresh else await self._said(caller, run.id),
        )

    async def _said(self, caller: Caller, run_id: str) -> list[Said]:
        found = await self.ports.documents.list_documents(caller, _SAID, label=run_id)
        # Keys rise with time; the list is newest first.
        return [
            msgspec.json.decode(entry.body, type=Said) for entry in sorted(found, key=lambda entry: entry.key)
        ]

    async def _at_tail(self, caller: Caller, run: Run) -> TaskRef:
        """Return the task after its newest event; of one that has ended, its last is waited for, which takes a moment."""
        task = TaskRef(view=await self._view(caller, run), run=run)
        await self._fold(caller, task, live=run.status in TERMINAL)
        return task

    async def _fold(self, caller: Caller, task: TaskRef, *, live: bool) -> None:
        """Take in what there is, and with `live` what comes, until the task ends or asks."""
        await self._until(caller, task, lambda view: False, live=live)
        if task.view.seq == 0:
            # It is stored and not told yet; a task without its first event has no time and no history.
            await self._until(caller, task, lambda view: view.seq > 0)

    async def _until(
        self, caller: Caller, task: TaskRef, enough: Callable[[TaskView], bool], *, live: bool = True
    ) -> None:
        view = task.view
        batches = self.ports.runs.follow(caller, task.run.id, after=view.seq, live=live)
        async with aclosing(cast("AsyncGenerator[Sequence[Stamped], None]", batches)) as source:
            async for batch in source:
                for event in batch:
                    view.take(event, raw=await self._raw(caller, event))
                    if enough(view):
                        return

    async def _raw(self, caller: Caller, event: Stamped) -> str | None:
        if event.type != "file":
            return None
        added = event.event()
        assert isinstance(added, FileAdded)
        try:
            _, data = await self.ports.files.read(caller, added.file_id)
        except NotFound:
            return None
        return base64.b64encode(data).decode()


def _since(task: TaskRef) -> str | None:
    """Return since when a task is in its state, as lists are sorted by it; the log's own times may be some ms off."""
    return changed_at(task.run) if state_of(task.run) == task.view.state else None


def context_of(thread: Thread) -> str:
    """Return the context id of a thread: what the client called it, else its own id."""
    named = thread.metadata.get(_THREAD)
    prefix = _name(thread.agent, "")
    return named.removeprefix(prefix) if isinstance(named, str) and named.startswith(prefix) else thread.id


def _name(agent: str, context_id: str) -> str:
    """Return a thread's name: each agent is a server of its own to its clients, with contexts of its own."""
    return f"{agent}/{context_id}"


def _as_sent(message: Message, task_id: str, context_id: str) -> dict[str, Any]:
    parts = [
        part.model_dump(by_alias=True, exclude_unset=True, include={"text", "data", "media_type", "metadata"})
        for part in message.parts
    ]
    ids = {"messageId": message.message_id, "taskId": task_id, "contextId": context_id}
    return {**ids, "role": "ROLE_USER", "parts": parts}
