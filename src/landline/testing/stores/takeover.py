"""Takeover: runs whose owner is gone, and threads whose line nobody moves."""

import pytest

from landline.model.callers import SYSTEM
from landline.model.events import ToolCalled
from landline.ports.store import Store
from landline.testing.stores.kit import ALICE, OWNER, Pen, ask, moment, new_thread, start

__all__ = ["TakeoverPromises"]


class TakeoverPromises:
    """What a store promises about recovery."""

    @pytest.mark.contract("REL-3", "REL-2")
    async def test_a_lost_run_is_claimed_once_and_its_old_owner_fenced(self, store: Store) -> None:
        accepted = await start(
            store, (await new_thread(store)).id, "hi", settings={"a": 1}, needs_context=True
        )
        assert accepted.claim
        old = Pen(store, accepted.claim)
        await old.stream("half ")
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(9))
        assert claim.run.id == accepted.run.id
        assert (claim.epoch, claim.last_seq, claim.run.attempt) == (2, 2, 2)
        assert (claim.attempts_without_progress, claim.cancel_by, claim.needs_context) == (1, None, True)
        assert (claim.caller.tenant, claim.caller.user, claim.caller.system) == ("acme", "alice", False)
        assert (claim.settings, claim.input_message_id) == ({"a": 1}, accepted.claim.input_message_id)
        assert (await old.stream("zombie")).fenced
        assert await store.recover(SYSTEM, owner="worker-2", at=moment(9)) == []
        new = Pen(store, claim)
        assert not (await new.stream("other half")).fenced
        assert not (await new.complete()).fenced
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("REL-3")
    async def test_progress_sets_the_count_of_fruitless_attempts_back(self, store: Store) -> None:
        await start(store, (await new_thread(store)).id)
        lost = [await store.recover(SYSTEM, owner=f"worker-{n}", at=moment(n)) for n in range(2, 5)]
        assert [claim.attempts_without_progress for (claim,) in lost] == [1, 2, 3]
        called = ToolCalled(call_id="c", name="t", arguments={})
        await Pen(store, lost[-1][0]).write(called, progress=True, durable=True)
        (claim,) = await store.recover(SYSTEM, owner="worker-9", at=moment(9))
        assert (claim.attempts_without_progress, claim.run.attempt) == (0, 5)

    @pytest.mark.contract("REL-3")
    async def test_own_waiting_and_finished_runs_are_left_alone(self, store: Store) -> None:
        own, waiting, done = [await start(store, (await new_thread(store)).id) for _ in range(3)]
        assert waiting.claim
        assert done.claim
        await Pen(store, waiting.claim).wait(ask())
        await Pen(store, done.claim).complete()
        assert await store.recover(SYSTEM, owner=OWNER, at=moment(5)) == []
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(5))
        assert claim.run.id == own.run.id
        assert (await store.get_run(ALICE, waiting.run.id)).status == "waiting"

    @pytest.mark.contract("REL-3", "RUN-6")
    async def test_a_line_behind_a_lost_run_waits_for_it(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id)
        queued = await start(store, thread.id, queue="last")
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(1))
        assert claim.run.id == active.run.id
        promoted = (await Pen(store, claim).complete()).promoted
        assert promoted is not None
        assert promoted.run.id == queued.run.id

    async def test_only_the_system_recovers(self, store: Store) -> None:
        await start(store, (await new_thread(store)).id)
        assert await store.recover(ALICE, owner="other", at=moment()) == []
        assert await store.expire_questions(ALICE, at=moment(), owner="other") == []
        assert await store.next_expiry(ALICE) is None
