"""Small fakes of the ports that a face is given: an in-memory log that tests write by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from landline.backends.memory import MemoryStore
from landline.backends.sql.answers import check_may_answer
from landline.model.agents import AgentInfo
from landline.model.callers import LOCAL, Caller
from landline.model.errors import Busy, Conflict, Gone, Invalid, NotFound, Unauthenticated, Unsupported
from landline.model.events import (
    Event,
    MessageCompleted,
    MessageStarted,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunResumed,
    RunStarted,
    RunWaiting,
    Stamped,
    TextDelta,
    stamp,
)
from landline.model.files import FileInfo
from landline.model.ids import fingerprint, new_id
from landline.model.messages import Message, Native, TextPart, text_of
from landline.model.runs import TERMINAL, Answer, Question, Run, Usage
from landline.model.threads import Page, Thread
from landline.ports.runs import AnsweredRun, Started, StartRun
from landline.ports.store import IdempotencyKey, MessageQuery, RunQuery, ThreadPatch, ThreadQuery
from landline.web.door import Door
from landline.web.face import FacePorts
from landline.web.health import Health

AT = "2026-11-21T08:00:00.000Z"
OTHER = Caller(tenant="local", user="other")
RUNNER = Caller(tenant="local", user="local", scopes=frozenset({"runs:read", "runs:write"}))
READER = Caller(tenant="local", user="local", scopes=frozenset({"runs:read", "threads:read"}))


class FakeAuthenticator:
    """Open, or with four known keys."""

    def __init__(self, *, open_: bool = True) -> None:
        self.open = open_

    async def authenticate(self, credential: str | None) -> Caller:
        known = {"key-local": LOCAL, "key-other": OTHER, "key-reader": READER, "key-runner": RUNNER}
        if credential is None and self.open:
            return LOCAL
        if credential in known:
            return known[credential]
        raise Unauthenticated("A valid credential is needed.")


class World:
    """All ports over one dictionary of threads and one log per run; `script` says what each new run does."""

    def __init__(self, *, script: Sequence[str] = ("Hel", "lo"), finish: bool = True) -> None:
        self.script = script
        self.finish = finish
        self.owners: dict[str, str] = {}
        self.thread_rows: dict[str, Thread] = {}
        self.message_rows: dict[str, list[Message]] = {}
        self.run_rows: dict[str, Run] = {}
        self.logs: dict[str, list[Stamped]] = {}
        self.keys: dict[tuple[str, str, str], tuple[str, str]] = {}
        self.file_rows: dict[str, tuple[FileInfo, bytes]] = {}
        self.started: list[StartRun] = []
        self.cancelled: list[str] = []
        self.following = 0
        self.told: int | None = (
            None  # how many events of a log readers get; the store may be ahead of the telling
        )
        self.fail_follow: Exception | None = None
        self.bell = asyncio.Event()

    # --- the log

    def write(self, run_id: str, *events: Event) -> list[Stamped]:
        log = self.logs[run_id]
        run = self.run_rows[run_id]
        new: list[Stamped] = []
        for event in events:
            new.append(
                stamp(event, seq=len(log) + len(new) + 1, run_id=run_id, thread_id=run.thread_id, at=AT)
            )
            self._fold(run_id, event)
        log.extend(new)
        self.ring()
        return new

    def ring(self) -> None:
        self.bell.set()
        self.bell = asyncio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds`, looked at whenever something happens."""
        async with asyncio.timeout(10):
            while not holds():
                await self.bell.wait()

    def _fold(self, run_id: str, event: Event) -> None:
        run = self.run_rows[run_id]
        replace = msgspec.structs.replace
        match event:
            case RunCompleted():
                run = replace(
                    run, status="completed", output=event.output, message_id=event.message_id, ended_at=AT
                )
            case RunCancelled():
                run = replace(run, status="cancelled", ended_at=AT)
            case RunWaiting():
                run = replace(run, status="waiting", questions=event.questions)
            case RunResumed():
                run = replace(run, status="running", questions=())
            case _:
                pass
        self.run_rows[run_id] = run

    def complete(self, run_id: str, text: str) -> None:
        message_id = new_id()
        self.write(
            run_id,
            MessageStarted(message_id=message_id, role="assistant"),
            TextDelta(message_id=message_id, delta=text),
            MessageCompleted(message_id=message_id, text=text),
            RunCompleted(
                output=text,
                message_id=message_id,
                usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
            ),
        )

    def own(self, caller: Caller, thing_id: str, rows: dict[str, Any]) -> Any:
        if thing_id not in rows or self.owners.get(thing_id) != caller.user:
            raise NotFound(f"Nothing has the id {thing_id[:64]}.")
        return rows[thing_id]

    def recall(self, caller: Caller, key: IdempotencyKey | None, made: str | None = None) -> str | None:
        if key is None:
            return None
        place = (caller.user, key.route, key.key)
        if made is not None:
            self.keys[place] = (key.body_hash, made)
        found = self.keys.get(place)
        if found is None:
            return None
        if found[0] != key.body_hash:
            raise Invalid("The key was used with another body.", code="idempotency_mismatch")
        return found[1] if found[1] in self.run_rows | self.thread_rows | self.file_rows else None

    def make_thread(self, caller: Caller, agent: str, title: str | None, metadata: dict[str, Any]) -> Thread:
        if agent not in {"notes", "broken"}:
            raise NotFound("There is no such agent.")
        thread = Thread(
            id=new_id(), user_id=caller.user, agent=agent, title=title, metadata=metadata, pinned=False, archived=False,
            head_id=None, created_at=AT, updated_at=AT, message_count=0,
        )  # fmt: skip
        self.thread_rows[thread.id], self.owners[thread.id] = thread, caller.user
        self.message_rows[thread.id] = []
        return thread


