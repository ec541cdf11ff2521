"""The log: numbers without gaps, guarded writes, one end, records."""

from typing import Any

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Conflict, ErrorInfo, NotFound
from landline.model.events import RunCompleted, RunFailed, TextDelta, ToolCalled
from landline.model.ids import new_id
from landline.model.runs import Usage
from landline.ports.store import Settle, Store
from landline.testing.stores.kit import ALICE, MALLORY, Pen, ask, moment, new_thread, said, start

__all__ = ["LogPromises"]


async def pen_on(store: Store) -> Pen:
    """Return a pen on a run of a new thread."""
    accepted = await start(store, (await new_thread(store)).id)
    assert accepted.claim
    return Pen(store, accepted.claim)


class LogPromises:
    """What a store promises about logs."""

    @pytest.mark.contract("EVT-2", "EVT-4")
    async def test_events_read_back_from_every_cursor_as_they_were_written(self, store: Store) -> None:
        pen = await pen_on(store)
        run_id = pen.claim.run.id
        text = 'é"\\\n\x00\x1e\x1f🙂'
        batch = pen.batch(*(TextDelta(message_id="m", delta=f"{text}{n}") for n in range(10)))
        (result,) = await store.append([batch])
        assert not result.fenced
        whole = await store.events(ALICE, run_id, after=0, limit=100)
        assert [event.seq for event in whole] == list(range(1, 12))
        assert whole[1:] == list(batch.events)
        for after in range(13):
            assert await store.events(ALICE, run_id, after=after, limit=100) == whole[after:]
        assert await store.events(ALICE, run_id, after=3, limit=2) == whole[3:5]
        assert await store.events(ALICE, run_id, after=10**30, limit=5) == []

    @pytest.mark.contract("EVT-6")
    async def test_batches_of_many_runs_are_written_in_one_call(self, store: Store) -> None:
        pens = [await pen_on(store) for _ in range(7)]
        for size in (1, 3, 90):
            batches = [
                pen.batch(*(TextDelta(message_id="m", delta=f"{n} {i}") for i in range(size)))
                for n, pen in enumerate(pens)
            ]
            assert not any(result.fenced for result in await store.append(batches))
        for pen in pens:
            events = await store.events(ALICE, pen.claim.run.id, after=0, limit=200)
            assert [event.seq for event in events] == list(range(1, 96))
        assert await store.append([]) == []

    @pytest.mark.contract("REL-2")
    async def test_nothing_is_written_under_an_old_epoch_or_another_caller(self, store: Store) -> None:
        pens = [await pen_on(store) for _ in range(3)]
        delta = TextDelta(message_id="m", delta="x")
        tokens = [pens[0].batch(delta, epoch=2), pens[1].batch(delta, caller=MALLORY), pens[2].batch(delta)]
        assert [result.fenced for result in await store.append(tokens)] == [True, True, False]
        more: dict[str, Any] = {"messages": [said("no")], "records": [("k", b"1")]}
        mixed = [
            pens[0].batch(delta, epoch=0, **more),
            pens[1].batch(delta, caller=MALLORY, **more),
            pens[2].batch(delta),
        ]
        assert [result.fenced for result in await store.append(mixed)] == [True, True, False]
        assert [len(await store.events(ALICE, pen.claim.run.id, after=0, limit=9)) for pen in pens] == [
            1,
            1,
            3,
        ]
        assert await store.records(ALICE, pens[0].claim.run.id) == {}
        assert len(await store.branch(ALICE, pens[0].claim.run.thread_id, None)) == 1

    @pytest.mark.contract("EVT-2")
    async def test_a_place_in_the_log_is_written_once(self, store: Store) -> None:
        pen, other = await pen_on(store), await pen_on(store)
        await pen.stream("a", "b")
        pen.seq = 1
        twice = pen.batch(TextDelta(message_id="m", delta="again"), records=[("k", b"1")])
        results = await store.append([twice, other.batch(TextDelta(message_id="m", delta="fine"))])
        assert [result.fenced for result in results] == [True, False]
        assert [event.seq for event in await store.events(ALICE, pen.claim.run.id, after=0, limit=9)] == [
            1,
            2,
            3,
        ]
        assert await store.records(ALICE, pen.claim.run.id) == {}
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("REL-2")
    async def test_an_id_that_is_in_use_is_refused_and_not_taken_for_a_lost_run(self, store: Store) -> None:
        pen, other = await pen_on(store), await pen_on(store)
        await pen.write(messages=[once := said("once", role="assistant")], questions=[asked := ask()])
        delta = TextDelta(message_id="m", delta="x")
        good = other.batch(delta, records=[("k", b"1")])
        bads: list[dict[str, Any]] = [{"messages": [said("new"), once]}, {"questions": [asked]}]
        for bad in bads:
            batch = pen.batch(delta, records=[("k", b"1")], **bad)
            pen.seq -= 1
            for batches in ([good, batch], [batch, good], [batch]):
                with pytest.raises(Conflict):
                    await store.append(batches)
        for one in (pen, other):
            assert len(await store.events(ALICE, one.claim.run.id, after=0, limit=9)) == 1
            assert await store.records(ALICE, one.claim.run.id) == {}
        assert [result.fenced for result in await store.append([good])] == [False]
        assert [row.content for row in await store.branch(ALICE, pen.claim.run.thread_id, None)] == [
            "hello", "once",
        ]  # fmt: skip
        assert not (await pen.complete()).fenced
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-3", "REL-2")
    async def test_nothing_is_written_after_the_end(self, store: Store) -> None:
        pen = await pen_on(store)
        await pen.complete()
        before = await store.events(ALICE, pen.claim.run.id, after=0, limit=99)
        assert (await pen.stream("late")).fenced
        pen.seq -= 1
        assert (await pen.complete("again")).fenced
        event = RunCompleted(output="x", message_id=None, usage=Usage())
        settle = Settle(status="completed", at=moment(), output="x")
        assert (await pen.write(event, settle=settle)).fenced
        assert await store.events(ALICE, pen.claim.run.id, after=0, limit=99) == before
        assert (await store.get_run(ALICE, pen.claim.run.id)).output == "answer"
        assert before[-1].terminal
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-8")
    async def test_nothing_is_written_while_a_run_waits(self, store: Store) -> None:
        pen = await pen_on(store)
        await pen.wait(ask())
        assert (await pen.stream("late")).fenced

    @pytest.mark.contract("ADP-4")
    async def test_records_are_kept_by_key_and_the_last_one_counts(self, store: Store) -> None:
        pen = await pen_on(store)
        called = ToolCalled(call_id="c", name="t", arguments={})
        await pen.write(called, records=[("a", b"1"), ("b", b"\x00\xff")], durable=True)
        await pen.write(records=[("a", b'{"x":2}')], progress=True)
        assert await store.records(ALICE, pen.claim.run.id) == {"a": b'{"x":2}', "b": b"\x00\xff"}

    async def test_columns_are_kept_until_they_are_given_anew(self, store: Store) -> None:
        pen = await pen_on(store)
        await pen.write(started_at=moment(1), spent_s=1.0, model="m")
        await pen.write(
            TextDelta(message_id="m", delta="x"), started_at=moment(2), usage=Usage(input_tokens=5)
        )
        run = await store.get_run(ALICE, pen.claim.run.id)
        assert (run.started_at, run.model, run.usage.input_tokens) == (moment(1), "m", 5)
        (claim,) = await store.recover(SYSTEM, owner="other", at=moment(3))
        assert claim.spent_s == 1.0

    @pytest.mark.contract("EVT-8")
    async def test_a_failure_keeps_its_code_and_what_was_said(self, store: Store) -> None:
        pen = await pen_on(store)
        error = ErrorInfo(code="agent_failed", message="The agent failed.")
        partial = said("half", role="assistant")
        settle = Settle(status="failed", at=moment(2), error=error, message_id=partial.id)
        await pen.write(RunFailed(error=error), settle=settle, messages=[partial], durable=True)
        run = await store.get_run(ALICE, pen.claim.run.id)
        assert (run.status, run.error, run.message_id) == ("failed", error, partial.id)

    async def test_reading_the_log_of_no_run_is_refused(self, store: Store) -> None:
        for run_id in (new_id(), "nonsense", "", "x" * 36):
            with pytest.raises(NotFound):
                await store.events(ALICE, run_id, after=0, limit=1)
            with pytest.raises(NotFound):
                await store.records(ALICE, run_id)
            with pytest.raises(NotFound):
                await store.late_result(ALICE, run_id, "c", ok=True, at=moment())

    @pytest.mark.contract("RUN-5")
    async def test_a_late_tool_end_is_noted_beside_the_log(self, store: Store) -> None:
        pen = await pen_on(store)
        await pen.complete()
        before = await store.events(ALICE, pen.claim.run.id, after=0, limit=99)
        for ok in (True, False):
            await store.late_result(ALICE, pen.claim.run.id, "c", ok=ok, at=moment(9))
        assert await store.events(ALICE, pen.claim.run.id, after=0, limit=99) == before
