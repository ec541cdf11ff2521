"""Runs: accepting, one at a time per thread, waiting lines, idempotency, listing, cancelling."""

import asyncio
from dataclasses import replace

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Busy, Conflict, Invalid, NotFound
from landline.model.events import InputReceived, RunCancelled
from landline.model.ids import new_id
from landline.model.messages import TextPart, text_of
from landline.model.runs import Usage
from landline.ports.store import (
    AcceptRun,
    IdempotencyKey,
    MessageQuery,
    NewThread,
    RunQuery,
    Settle,
    Store,
)
from landline.testing.stores.kit import ALICE, BOB, OWNER, Pen, ask, code_of, moment, new_thread, said, start

__all__ = ["RunPromises"]


class RunPromises:
    """What a store promises about runs."""

    @pytest.mark.contract("RUN-2")
    async def test_an_accepted_run_is_there_with_its_message_and_first_event(self, store: Store) -> None:
        thread = await new_thread(store)
        message = said("hello")
        accepted = await start(
            store,
            thread.id,
            None,
            message=message,
            settings={"model": "m"},
            metadata={"k": 1},
            deadline_s=2.5,
        )
        claim = accepted.claim
        assert claim is not None
        assert (claim.epoch, claim.last_seq, claim.parent_id) == (1, 1, None)
        assert (claim.settings, claim.deadline_s, claim.spent_s) == ({"model": "m"}, 2.5, 0.0)
        assert (claim.input_message_id, list(claim.input)) == (message.id, list(message.parts))
        assert claim.caller.owns("acme", "alice")
        run = await store.get_run(ALICE, accepted.run.id)
        assert run == accepted.run == claim.run
        assert (run.status, run.attempt, run.metadata) == ("running", 1, {"k": 1})
        events = await store.events(ALICE, run.id, after=0, limit=10)
        assert events == list(accepted.events)
        assert [(event.seq, event.type) for event in events] == [(1, "run.created")]
        assert [row.id for row in await store.branch(ALICE, thread.id, None)] == [message.id]

    @pytest.mark.contract("RUN-1")
    async def test_a_routed_run_says_so_wherever_it_is_read(self, store: Store) -> None:
        thread = await new_thread(store)
        key = IdempotencyKey(key="k", route="POST /runs", body_hash="h")
        first = await start(store, thread.id, routed_to="notes", idempotency=key)
        queued = await start(store, thread.id, queue="last", routed_to="notes")
        assert (await start(store, thread.id, routed_to="bank", idempotency=key)).run.routed_to == "notes"
        assert first.claim is not None
        promoted = (await Pen(store, first.claim).complete()).promoted
        assert promoted is not None
        assert (promoted.run.id, promoted.run.routed_to) == (queued.run.id, "notes")
        for run in (first.run, await store.get_run(ALICE, first.run.id), queued.run):
            assert run.routed_to == "notes"
        plain = await start(store, (await new_thread(store)).id)
        assert plain.run.routed_to is (await store.get_run(ALICE, plain.run.id)).routed_to is None

    @pytest.mark.contract("RUN-6", "RUN-7")
    async def test_a_key_that_came_with_input_finds_the_run_it_was_given_to(self, store: Store) -> None:
        thread = await new_thread(store)
        claim = (await start(store, thread.id)).claim
        assert claim is not None
        key = IdempotencyKey(key="k", route="POST /runs", body_hash="h")
        given = InputReceived(message_id=new_id(), input=[TextPart(text="more")])
        stale = replace(claim, epoch=claim.epoch + 1)
        assert (await Pen(store, stale).write(given, keys=[key], durable=True)).fenced
        assert await store.made_run(ALICE, key) is None
        pen = Pen(store, claim)
        await pen.write(given, keys=[key], durable=True)
        assert await store.made_run(BOB, key) is None
        found = await store.made_run(ALICE, key)
        again = await start(store, thread.id, idempotency=key)
        assert found is not None
        assert (found.id, again.run.id, again.replayed) == (claim.run.id, claim.run.id, True)

    @pytest.mark.contract("RUN-6", "THR-3")
    async def test_runs_that_an_end_leaves_go_before_all_others_in_their_order(self, store: Store) -> None:
        thread = await new_thread(store)
        claim = (await start(store, thread.id, "one")).claim
        assert claim is not None
        await start(store, thread.id, "four", queue="last")
        left = [
            AcceptRun(
                run_id=new_id(),
                thread_id=thread.id,
                agent="notes",
                at=moment(2),
                owner="",
                message=said(text, second=2),
                settings={"text": text},
                deadline_s=3.0,
                needs_context=True,
            )
            for text in ("two", "three")
        ]
        ended = await Pen(store, claim).complete(queued=left)
        told: list[str] = []
        while ended.promoted is not None:
            promoted = ended.promoted
            told.append(text_of(promoted.input))
            if promoted.run.id in {new.run_id for new in left}:
                assert promoted.settings == {"text": told[-1]}
                assert (promoted.deadline_s, promoted.needs_context) == (3.0, True)
            ended = await Pen(store, promoted).complete()
        assert told == ["two", "three", "four"]
        assert [run.status for run in (await store.list_runs(ALICE, RunQuery())).items] == ["completed"] * 4
        branch = await store.branch(ALICE, thread.id, (await store.get_thread(ALICE, thread.id)).head_id)
        assert [row.content for row in branch if row.role == "user"] == ["one", *told]
        first = await store.events(ALICE, left[0].run_id, after=0, limit=1)
        assert [(event.seq, event.type) for event in first] == [(1, "run.created")]
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-6", "REL-2")
    async def test_a_fenced_end_leaves_no_runs(self, store: Store) -> None:
        thread = await new_thread(store)
        claim = (await start(store, thread.id, "one")).claim
        assert claim is not None
        new = AcceptRun(
            run_id=new_id(), thread_id=thread.id, agent="notes", at=moment(2), owner="", message=said("two")
        )
        stale = replace(claim, epoch=claim.epoch + 1)
        assert (await Pen(store, stale).complete(queued=[new])).fenced
        assert len((await store.list_runs(ALICE, RunQuery())).items) == 1

    @pytest.mark.contract("RUN-7", "THR-2")
    async def test_what_a_key_made_is_found_without_making_it_again(self, store: Store) -> None:
        thread = await new_thread(store)
        key = IdempotencyKey(key="k", route="POST /runs", body_hash="h")
        assert await store.made_run(ALICE, key) is None
        run = (await start(store, thread.id, idempotency=key)).run
        assert await store.made_run(ALICE, key) == run
        assert await store.made_run(BOB, key) is None
        assert await store.made_run(ALICE, replace(key, route="POST /fanout")) is None
        with pytest.raises(Invalid) as refusal:
            await store.made_run(ALICE, replace(key, body_hash="other"))
        assert code_of(refusal) == "idempotency_key_reused"

    @pytest.mark.contract("RUN-1")
    async def test_a_run_can_make_its_own_thread(self, store: Store) -> None:
        new = NewThread(id=new_id(), agent="notes", at=moment(), title="made")
        accepted = await start(store, new.id, new_thread=new)
        assert (await store.get_thread(ALICE, new.id)).title == "made"
        assert accepted.claim is not None
        with pytest.raises(NotFound):
            await start(store, new_id())

    @pytest.mark.contract("RUN-1")
    async def test_a_finished_run_shows_what_it_made(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        pen = Pen(store, accepted.claim)
        await pen.complete("done", started_at=moment(1), model="m-1", spent_s=1.5, second=3)
        run = await store.get_run(ALICE, accepted.run.id)
        assert (run.status, run.output, run.model) == ("completed", "done", "m-1")
        assert run.usage == Usage(input_tokens=3, output_tokens=4, total_tokens=7)
        assert (run.started_at, run.ended_at) == (moment(1), moment(3))
        assert run.message_id == (await store.branch(ALICE, run.thread_id, None))[-1].id

    @pytest.mark.contract("RUN-6", "REL-5")
    async def test_a_busy_thread_refuses_and_names_the_active_run(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id)
        with pytest.raises(Busy) as refusal:
            await start(store, thread.id)
        assert refusal.value.active_run_id == active.run.id
        assert active.claim
        await Pen(store, active.claim).wait(ask())
        with pytest.raises(Busy):
            await start(store, thread.id)
        assert (await store.get_thread(ALICE, thread.id)).message_count == 1

    @pytest.mark.contract("REL-5")
    async def test_of_many_at_once_one_is_accepted(self, store: Store) -> None:
        thread = await new_thread(store)
        results = await asyncio.gather(*(start(store, thread.id) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(result, Busy) for result in results) == 19
        assert sum(not isinstance(result, BaseException) for result in results) == 1

    @pytest.mark.contract("RUN-6")
    async def test_queued_runs_start_one_after_the_other_in_order(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id, "0")
        queued = [await start(store, thread.id, str(n), queue="last") for n in (1, 2)]
        hurried = [await start(store, thread.id, str(n), queue="first") for n in (3, 4)]
        assert all(one.active_run_id == active.run.id for one in [*queued, *hurried])
        assert all(one.claim is None and one.run.status == "queued" for one in queued)
        assert (await store.get_thread(ALICE, thread.id)).message_count == 1
        claim, order = active.claim, list[str]()
        while claim is not None:
            order.append(claim.run.id)
            claim = (await Pen(store, claim).complete(f"a{len(order)}")).promoted
        expected = [active, hurried[1], hurried[0], *queued]
        assert order == [one.run.id for one in expected]
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.content for row in rows] == ["0", "a1", "4", "a2", "3", "a3", "1", "a4", "2", "a5"]
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-6")
    async def test_a_promoted_run_is_claimed_with_its_own_input(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id)
        message = said("next")
        queued = await start(store, thread.id, None, message=message, queue="last", settings={"a": 1})
        assert active.claim
        promoted = (await Pen(store, active.claim).complete()).promoted
        assert promoted is not None
        assert promoted.run.id == queued.run.id
        assert (promoted.run.status, promoted.epoch, promoted.last_seq) == ("running", 1, 1)
        assert (promoted.input_message_id, promoted.settings) == (message.id, {"a": 1})
        assert list(promoted.input) == list(message.parts)
        assert promoted.parent_id == (await store.get_run(ALICE, active.run.id)).message_id

    @pytest.mark.contract("RUN-7")
    async def test_a_repeated_key_is_the_first_run_whatever_its_state(self, store: Store) -> None:
        thread = await new_thread(store)
        key = IdempotencyKey(key="k", route="POST /runs", body_hash="h")
        first = await start(store, thread.id, idempotency=key)
        again = await start(store, thread.id, idempotency=key)
        assert (again.run.id, again.replayed, again.claim) == (first.run.id, True, None)
        assert first.claim
        await Pen(store, first.claim).complete()
        again = await start(store, thread.id, idempotency=key, second=80_000)
        assert (again.run.id, again.run.status, again.replayed) == (first.run.id, "completed", True)
        other = IdempotencyKey(key="k", route="POST /runs", body_hash="other")
        with pytest.raises(Invalid) as refusal:
            await start(store, thread.id, idempotency=other)
        assert code_of(refusal) == "idempotency_key_reused"
        elsewhere = IdempotencyKey(key="k", route="POST /other", body_hash="other")
        assert not (await start(store, thread.id, idempotency=elsewhere)).replayed
        theirs = await new_thread(store, BOB)
        assert not (await start(store, theirs.id, caller=BOB, idempotency=key)).replayed

    @pytest.mark.contract("RUN-7")
    async def test_a_refused_run_leaves_its_key_free(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id)
        key = IdempotencyKey(key="k", route="r", body_hash="h")
        with pytest.raises(Busy):
            await start(store, thread.id, idempotency=key)
        assert active.claim
        await Pen(store, active.claim).complete()
        assert not (await start(store, thread.id, idempotency=key)).replayed

    @pytest.mark.contract("RUN-7")
    async def test_many_at_once_with_one_key_make_one_run(self, store: Store) -> None:
        key = IdempotencyKey(key="k", route="r", body_hash="h")

        async def post() -> str:
            new = NewThread(id=new_id(), agent="notes", at=moment())
            return (await start(store, new.id, new_thread=new, idempotency=key)).run.id

        assert len(set(await asyncio.gather(*(post() for _ in range(30))))) == 1
        assert len((await store.list_runs(ALICE, RunQuery())).items) == 1

    async def test_a_run_id_is_used_once(self, store: Store) -> None:
        first = await start(store, (await new_thread(store)).id)
        thread = await new_thread(store)
        new = AcceptRun(
            run_id=first.run.id, thread_id=thread.id, agent="a", at=moment(), owner=OWNER, message=said("x")
        )
        with pytest.raises(Conflict):
            await store.accept(ALICE, new)
        assert (await store.get_thread(ALICE, thread.id)).message_count == 0

    @pytest.mark.contract("RUN-4")
    async def test_runs_are_listed_newest_first_by_thread_agent_state_and_time(self, store: Store) -> None:
        threads = [await new_thread(store) for _ in range(3)]
        runs = [await start(store, thread.id, second=n) for n, thread in enumerate(threads)]
        assert runs[0].claim
        await Pen(store, runs[0].claim).complete()
        ids = [one.run.id for one in runs]

        async def listed(**query: object) -> list[str]:
            return [run.id for run in (await store.list_runs(ALICE, RunQuery(**query))).items]  # pyright: ignore[reportArgumentType] - each test names fields of the query

        assert await listed() == ids[::-1]
        assert await listed(status="completed") == [ids[0]]
        assert await listed(thread_id=threads[1].id) == [ids[1]]
        assert await listed(thread_id="nonsense") == []
        assert await listed(agent="nobody") == []
        assert await listed(after=moment(1)) == ids[:0:-1]
        assert await listed(before=moment(1)) == [ids[0]]
        page = await store.list_runs(ALICE, RunQuery(limit=2))
        rest = await store.list_runs(ALICE, RunQuery(limit=2, cursor=page.next_cursor))
        assert [run.id for run in page.items + rest.items] == ids[::-1]
        assert rest.next_cursor is None
        with pytest.raises(Invalid) as refusal:
            await store.list_runs(ALICE, RunQuery(cursor="?"))
        assert code_of(refusal) == "bad_cursor"

    @pytest.mark.contract("RUN-5")
    async def test_cancelling_a_running_run_only_tells_its_driver(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        cancelled = await store.cancel(ALICE, accepted.run.id, by="alice", at=moment(1), owner=OWNER)
        assert not cancelled.settled
        assert cancelled.run.status == "running"
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(2))
        assert claim.cancel_by == "alice"

    @pytest.mark.contract("RUN-5", "RUN-3")
    async def test_a_cancelled_waiting_run_is_claimed_to_be_ended(self, store: Store) -> None:
        thread = await new_thread(store)
        accepted = await start(store, thread.id)
        assert accepted.claim
        asked = ask()
        await Pen(store, accepted.claim).wait(asked)
        queued = await start(store, thread.id, queue="last")
        cancelled = await store.cancel(ALICE, accepted.run.id, by="alice", at=moment(5), owner="w")
        assert not cancelled.settled
        assert cancelled.claim
        assert (cancelled.claim.cancel_by, cancelled.run.status) == ("alice", "running")
        assert list(cancelled.run.questions) == []
        settle = Settle(status="cancelled", at=moment(6))
        pen = Pen(store, cancelled.claim)
        ended = await pen.write(RunCancelled(by="alice"), settle=settle, durable=True)
        assert ended.promoted is not None
        assert ended.promoted.run.id == queued.run.id
        events = await store.events(ALICE, accepted.run.id, after=0, limit=10)
        assert [event.type for event in events] == ["run.created", "run.waiting", "run.cancelled"]
        again = await store.cancel(ALICE, accepted.run.id, by="bob", at=moment(9), owner="w")
        assert (again.settled, again.run.status, list(again.events)) == (True, "cancelled", [])
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-5")
    async def test_a_cancelled_queued_run_never_speaks(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id)
        queued = await start(store, thread.id, "never", queue="last")
        cancelled = await store.cancel(ALICE, queued.run.id, by="alice", at=moment(1), owner=OWNER)
        assert cancelled.settled
        assert cancelled.claim is None
        assert active.claim
        assert (await Pen(store, active.claim).complete()).promoted is None
        assert [row.content for row in await store.branch(ALICE, thread.id, None)] == ["hello", "answer"]
        kept = await store.list_messages(ALICE, MessageQuery(thread_id=thread.id, branch="all"))
        assert [row.content for row in kept.items] == ["hello", "never", "answer"]
        assert await store.verify(SYSTEM) == []