class FakeRuns:
    def __init__(self, world: World) -> None:
        self.w = world

    async def start(self, caller: Caller, request: StartRun) -> Started:
        w = self.w
        seen = w.recall(caller, request.idempotency)
        if seen:
            return Started(run=w.run_rows[seen], replayed=True)
        if request.settings.get("model") == "unknown":
            raise Unsupported("The agent does not take that model.")
        if request.on_busy == "steer" and not request.thread_id:
            raise Unsupported("The agent cannot be steered.")
        if request.thread_id:
            thread: Thread = w.own(caller, request.thread_id, w.thread_rows)
        else:
            thread = w.make_thread(caller, request.agent or "notes", request.title, {})
        active = [r for r in w.run_rows.values() if r.thread_id == thread.id and r.status not in TERMINAL]
        if active and request.on_busy == "reject":
            raise Busy(active[0].id)
        run = Run(
            id=new_id(),
            thread_id=thread.id,
            agent=thread.agent,
            status="running",
            created_at=AT,
            metadata=request.metadata,
        )
        w.run_rows[run.id], w.owners[run.id], w.logs[run.id] = run, caller.user, []
        message = Message(
            id=new_id(), thread_id=thread.id, run_id=run.id, parent_id=None, seq=1, role="user",
            content=text_of(request.input or []), parts=request.input or [], created_at=AT,
            native=Native(framework="x", version=1, messages=msgspec.Raw(b'["secret native"]')),
        )  # fmt: skip
        w.message_rows[thread.id].append(message)
        w.started.append(request)
        w.recall(caller, request.idempotency, run.id)
        w.write(
            run.id,
            RunCreated(status="running", message_id=message.id, input=request.input or [TextPart(text="")]),
            RunStarted(agent=run.agent, attempt=1),
        )
        if w.finish:
            w.complete(run.id, "".join(w.script))
        return Started(run=run)

    async def follow(
        self, caller: Caller, run_id: str, *, after: int = 0, live: bool = True, at_once: bool = True
    ) -> AsyncIterator[Sequence[Stamped]]:
        w = self.w
        w.own(caller, run_id, w.run_rows)
        if after > len(w.logs[run_id]):
            raise Gone("The cursor lies beyond the log.")
        w.following += 1
        w.ring()
        try:
            cursor, asked = after, False
            while True:
                bell = w.bell
                batch = w.logs[run_id][cursor : w.told]
                if batch:
                    cursor, asked = batch[-1].seq, batch[-1].type == "run.waiting"
                    yield batch
                    if batch[-1].terminal:
                        return
                    continue
                if w.fail_follow is not None:
                    raise w.fail_follow
                if asked or not live or (w.run_rows[run_id].status in TERMINAL and w.told is None):
                    return
                await bell.wait()
        finally:
            w.following -= 1
            w.ring()

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        w = self.w
        run = w.own(caller, run_id, w.run_rows)
        if run.status not in TERMINAL:
            w.cancelled.append(run_id)
            w.write(run_id, RunCancelled(by=caller.user))
        return w.run_rows[run_id]

    async def answer(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> AnsweredRun:
        w = self.w
        run = w.own(caller, run_id, w.run_rows)
        if run.status != "waiting":
            raise Conflict("The question is not open any more.", code="question_closed")
        for question in run.questions:
            check_may_answer(caller, question, own=True)
        w.write(run_id, RunResumed(attempt=1, reason="answered"))
        w.complete(run_id, f"answered {len(answers)}")
        return AnsweredRun(run=w.run_rows[run_id], questions=())

    async def get(self, caller: Caller, run_id: str) -> Run:
        return self.w.own(caller, run_id, self.w.run_rows)

    async def history(self, caller: Caller, query: RunQuery) -> Page[Run]:
        rows = [r for r in self.w.run_rows.values() if self.w.owners[r.id] == caller.user]
        rows = [
            r for r in rows if query.thread_id in {None, r.thread_id} and query.status in {None, r.status}
        ]
        return Page(items=rows[: query.limit], next_cursor="more" if len(rows) > query.limit else None)

    async def watch(
        self, caller: Caller, thread_id: str, *, after_run: str | None = None
    ) -> AsyncIterator[str]:
        w = self.w
        w.own(caller, thread_id, w.thread_rows)
        seen: set[str] = set()
        for run in w.run_rows.values():
            if (after_run is not None and run.id <= after_run) or (
                after_run is None and run.status in TERMINAL
            ):
                seen.add(run.id)
        while True:
            bell = w.bell
            for run in list(w.run_rows.values()):
                if run.thread_id == thread_id and run.id not in seen:
                    seen.add(run.id)
                    yield run.id
            await bell.wait()


class FakeThreads:
    def __init__(self, world: World) -> None:
        self.w = world

    async def create(
        self,
        caller: Caller,
        *,
        agent: str,
        title: str | None = None,
        metadata: dict[str, Any] | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]:
        seen = self.w.recall(caller, idempotency)
        if seen:
            return self.w.thread_rows[seen], True
        thread = self.w.make_thread(caller, agent, title, metadata or {})
        self.w.recall(caller, idempotency, thread.id)
        return thread, False

    async def get(self, caller: Caller, thread_id: str) -> Thread:
        return self.w.own(caller, thread_id, self.w.thread_rows)

    async def list(self, caller: Caller, query: ThreadQuery) -> Page[Thread]:
        rows = [t for t in self.w.thread_rows.values() if t.user_id == caller.user]
        rows = [t for t in rows if all(str(t.metadata.get(k)) == v for k, v in query.metadata.items())]
        rows = [t for t in rows if query.archived in {None, t.archived} and query.agent in {None, t.agent}]
        return Page(items=rows[: query.limit], next_cursor="more" if len(rows) > query.limit else None)

    async def update(self, caller: Caller, thread_id: str, patch: ThreadPatch) -> Thread:
        thread = self.w.own(caller, thread_id, self.w.thread_rows)
        fields = {
            name: getattr(patch, name)
            for name in ("title", "metadata", "pinned", "archived", "head_id")
            if getattr(patch, name) is not None
        }
        if patch.clear_title:
            fields["title"] = None
        self.w.thread_rows[thread_id] = msgspec.structs.replace(thread, **fields)
        return self.w.thread_rows[thread_id]

    async def delete(self, caller: Caller, thread_id: str) -> None:
        self.w.own(caller, thread_id, self.w.thread_rows)
        del self.w.thread_rows[thread_id]

    async def fork(
        self,
        caller: Caller,
        thread_id: str,
        *,
        message_id: str | None,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[Thread, bool]:
        old = self.w.own(caller, thread_id, self.w.thread_rows)
        return await self.create(caller, agent=old.agent, title=old.title, idempotency=idempotency)

    async def messages(self, caller: Caller, query: MessageQuery) -> Page[Message]:
        self.w.own(caller, query.thread_id, self.w.thread_rows)
        return Page(items=self.w.message_rows[query.thread_id][: query.limit])


class FakeAgents:
    def __init__(self) -> None:
        self._agents = {
            "notes": AgentInfo(
                name="notes", title="Notes", framework="plain", version="1", starters=["Hello"]
            )
        }

    def list(self, caller: Caller) -> list[AgentInfo]:
        return list(self._agents.values())

    def get(self, caller: Caller, name: str) -> AgentInfo:
        if name not in self._agents:
            raise NotFound("There is no such agent.")
        return self._agents[name]


class FakeQuestions:
    def __init__(self, world: World) -> None:
        self.w = world

    async def inbox(self, caller: Caller, *, limit: int = 50, cursor: str | None = None) -> Page[Question]:
        open_ = [
            q for r in self.w.run_rows.values() if self.w.owners[r.id] == caller.user for q in r.questions
        ]
        return Page(items=open_[:limit])


class FakeFiles:
    def __init__(self, world: World) -> None:
        self.w = world

    async def upload(
        self,
        caller: Caller,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[FileInfo, bool]:
        data = b"".join([chunk async for chunk in chunks])
        seen = self.w.recall(caller, idempotency)
        if seen:
            return self.w.file_rows[seen][0], True
        info = FileInfo(
            id=new_id(),
            name=name,
            media_type="text/plain",
            size=len(data),
            sha256=fingerprint(data),
            created_at=AT,
        )
        self.w.file_rows[info.id], self.w.owners[info.id] = (info, data), caller.user
        self.w.recall(caller, idempotency, info.id)
        return info, False

    async def info(self, caller: Caller, file_id: str) -> FileInfo:
        return self.w.own(caller, file_id, self.w.file_rows)[0]

    async def read(self, caller: Caller, file_id: str) -> tuple[FileInfo, bytes]:
        return self.w.own(caller, file_id, self.w.file_rows)


async def _well() -> dict[str, str | None]:
    return {"database": None}


def native_ports(world: World, *, door: Door | None = None, **given: Any) -> FacePorts:
    runs = FakeRuns(world)
    ports: dict[str, Any] = {
        "runs": runs,
        "watch": runs,
        "documents": MemoryStore(),
        "threads": FakeThreads(world),
        "agents": FakeAgents(),
        "questions": FakeQuestions(world),
        "files": FakeFiles(world),
        "door": door or Door(authenticator=FakeAuthenticator()),
        "health": Health(version="0.1.0", ready=_well, sessions_active=lambda: 0),
    }
    return FacePorts(**{**ports, **given})
