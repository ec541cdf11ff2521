"""The native WebSocket (WIRE-5, FACE-5): one socket carries many threads, with the same events as SSE."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing, suppress
from functools import cache
from typing import Annotated, Any, Final, Literal, cast

from pydantic import Field, TypeAdapter, ValidationError

from landline.faces.native import decode
from landline.faces.native.wire import AnswersBody, Body, Id, RunFields, Text, Title
from landline.model.errors import Conflict, Invalid, LandlineError, NotFound
from landline.model.events import encode
from landline.model.messages import TextPart
from landline.model.runs import TERMINAL
from landline.ports.runs import Started, StartRun
from landline.web import strict_json
from landline.web.caller import check_scopes, with_context
from landline.web.face import FacePorts
from landline.web.faults import faults_of
from landline.web.stream_tokens import check_thread, only_thread
from landline.web.websocket import Socket, request_of

__all__ = ["NativeSocket"]

_MOST_SUBSCRIPTIONS: Final = 256
_MOST_OPERATIONS: Final = 16
_EVENTS_AT_ONCE: Final = 64

Ref = Annotated[str, Field(max_length=128)] | int | None


class _Op(Body):
    ref: Ref = None


class Subscribe(_Op):
    """Events of a run after a cursor, or of a thread: its active run, and every later one."""

    op: Literal["subscribe"]
    run_id: Id | None = None
    thread_id: Id | None = None
    after: Annotated[int, Field(ge=0, lt=10**18)] = 0


class Unsubscribe(_Op):
    """End a subscription."""

    op: Literal["unsubscribe"]
    run_id: Id | None = None
    thread_id: Id | None = None


class Start(RunFields):
    """Start a run; with `subscribe` its events follow, from the first."""

    op: Literal["start"]
    ref: Ref = None
    thread_id: Id | None = None
    title: Title | None = None
    subscribe: bool = False
    idempotency_key: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")] | None = None


class AnswerOp(AnswersBody):
    """Answer questions of a run."""

    op: Literal["answer"]
    ref: Ref = None
    run_id: Id


class Cancel(_Op):
    """Stop a run."""

    op: Literal["cancel"]
    run_id: Id


class Steer(_Op):
    """Give new input to a run that is going on."""

    op: Literal["steer"]
    run_id: Id
    input: Text


class Ping(_Op):
    """Is anybody there."""

    op: Literal["ping"]


_Any = Subscribe | Unsubscribe | Start | AnswerOp | Cancel | Steer | Ping
_Key = tuple[Literal["run", "thread"], str]


class NativeSocket:
    """What one accepted socket holds: its subscriptions, each a cursor and a task, and no queue."""

    def __init__(self, socket: Socket, ports: FacePorts, scope: MutableMapping[str, Any]) -> None:
        self._scope = scope
        self._socket = socket
        self._caller = socket.caller
        self._ports = ports
        self._following: dict[_Key, asyncio.Task[None]] = {}
        self._promised = 0
        self._room = asyncio.Semaphore(_MOST_OPERATIONS)
        socket.refused = self._refused

    async def serve(self) -> None:
        """Serve until the client leaves."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._take(await self._socket.receive(), tasks)

    async def _refused(self, error: LandlineError, raw: bytes) -> None:
        ref: Any = None
        with suppress(LandlineError):
            ref = _ref_of(strict_json.parse(raw))
        await self._tell(ref, error)

    async def _take(self, raw: bytes, tasks: asyncio.TaskGroup) -> None:
        ref: Any = None
        data: Any = None
        try:
            data = strict_json.parse(raw)
            ref = _ref_of(data)
            op = _operations().validate_python(data)
        except (LandlineError, ValidationError) as error:
            await self._tell(ref, error, data)
            return
        if isinstance(op, Ping):
            await self._socket.send(encode({"type": "pong", "ref": op.ref}))
        elif isinstance(op, Subscribe | Unsubscribe):
            await self._settle(op, tasks)
        else:
            # These may take a while (a cancel waits for the end); a full room makes the client wait, not the server grow.
            await self._room.acquire()
            tasks.create_task(self._settle_aside(op, tasks))

    async def _settle_aside(self, op: _Any, tasks: asyncio.TaskGroup) -> None:
        try:
            await self._settle(op, tasks)
        finally:
            self._room.release()

    async def _settle(self, op: _Any, tasks: asyncio.TaskGroup) -> None:
        try:
            done = await self._do(op, tasks)
        except Exception as error:  # noqa: BLE001 - every failure is told under its ref; `tell` raises what is no error of the request
            await self._tell(op.ref, error)
        else:
            await self._socket.send(encode({"type": "ack", "ref": op.ref, "op": op.op, **done}))

    async def _check_thread(self, op: _Any) -> None:
        """A socket that a stream token opened is for one thread; what is of another is not there for it."""
        if only_thread(self._scope) is None or isinstance(op, Ping | Unsubscribe):
            return
        if isinstance(op, Subscribe | Start) and op.thread_id is not None:
            check_thread(self._scope, op.thread_id)
        elif isinstance(op, Start) or op.run_id is None:
            check_thread(self._scope, None)
        if not isinstance(op, Start) and op.run_id is not None:
            check_thread(self._scope, (await self._ports.runs.get(self._caller, op.run_id)).thread_id)

    async def _do(self, op: _Any, tasks: asyncio.TaskGroup) -> dict[str, Any]:
        await self._check_thread(op)
        match op:
            case Subscribe():
                return await self._subscribe(op, tasks)
            case Unsubscribe():
                return self._unsubscribe(op)
            case Start():
                return await self._start(op, tasks)
            case AnswerOp():
                check_scopes(self._caller, (("approvals:answer", "runs:write"),), self._ports.door.audit)
                answered = await self._ports.runs.answer(self._caller, op.run_id, decode.answers(op))
                if answered.run is None:
                    return {"run_id": op.run_id, "questions": answered.questions}
                return {"run_id": op.run_id, "run": answered.run}
            case Cancel():
                check_scopes(self._caller, ("runs:write",), self._ports.door.audit)
                return {"run_id": op.run_id, "run": await self._ports.runs.cancel(self._caller, op.run_id)}
            case Steer():
                return await self._steer(op)
            case Ping():
                return {}

    async def _subscribe(self, op: Subscribe, tasks: asyncio.TaskGroup) -> dict[str, Any]:
        check_scopes(self._caller, ("runs:read",), self._ports.door.audit)
        if op.run_id is None and op.thread_id is None:
            raise Invalid("A subscription names a run_id or a thread_id.", code="invalid_request")
        told: dict[str, Any] = {}
        if op.run_id is not None:
            run = await self._ports.runs.get(self._caller, op.run_id)
            if op.thread_id is not None and run.thread_id != op.thread_id:
                raise NotFound("The run is not of that thread.")
            told = {"run_id": run.id, "thread_id": run.thread_id, "status": run.status}
        if op.thread_id is not None:
            await self._ports.threads.get(self._caller, op.thread_id)
            told["thread_id"] = op.thread_id
            work = self._follow_thread(op.thread_id, op.run_id, op.after)
            self._follow(("thread", op.thread_id), work, op.ref, tasks)
        else:
            assert op.run_id is not None
            self._follow(("run", op.run_id), self._follow_run(op.run_id, op.after), op.ref, tasks)
        return told

    def _unsubscribe(self, op: Unsubscribe) -> dict[str, Any]:
        key: _Key = ("thread", op.thread_id) if op.thread_id is not None else ("run", op.run_id or "")
        task = self._following.pop(key, None)
        if task is None:
            raise NotFound("There is no such subscription.")
        task.cancel()
        return {f"{key[0]}_id": key[1]}

    async def _start(self, op: Start, tasks: asyncio.TaskGroup) -> dict[str, Any]:
        check_scopes(
            self._caller,
            ("runs:write", "runs:read") if op.subscribe else ("runs:write",),
            self._ports.door.audit,
        )
        if not op.subscribe:
            return _told_of(await self._started(op))
        # Before the run exists: what is refused has no effect.
        self._check_room()
        self._promised += 1
        try:
            started = await self._started(op)
        finally:
            self._promised -= 1
        self._follow(("run", started.run.id), self._follow_run(started.run.id, 0), op.ref, tasks)
        return _told_of(started)

    async def _started(self, op: Start) -> Started:
        told = op.model_dump(exclude={"op", "ref", "subscribe", "idempotency_key"}, exclude_unset=True)
        key = decode.idempotency(op.idempotency_key, route="WS start", body=told)
        wanted = decode.start(op, thread_id=op.thread_id, key=key, title=op.title)
        wanted = await with_context(self._ports, self._caller, request_of(self._scope), wanted)
        return await self._ports.runs.start(self._caller, wanted)

    async def _steer(self, op: Steer) -> dict[str, Any]:
        check_scopes(self._caller, ("runs:write",), self._ports.door.audit)
        run = await self._ports.runs.get(self._caller, op.run_id)
        if run.status in TERMINAL:
            raise Conflict("The run has ended; start a new one.", code="run_ended")
        if run.status == "queued":
            raise Conflict("The run has not begun; it takes no other input.", code="run_queued")
        wanted = StartRun(
            input=[TextPart(text=op.input)], thread_id=run.thread_id, agent=run.agent, on_busy="steer"
        )
        wanted = await with_context(self._ports, self._caller, request_of(self._scope), wanted)
        started = await self._ports.runs.start(self._caller, wanted)
        return {"run_id": started.run.id, "thread_id": run.thread_id, "run": started.run}

    def _follow(self, key: _Key, work: Any, ref: Any, tasks: asyncio.TaskGroup) -> None:
        before = self._following.pop(key, None)
        if before is not None:
            before.cancel()
        else:
            try:
                self._check_room()
            except Conflict:
                work.close()
                raise
        self._following[key] = tasks.create_task(self._told(key, work, ref))

    def _check_room(self) -> None:
        if len(self._following) + self._promised >= _MOST_SUBSCRIPTIONS:
            raise Conflict(
                f"A socket carries {_MOST_SUBSCRIPTIONS} subscriptions.", code="too_many_subscriptions"
            )

    async def _told(self, key: _Key, work: Any, ref: Any) -> None:
        try:
            await work
        except LandlineError as error:
            await self._tell(ref, error)
        finally:
            if self._following.get(key) is asyncio.current_task():
                del self._following[key]

    async def _follow_thread(self, thread_id: str, run_id: str | None, after: int) -> None:
        if run_id is not None:
            await self._follow_run(run_id, after)
        watching = self._ports.watch.watch(self._caller, thread_id, after_run=run_id)
        async with aclosing(cast("AsyncGenerator[str, None]", watching)) as later:
            async for following in later:
                await self._follow_run(following, 0)

    async def _follow_run(self, run_id: str, after: int) -> None:
        """Send events until the run has ended; a waiting one is waited for (clarification 4)."""
        while True:
            before = after
            batches = self._ports.runs.follow(self._caller, run_id, after=after)
            async with aclosing(cast("AsyncGenerator[Any, None]", batches)) as source:
                async for batch in source:
                    for first in range(0, len(batch), _EVENTS_AT_ONCE):
                        await self._socket.send(
                            *(event.wire for event in batch[first : first + _EVENTS_AT_ONCE])
                        )
                    after = batch[-1].seq
                    if batch[-1].terminal:
                        return
            if after == before:
                return

    async def _tell(self, ref: Any, error: Exception, data: Any = None) -> None:
        if isinstance(error, ValidationError):
            faults = faults_of(error.errors(), data)
            error = Invalid("The message does not fit; see errors.", code="invalid_request", errors=faults)
        if not isinstance(error, LandlineError):
            raise error
        told: dict[str, Any] = {"type": "error", "ref": ref, "code": error.code, "detail": error.detail}
        if error.errors:
            told["errors"] = error.errors
        await self._socket.send(encode(told))


def _told_of(started: Started) -> dict[str, Any]:
    run = started.run
    return {"run_id": run.id, "thread_id": run.thread_id, "run": run, "replayed": started.replayed}


@cache
def _operations() -> TypeAdapter[_Any]:
    return TypeAdapter(Annotated[_Any, Field(discriminator="op")])


def _ref_of(data: Any) -> Any:
    """Return the ref of a message that may not fit otherwise, so that its error can be matched."""
    if not isinstance(data, dict):
        return None
    ref = cast("dict[str, Any]", data).get("ref")
    return ref if isinstance(ref, str | int) and len(str(ref)) <= 128 else None
