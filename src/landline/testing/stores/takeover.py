"""Takeover: runs whose owner is gone, and threads whose line nobody moves."""

import pytest

from landline.model.callers import SYSTEM
from landline.model.carried import Carried, CarriedMessage, ClientTool
from landline.model.events import ToolCalled
from landline.model.messages import TextPart
from landline.model.runs import Answer
from landline.ports.store import Store
from landline.testing.stores.kit import ALICE, OWNER, Pen, ask, moment, new_thread, start

__all__ = ["TakeoverPromises"]


CARRIED = Carried(
    tools=[ClientTool(name="look", parameters={"type": "object"})],
    output_schema={"type": "string"},
    history=[CarriedMessage(role="user", parts=[TextPart(text="before")])],
)


class TakeoverPromises:
    """What a store promises about recovery."""

    @pytest.mark.contract("REL-3", "REL-2")
    async def test_a_lost_run_is_claimed_once_and_its_old_owner_fenced(self, store: Store) -> None:
        accepted = await start(
            store, (await new_thread(store)).id, "hi", settings={"a": 1}, needs_context=True, carried=CARRIED
        )
        assert accepted.claim
        old = Pen(store, accepted.claim)
        await old.stream("half ")
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(9))
        assert claim.run.id == accepted.run.id
        assert (claim.epoch, claim.last_seq, claim.run.attempt) == (2, 2, 2)
        assert (claim.attempts_without_progress, claim.cancel_by, claim.needs_context) == (1, None, True)
        assert (claim.caller.tenant, claim.caller.user, claim.caller.system) == ("acme", "alice", False)
        assert claim.carried == accepted.claim.carried == CARRIED
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
    async def test_an_answer_is_progress(self, store: Store) -> None:
        await start(store, (await new_thread(store)).id)
        lost = [await store.recover(SYSTEM, owner=f"worker-{n}", at=moment(n)) for n in range(2, 4)]
        asked, pen = ask("input"), Pen(store, lost[-1][0])
        await pen.wait(asked)
        answered = await store.answer(
            ALICE,
            pen.claim.run.id,
            [Answer(question_id=asked.question.question_id, value="yes")],
            at=moment(5),
            owner="worker-3",
        )
        assert answered.claim
        taken = [await store.recover(SYSTEM, owner=f"worker-{n}", at=moment(n)) for n in range(6, 8)]
        assert [claim.attempts_without_progress for (claim,) in taken] == [0, 1]

    @pytest.mark.contract("REL-3")
    async def test_a_run_that_was_let_go_of_is_claimed_but_not_counted_as_lost(self, store: Store) -> None:
        started = await start(store, (await new_thread(store)).id)
        waiting = await start(store, (await new_thread(store)).id)
        assert started.claim
        assert waiting.claim
        await Pen(store, waiting.claim).wait(ask())
        claim, owner = started.claim, OWNER
        for number in range(2, 6):
            await store.release(ALICE, owner=owner)
            await store.release(SYSTEM, owner="somebody else")
            assert await store.recover(SYSTEM, owner=owner, at=moment(number)) == []
            await store.release(SYSTEM, owner=owner)
            assert await store.verify(SYSTEM) == []
            owner = f"worker-{number}"
            (claim,) = await store.recover(SYSTEM, owner=owner, at=moment(number))
            assert (claim.run.id, claim.epoch, claim.run.attempt) == (started.run.id, number, number)
            assert claim.attempts_without_progress == 0
        (claim,) = await store.recover(SYSTEM, owner="worker-6", at=moment(6))
        assert (claim.run.attempt, claim.attempts_without_progress) == (6, 1)
        await store.release(SYSTEM, owner="worker-6")
        (claim,) = await store.recover(SYSTEM, owner="worker-6", at=moment(7))
        assert (claim.run.attempt, claim.attempts_without_progress) == (7, 1)
        await Pen(store, claim).write(progress=True)
        await store.release(SYSTEM, owner="worker-6")
        await store.recover(SYSTEM, owner="worker-7", at=moment(8))
        (claim,) = await store.recover(SYSTEM, owner="worker-8", at=moment(9))
        assert claim.attempts_without_progress == 1
        assert (await store.get_run(ALICE, waiting.run.id)).status == "waiting"
        assert not (await Pen(store, claim).complete()).fenced
        assert await store.verify(SYSTEM) == []

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
