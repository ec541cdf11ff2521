"""Ownership: what is somebody else's is answered like what never was (THR-2)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Invalid, NotFound
from landline.model.files import FileInfo
from landline.model.ids import new_id
from landline.model.runs import Answer
from landline.ports.store import MessageQuery, NewFile, NewThread, RunQuery, Store, ThreadPatch, ThreadQuery
from landline.testing.stores.kit import ALICE, BOB, MALLORY, OWNER, Pen, moment, new_thread, start

__all__ = ["OwnershipPromises"]

APPROVER = Caller(tenant="acme", user="carol")
"""Answers questions of Alice's runs, and may know nothing else of them."""

Doors = dict[str, Callable[[Caller, str], Awaitable[Any]]]


def thread_doors(store: Store) -> Doors:
    """Return every call that names a thread."""
    return {
        "get": store.get_thread,
        "patch": lambda c, id_: store.update_thread(c, id_, ThreadPatch(at=moment(), title="stolen")),
        "fork": lambda c, id_: store.fork_thread(
            c, id_, None, NewThread(id=new_id(), agent="a", at=moment())
        ),
        "messages": lambda c, id_: store.list_messages(c, MessageQuery(thread_id=id_)),
        "all messages": lambda c, id_: store.list_messages(c, MessageQuery(thread_id=id_, branch="all")),
        "branch": lambda c, id_: store.branch(c, id_, None),
        "accept": lambda c, id_: start(store, id_, caller=c),
        "delete": store.delete_thread,
    }


def run_doors(store: Store) -> Doors:
    """Return every call that names a run."""
    return {
        "get": store.get_run,
        "events": lambda c, id_: store.events(c, id_, after=0, limit=9),
        "events at the tail": lambda c, id_: store.events(c, id_, after=99, limit=9),
        "records": store.records,
        "settled questions": store.settled_questions,
        "cancel": lambda c, id_: store.cancel(c, id_, by="x", at=moment(), owner=OWNER),
        "late result": lambda c, id_: store.late_result(c, id_, "c", ok=True, at=moment()),
        "answer": lambda c, id_: store.answer(
            c, id_, [Answer(question_id=new_id(), approve=True)], at=moment(), owner=OWNER
        ),
    }


async def refusal_of(call: Awaitable[Any], id_: str) -> tuple[str, str]:
    """Return code and text of a NotFound, with the id taken out."""
    with pytest.raises(NotFound) as refusal:
        await call
    return refusal.value.code, refusal.value.detail.replace(id_, "ID")


class OwnershipPromises:
    """What a store promises to everybody about everybody else."""

    @pytest.mark.contract("THR-2")
    async def test_a_foreign_thread_is_answered_like_none_at_every_door(self, store: Store) -> None:
        thread = await new_thread(store, title="mine")
        accepted = await start(store, thread.id, "secret")
        assert accepted.claim
        await Pen(store, accepted.claim).complete()
        for name, door in thread_doors(store).items():
            never = new_id()
            expected = await refusal_of(door(ALICE, never), never)
            for id_ in ("nonsense", "", thread.id.upper(), f"{thread.id} ", "\ud800", "' OR 1=1 --"):
                assert (await refusal_of(door(ALICE, id_), id_ or "\0"))[0] == expected[0], name
            for stranger in (BOB, MALLORY):
                assert await refusal_of(door(stranger, thread.id), thread.id) == expected, name
        assert (await store.get_thread(ALICE, thread.id)).title == "mine"
        assert (await store.get_thread(SYSTEM, thread.id)).title == "mine"
        assert len(await store.branch(SYSTEM, thread.id, None)) == 2

    @pytest.mark.contract("THR-2")
    async def test_a_foreign_run_is_answered_like_none_at_every_door(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id, "secret")
        run_id = accepted.run.id
        for name, door in run_doors(store).items():
            never = new_id()
            expected = await refusal_of(door(ALICE, never), never)
            assert (await refusal_of(door(ALICE, "nonsense"), "nonsense"))[0] == expected[0], name
            for stranger in (BOB, MALLORY):
                assert await refusal_of(door(stranger, run_id), run_id) == expected, name
            assert await refusal_of(door(APPROVER, run_id), run_id) == expected, name
        assert (await store.get_run(SYSTEM, run_id)).id == run_id
        assert accepted.claim
        assert accepted.claim.cancel_by is None
        assert not (await Pen(store, accepted.claim).complete()).fenced

    @pytest.mark.contract("THR-2")
    async def test_lists_hold_the_callers_own_rows(self, store: Store) -> None:
        for caller in (ALICE, BOB, MALLORY):
            await start(store, (await new_thread(store, caller)).id, "secret word", caller=caller)
        for caller in (ALICE, BOB, MALLORY):
            threads = (await store.list_threads(caller, ThreadQuery())).items
            found = (await store.list_threads(caller, ThreadQuery(q="secret"))).items
            runs = (await store.list_runs(caller, RunQuery())).items
            assert len(threads) == len(runs) == 1
            assert found == threads
            assert runs[0].thread_id == threads[0].id
        assert len((await store.list_threads(SYSTEM, ThreadQuery(q="secret"))).items) == 3
        assert len((await store.list_runs(SYSTEM, RunQuery())).items) == 3
        theirs = (await store.list_threads(BOB, ThreadQuery())).items[0]
        assert (await store.list_runs(ALICE, RunQuery(thread_id=theirs.id))).items == []

    @pytest.mark.contract("THR-2")
    async def test_a_foreign_message_is_no_parent_head_or_branch(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id, "secret")
        assert accepted.claim
        message_id = accepted.claim.input_message_id
        assert message_id
        for stranger in (BOB, MALLORY):
            own = await new_thread(store, stranger)
            with pytest.raises(Invalid):
                await start(store, own.id, caller=stranger, parent_id=message_id)
            with pytest.raises(Invalid):
                await store.update_thread(stranger, own.id, ThreadPatch(at=moment(), head_id=message_id))
            with pytest.raises(NotFound):
                await store.branch(stranger, own.id, message_id)
            with pytest.raises(NotFound):
                await store.fork_thread(
                    stranger, own.id, message_id, NewThread(id=new_id(), agent="a", at=moment())
                )

    @pytest.mark.contract("THR-2", "THR-9")
    async def test_a_foreign_file_is_answered_like_none(self, store: Store) -> None:
        info = FileInfo(
            id=new_id(), name="a.txt", media_type="text/plain", size=1, sha256="0" * 64, created_at=moment()
        )
        await store.add_file(ALICE, NewFile(info=info))
        assert await store.get_file(ALICE, info.id) == info
        never = new_id()
        expected = await refusal_of(store.get_file(ALICE, never), never)
        for stranger in (BOB, MALLORY):
            assert await refusal_of(store.get_file(stranger, info.id), info.id) == expected
        with pytest.raises(NotFound):
            await store.get_file(ALICE, "nonsense")
