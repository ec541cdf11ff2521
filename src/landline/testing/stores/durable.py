"""What a store on disk promises beyond that: everything accepted is there after a restart (REL-1)."""

import pytest

from landline.model.callers import SYSTEM, Caller
from landline.model.messages import text_of
from landline.model.runs import Answer
from landline.ports.store import IdempotencyKey, Store
from landline.testing.stores.documents import put
from landline.testing.stores.kit import ALICE, OWNER, Pen, StoreFactory, ask, moment, new_thread, start
from landline.testing.stores.suite import StoreConformance

__all__ = ["DurableStoreConformance"]

CAROL = Caller(tenant="acme", user="carol")


async def reopen(store: Store, store_factory: StoreFactory) -> Store:
    """Close the store and return another one on the same database."""
    await store.close()
    again = store_factory()
    await again.open()
    return again


class DurableStoreConformance(StoreConformance):
    """`StoreConformance`, and that all of it survives."""

    @pytest.mark.contract("REL-1", "EVT-2", "EVT-4")
    async def test_logs_and_messages_are_the_same_after_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        thread = await new_thread(store)
        accepted = await start(store, thread.id)
        assert accepted.claim
        pen = Pen(store, accepted.claim)
        await pen.stream("a", "b")
        await pen.complete()
        before = (
            await store.events(ALICE, accepted.run.id, after=0, limit=99),
            await store.get_run(ALICE, accepted.run.id),
            await store.get_thread(ALICE, thread.id),
            await store.branch(ALICE, thread.id, None),
        )
        store = await reopen(store, store_factory)
        after = (
            await store.events(ALICE, accepted.run.id, after=0, limit=99),
            await store.get_run(ALICE, accepted.run.id),
            await store.get_thread(ALICE, thread.id),
            await store.branch(ALICE, thread.id, None),
        )
        await store.close()
        assert after == before

    @pytest.mark.contract("RUN-8", "REL-3")
    async def test_a_waiting_run_is_answered_after_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        thread = await new_thread(store)
        accepted = await start(store, thread.id)
        asked, other = ask(key="k", needed=2), ask(key="other")
        assert accepted.claim
        await Pen(store, accepted.claim).wait(asked, other)
        yes = Answer(question_id=asked.question.question_id, approve=True)
        await store.answer(ALICE, accepted.run.id, [yes], at=moment(2), owner=OWNER)
        store = await reopen(store, store_factory)
        assert await store.recover(SYSTEM, owner="worker-2", at=moment(3)) == []
        (shown, _) = (await store.get_run(ALICE, accepted.run.id)).questions
        assert shown.question_id == asked.question.question_id
        no = Answer(question_id=asked.question.question_id, approve=False)
        done = await store.answer(
            CAROL,
            accepted.run.id,
            [no, Answer(question_id=other.question.question_id, approve=True)],
            at=moment(4),
            owner="worker-2",
        )
        assert done.claim is not None
        assert not (await Pen(store, done.claim).complete()).fenced
        await store.close()

    @pytest.mark.contract("REL-3", "RUN-6")
    async def test_running_and_queued_runs_are_taken_up_after_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id, "one")
        queued = await start(store, thread.id, "two", queue="last")
        store = await reopen(store, store_factory)
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(3))
        assert claim.run.id == active.run.id
        promoted = (await Pen(store, claim).complete()).promoted
        assert promoted is not None
        assert promoted.run.id == queued.run.id
        assert text_of(promoted.input) == "two"
        assert await store.verify(SYSTEM) == []
        await store.close()

    @pytest.mark.contract("REL-3", "RUN-6", "THR-5")
    async def test_a_queued_edit_of_the_first_message_is_still_one_after_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        thread = await new_thread(store)
        await start(store, thread.id, "one")
        edit = await start(store, thread.id, "one, edited", queue="last", parent_id="")
        store = await reopen(store, store_factory)
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(3))
        promoted = (await Pen(store, claim).complete()).promoted
        assert promoted is not None
        assert (promoted.run.id, promoted.parent_id) == (edit.run.id, None)
        store = await reopen(store, store_factory)
        (claim,) = await store.recover(SYSTEM, owner="worker-3", at=moment(4))
        assert (claim.run.id, claim.parent_id) == (edit.run.id, None)
        assert [row.content for row in await store.branch(ALICE, thread.id, None)] == ["one, edited"]
        await store.close()

    @pytest.mark.contract("ADP-7", "THR-2")
    async def test_documents_are_there_after_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        await store.write_documents(ALICE, [put("a", label="x"), put("b"), put("a", "2", label="x")])
        before = await store.list_documents(ALICE, "notes")
        store = await reopen(store, store_factory)
        assert await store.list_documents(ALICE, "notes") == before
        assert [d.version for d in before] == ["2", "1"]
        assert await store.list_documents(CAROL, "notes") == []
        await store.close()

    @pytest.mark.contract("RUN-7")
    async def test_an_idempotency_key_survives_a_restart(
        self, store: Store, store_factory: StoreFactory
    ) -> None:
        thread = await new_thread(store)
        key = IdempotencyKey(key="k", route="r", body_hash="h")
        first = await start(store, thread.id, idempotency=key)
        store = await reopen(store, store_factory)
        again = await start(store, thread.id, idempotency=key, second=86_000)
        await store.close()
        assert (again.run.id, again.replayed) == (first.run.id, True)
