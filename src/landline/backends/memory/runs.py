"""Runs of the memory store: accepting, writing their logs, ending and claiming them."""

from collections.abc import Sequence

import msgspec

from landline.backends.memory import threads
from landline.backends.memory.state import QuestionRow, RunRow, State, ThreadRow
from landline.backends.memory.usage import Place
from landline.backends.sql.pages import bound_limit, id_cursor, pack
from landline.backends.sql.rows import parent_of
from landline.model.callers import Caller
from landline.model.errors import Busy, Conflict, Invalid
from landline.model.events import Event, RunCancelled, RunCreated, Stamped, stamp
from landline.model.runs import TERMINAL, Run
from landline.model.threads import Page
from landline.model.usage import Spent
from landline.ports.store import Accepted, AcceptRun, Append, Appended, Cancelled, Claim, RunQuery

__all__ = [
    "accept",
    "append",
    "cancel",
    "claim",
    "list_runs",
    "recover",
    "refuse_used_ids",
    "release",
    "shown",
    "take",
    "write",
]

_IN_USE = "Something else with the same id or in the same place was stored first."


def shown(row: RunRow) -> Run:
    """Return the run with its open questions."""
    asked = [] if row.ended else [entry.question for entry in row.questions if entry.open]
    return msgspec.structs.replace(row.run, questions=asked or ())


def accept(state: State, caller: Caller, new: AcceptRun) -> Accepted:
    """Accept a run; everything is checked before anything is changed."""
    known = state.made_by(caller, new.idempotency)
    if known in state.runs:
        return Accepted(run=shown(state.runs[known]), replayed=True)
    if new.run_id in state.runs:
        raise Conflict(_IN_USE)
    if new.new_thread is not None:
        if new.parent_id:
            raise Invalid("The message to answer below is not one of this thread's.", code="unknown_parent")
        threads.insert(state, caller, new.new_thread)
    thread = state.thread(caller, new.thread_id)
    ahead = state.active(new.thread_id) or next(iter(state.queued(new.thread_id)), None)
    if ahead is not None and new.queue is None:
        raise Busy(ahead.run.id, waits=ahead.run.status == "waiting")
    if new.parent_id and state.in_tree(thread, new.parent_id) is None:
        raise Invalid("The message to answer below is not one of this thread's.", code="unknown_parent")
    row, events = _insert(state, thread, new, ahead=ahead, first=new.queue == "first")
    state.keep_key(caller, new.idempotency, new.run_id)
    if ahead is not None:
        return Accepted(run=row.run, events=events, active_run_id=ahead.run.id)
    _speak(state, thread, row, at=new.at)
    return Accepted(run=row.run, events=events, claim=claim(row))


def _insert(
    state: State, thread: ThreadRow, new: AcceptRun, *, ahead: RunRow | None, first: bool
) -> tuple[RunRow, list[Stamped]]:
    """Make the run's row and its first event: queued behind `ahead`, and `first` before all others there."""
    line = state.queued(new.thread_id)
    state.accepted += 1
    row = RunRow(
        run=Run(
            id=new.run_id,
            thread_id=new.thread_id,
            agent=new.agent,
            status="running" if ahead is None else "queued",
            created_at=new.at,
            metadata=dict(new.metadata),
            routed_to=new.routed_to,
        ),
        tenant=thread.tenant,
        user=thread.user,
        new=new,
        number=state.accepted,
        rank=min(0, line[0].rank if line else 0) - 1 if ahead and first else 0,
        epoch=1 if ahead is None else 0,
        owner=new.owner,
        parent_id=new.parent_id,
        tail_id=None,
    )
    state.runs[new.run_id] = row
    message = new.message
    created = RunCreated(
        status=row.run.status,
        message_id=message.id if message else None,
        input=message.parts if message else (),
    )
    return row, write(row, created, at=new.at)


def _speak(state: State, thread: ThreadRow, row: RunRow, *, at: str) -> None:
    """Give the run its place: its message below its parent, the thread's head on it."""
    row.parent_id = row.tail_id = parent_of(row.parent_id, thread.thread.head_id)
    message = row.new.message
    if message is not None:
        threads.append(state, thread, row.run.id, row.parent_id, message)
        row.tail_id = message.id
    thread.thread = msgspec.structs.replace(thread.thread, head_id=row.tail_id, updated_at=at)


def write(row: RunRow, *events: Event, at: str) -> list[Stamped]:
    """Append events to a run that nobody drives."""
    first = len(row.events) + 1
    stamped = [
        stamp(event, seq=seq, run_id=row.run.id, thread_id=row.run.thread_id, at=at)
        for seq, event in enumerate(events, first)
    ]
    row.events += stamped
    return stamped


def claim(row: RunRow) -> Claim:
    """Return the claim on a run as it stands."""
    message = row.new.message
    return Claim(
        run=row.run,
        caller=Caller(tenant=row.tenant, user=row.user, key_id=row.new.key_id),
        epoch=row.epoch,
        last_seq=row.events[-1].seq,
        input=message.parts if message else (),
        input_message_id=message.id if message else None,
        parent_id=row.parent_id,
        settings=row.new.settings,
        deadline_s=row.new.deadline_s,
        spent_s=row.spent_s,
        needs_context=row.new.needs_context,
        cancel_by=row.cancel_by,
        attempts_without_progress=row.attempts_without_progress,
        carried=row.new.carried,
    )


def take(row: RunRow, owner: str | None, *, lost: bool = False) -> Claim:
    """Make the run `running` under the next epoch.

    An attempt that was let go of does not count as lost; an answer is progress: the journal keeps it.
    """
    fruitless = row.attempts_without_progress
    if row.run.status == "waiting":
        row.attempts_without_progress = -1
    else:
        row.attempts_without_progress = max(fruitless, 0) if row.owner is None else fruitless + lost
    row.epoch, row.owner = row.epoch + 1, owner
    row.run = msgspec.structs.replace(row.run, status="running", attempt=row.run.attempt + lost)
    return claim(row)


def _promote(state: State, thread_id: str, *, owner: str | None, at: str) -> Claim | None:
    line = state.queued(thread_id)
    if not line:
        return None
    _speak(state, state.threads[thread_id], line[0], at=at)
    return take(line[0], owner)


def _writable(state: State, batch: Append) -> RunRow | None:
    """Return the run, unless the batch is fenced."""
    row = state.runs.get(batch.run_id)
    if row is None or not batch.caller.owns(row.tenant, row.user):
        return None
    first = len(row.events) + 1
    taken = any(event.seq < first for event in batch.events)
    return None if row.epoch != batch.epoch or row.run.status != "running" or taken else row


def refuse_used_ids(state: State, batches: Sequence[Append]) -> None:
    """Refuse all batches when one that may be written says or asks something under an id that is in use."""
    new = [
        id_
        for batch in batches
        if _writable(state, batch) is not None
        for id_ in (
            *(row.id for row in batch.messages),
            *(row.question.question_id for row in batch.questions),
        )
    ]
    if not new:
        return
    asked = {entry.question.question_id for row in state.runs.values() for entry in row.questions}
    if len(set(new)) < len(new) or any(id_ in state.messages or id_ in asked for id_ in new):
        raise Conflict(_IN_USE)


def append(state: State, batch: Append) -> Appended:
    """Write one batch, or nothing of it."""
    row = _writable(state, batch)
    if row is None:
        return Appended(fenced=True)
    row.events += batch.events
    row.records.update(batch.records)
    for key in batch.keys:
        state.keep_key(Caller(tenant=row.tenant, user=row.user), key, row.run.id)
    _spend(state, row, batch)
    _ask(row, batch)
    _say(state, row, batch)
    row.spent_s = row.spent_s if batch.spent_s is None else batch.spent_s
    row.attempts_without_progress = -1 if batch.progress else row.attempts_without_progress
    row.run = msgspec.structs.replace(
        row.run,
        started_at=row.run.started_at or batch.started_at,
        usage=batch.usage or row.run.usage,
        model=batch.model or row.run.model,
    )
    return _settle(state, row, batch)


def _spend(state: State, row: RunRow, batch: Append) -> None:
    at = batch.events[-1].at if batch.events else batch.settle.at if batch.settle else ""
    run = row.run
    for spent in batch.spent:
        place = Place(
            tenant=row.tenant,
            day=at[:10],
            user=row.user,
            thread_id=run.thread_id,
            key=row.new.key_id or "",
            agent=run.agent,
            model=spent.model or "",
        )
        state.usage[place] = state.usage.get(place, Spent()).plus(spent)


def _ask(row: RunRow, batch: Append) -> None:
    at = batch.events[-1].at if batch.events else batch.settle.at if batch.settle else None
    place = {"run_id": row.run.id, "thread_id": row.run.thread_id, "agent": row.run.agent, "asked_at": at}
    for new in batch.questions:
        for asked in row.questions:
            asked.closed = asked.closed or (asked.key == new.key and asked.open)
        row.questions.append(QuestionRow(new.key, msgspec.structs.replace(new.question, **place)))


def _say(state: State, row: RunRow, batch: Append) -> None:
    if not batch.messages:
        return
    thread = state.threads[row.run.thread_id]
    on_branch = thread.thread.head_id == row.tail_id
    for message in batch.messages:
        threads.append(state, thread, row.run.id, row.tail_id, message)
        row.tail_id = message.id
    head_id = row.tail_id if on_branch else thread.thread.head_id
    thread.thread = msgspec.structs.replace(thread.thread, head_id=head_id, updated_at=batch.messages[-1].at)


def _settle(state: State, row: RunRow, batch: Append) -> Appended:
    settle = batch.settle
    if settle is None:
        return Appended()
    ended = settle.status in TERMINAL
    row.run = msgspec.structs.replace(
        row.run,
        status=settle.status,
        output=settle.output,
        message_id=settle.message_id,
        error=settle.error,
        ended_at=settle.at if ended else None,
    )
    if not ended:
        return Appended()
    _close(row)
    for new in reversed(batch.queued):
        thread = state.threads[row.run.thread_id]
        _insert(state, thread, new, ahead=row, first=True)
    return Appended(promoted=_promote(state, row.run.thread_id, owner=row.owner, at=settle.at))


def _close(row: RunRow) -> None:
    for asked in row.questions:
        asked.closed = asked.closed or asked.open


def cancel(state: State, caller: Caller, run_id: str, *, by: str, at: str, owner: str) -> Cancelled:
    """Ask for a run's end."""
    row = state.run(caller, run_id)
    if row.ended:
        return Cancelled(run=shown(row), settled=True)
    if row.run.status == "running":
        row.cancel_by = row.cancel_by or by
        return Cancelled(run=shown(row), settled=False)
    if row.run.status == "waiting":
        row.cancel_by = by
        _close(row)
        claimed = take(row, owner)
        return Cancelled(run=shown(row), settled=False, claim=claimed)
    events = write(row, RunCancelled(by=by), at=at)
    row.run = msgspec.structs.replace(row.run, status="cancelled", ended_at=at)
    _keep_input(state, row, at=at)
    return Cancelled(run=shown(row), settled=True, events=events)


def _keep_input(state: State, row: RunRow, *, at: str) -> None:
    """Append the message of a run that never began, beside the branch that is spoken on."""
    if row.new.message is None:
        return
    thread = state.threads[row.run.thread_id]
    head_id = thread.thread.head_id
    parent_id = head_id if row.new.parent_id is None else row.new.parent_id or None
    threads.append(state, thread, row.run.id, parent_id, row.new.message)
    thread.thread = msgspec.structs.replace(thread.thread, head_id=head_id, updated_at=at)


def release(state: State, caller: Caller, *, owner: str) -> None:
    """Let go of the owner's running runs."""
    for row in state.runs.values() if caller.system else ():
        if row.run.status == "running" and row.owner == owner:
            row.owner = None


def recover(state: State, caller: Caller, *, owner: str, at: str) -> list[Claim]:
    """Take over what has no owner, and start what waits behind nothing."""
    if not caller.system:
        return []
    rows = sorted(state.runs.values(), key=lambda row: row.number)
    lost = [row for row in rows if row.run.status == "running" and row.owner != owner]
    claims = [take(row, owner, lost=True) for row in lost]
    waiting = {row.run.thread_id for row in rows if row.run.status == "queued"}
    for thread_id in sorted(waiting):
        started = None if state.active(thread_id) else _promote(state, thread_id, owner=owner, at=at)
        claims += [started] if started else []
    return claims


def list_runs(state: State, caller: Caller, query: RunQuery) -> Page[Run]:
    """Return a page, newest first."""
    limit, cursor = bound_limit(query.limit), id_cursor(query.cursor, "~")
    found = [
        row
        for run_id, row in sorted(state.runs.items(), reverse=True)
        if caller.owns(row.tenant, row.user) and run_id < cursor and _asked_for(row.run, query)
    ]
    items = [shown(row) for row in found[:limit]]
    return Page(items=items, next_cursor=pack(items[-1].id) if len(found) > limit else None)


def _asked_for(run: Run, query: RunQuery) -> bool:
    return (
        query.thread_id in (None, run.thread_id)
        and query.agent in (None, run.agent)
        and query.status in (None, run.status)
        and (query.after is None or run.created_at >= query.after)
        and (query.before is None or run.created_at < query.before)
    )
