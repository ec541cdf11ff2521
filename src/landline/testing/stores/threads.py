"""Threads: making, finding, changing and deleting them."""

import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Busy, Conflict, Invalid, NotFound
from landline.model.ids import new_id
from landline.ports.store import IdempotencyKey, MessageQuery, NewThread, Store, ThreadPatch, ThreadQuery
from landline.testing.stores.kit import ALICE, BOB, Pen, ask, code_of, moment, new_thread, start

__all__ = ["ThreadPromises"]

HOSTILE = (
    '"', "'", "a OR", "NEAR(", "a AND NOT", "*", "^a", "col:x", "(", "-a", "a\x00b", "%", "_", "\ud800", " ", "+++",
    "a" * 10_000, '" OR 1=1 --',
)  # fmt: skip


class ThreadPromises:
    """What a store promises about threads."""

    @pytest.mark.contract("THR-1")
    async def test_a_new_thread_reads_back_as_it_was_made(self, store: Store) -> None:
        new = NewThread(
            id=new_id(), agent="notes", at=moment(5), title="Täst", metadata={"a": [1, {"b": None}]}
        )
        made, replayed = await store.create_thread(ALICE, new)
        assert not replayed
        assert made == await store.get_thread(ALICE, new.id)
        assert (made.id, made.user_id, made.agent, made.title) == (new.id, "alice", "notes", "Täst")
        assert made.metadata == {"a": [1, {"b": None}]}
        assert (made.created_at, made.updated_at, made.message_count, made.head_id) == (
            moment(5),
            moment(5),
            0,
            None,
        )
        assert not made.pinned
        assert not made.archived

    async def test_a_second_thread_of_the_same_id_is_refused(self, store: Store) -> None:
        thread = await new_thread(store)
        with pytest.raises(Conflict):
            await store.create_thread(ALICE, NewThread(id=thread.id, agent="other", at=moment()))
        assert (await store.get_thread(ALICE, thread.id)).agent == "notes"

    @pytest.mark.contract("RUN-7")
    async def test_a_repeated_key_returns_the_first_thread(self, store: Store) -> None:
        key = IdempotencyKey(key="k", route="POST /threads", body_hash="h")
        first, _ = await store.create_thread(
            ALICE, NewThread(id=new_id(), agent="notes", at=moment(), idempotency=key)
        )
        again = NewThread(id=new_id(), agent="notes", at=moment(9), idempotency=key)
        assert await store.create_thread(ALICE, again) == (first, True)
        with pytest.raises(NotFound):
            await store.get_thread(ALICE, again.id)
        other = IdempotencyKey(key="k", route="POST /threads", body_hash="other")
        with pytest.raises(Invalid) as refusal:
            await store.create_thread(
                ALICE, NewThread(id=new_id(), agent="notes", at=moment(), idempotency=other)
            )
        assert code_of(refusal) == "idempotency_key_reused"
        mine, replayed = await store.create_thread(BOB, again)
        assert not replayed
        assert mine.user_id == "bob"

    @pytest.mark.contract("THR-1")
    async def test_a_patch_changes_what_it_names_and_nothing_else(self, store: Store) -> None:
        thread = await new_thread(store, title="old", metadata={"a": 1})
        changed = await store.update_thread(ALICE, thread.id, ThreadPatch(at=moment(1), pinned=True))
        assert (changed.pinned, changed.title, changed.metadata) == (True, "old", {"a": 1})
        changed = await store.update_thread(
            ALICE, thread.id, ThreadPatch(at=moment(2), title="new", archived=True, metadata={"b": 2})
        )
        assert (changed.pinned, changed.archived, changed.title) == (True, True, "new")
        assert (changed.metadata, changed.updated_at) == ({"b": 2}, moment(2))
        cleared = await store.update_thread(
            ALICE, thread.id, ThreadPatch(at=moment(3), clear_title=True, pinned=False, archived=False)
        )
        assert (cleared.title, cleared.pinned, cleared.archived) == (None, False, False)

    @pytest.mark.contract("THR-5")
    async def test_a_head_outside_the_thread_is_refused(self, store: Store) -> None:
        thread, other = await new_thread(store), await new_thread(store)
        accepted = await start(store, other.id)
        assert accepted.claim
        for head_id in (new_id(), "nonsense", accepted.claim.input_message_id):
            with pytest.raises(Invalid) as refusal:
                await store.update_thread(ALICE, thread.id, ThreadPatch(at=moment(), head_id=head_id))
            assert code_of(refusal) == "unknown_head"

    @pytest.mark.contract("THR-1")
    async def test_pages_show_every_thread_once_newest_change_first(self, store: Store) -> None:
        made = [(await new_thread(store, second=n % 3)).id for n in range(7)]
        await store.update_thread(ALICE, made[0], ThreadPatch(at=moment(60), title="now"))
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await store.list_threads(ALICE, ThreadQuery(limit=2, cursor=cursor))
            seen += [thread.id for thread in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.items) == 2
        assert sorted(seen) == sorted(made)
        assert seen[0] == made[0]
        whole = await store.list_threads(ALICE, ThreadQuery())
        assert [thread.id for thread in whole.items] == seen
        assert [t.updated_at for t in whole.items] == sorted(
            (t.updated_at for t in whole.items), reverse=True
        )

    async def test_a_cursor_of_somebodys_own_making_is_refused(self, store: Store) -> None:
        for cursor in ("", "x", "%%%", "bm8", "\ud800", "a" * 5_000, "fHw"):
            with pytest.raises(Invalid) as refusal:
                await store.list_threads(ALICE, ThreadQuery(cursor=cursor))
            assert code_of(refusal) == "bad_cursor"

    @pytest.mark.contract("THR-1")
    async def test_lists_filter_by_agent_archive_and_metadata(self, store: Store) -> None:
        plain = await new_thread(store, metadata={"k": "v", "n": 1, "b": True, "z": None, "o": {"x": 1}})
        odd = await new_thread(store, metadata={'a"b.$[0]': "x", "k": "V"})
        archived = await new_thread(store)
        await store.update_thread(ALICE, archived.id, ThreadPatch(at=moment(), archived=True))

        async def ids(query: ThreadQuery) -> set[str]:
            return {thread.id for thread in (await store.list_threads(ALICE, query)).items}

        assert await ids(ThreadQuery(archived=True)) == {archived.id}
        assert await ids(ThreadQuery(archived=False)) == {plain.id, odd.id}
        assert await ids(ThreadQuery(agent="notes")) == {plain.id, odd.id, archived.id}
        assert await ids(ThreadQuery(agent="nobody")) == set()
        assert await ids(ThreadQuery(metadata={"k": "v"})) == {plain.id}
        assert await ids(ThreadQuery(metadata={"n": "1", "b": "true", "z": "null"})) == {plain.id}
        assert await ids(ThreadQuery(metadata={'a"b.$[0]': "x"})) == {odd.id}
        assert await ids(ThreadQuery(metadata={"o": '{"x":1}'})) == set()
        assert await ids(ThreadQuery(metadata={"k": "v' OR 1=1 --"})) == set()
        assert await ids(ThreadQuery(metadata={"nothing": "v"})) == set()

    @pytest.mark.contract("THR-1")
    async def test_full_text_finds_what_was_said_and_titles(self, store: Store) -> None:
        spoken, titled = await new_thread(store), await new_thread(store, title="Plan of Tuesday")
        accepted = await start(store, spoken.id, "the quick brown fox")
        assert accepted.claim

        async def ids(q: str) -> set[str]:
            return {thread.id for thread in (await store.list_threads(ALICE, ThreadQuery(q=q))).items}

        assert await ids("quick fox") == {spoken.id}
        assert await ids("QUI") == {spoken.id}
        assert await ids("tuesday") == {titled.id}
        assert await ids("quick tuesday") == set()
        await Pen(store, accepted.claim).complete("over the lazy dog")
        assert await ids("lazy") == {spoken.id}
        assert {t.id for t in (await store.list_threads(BOB, ThreadQuery(q="quick"))).items} == set()
        await store.delete_thread(ALICE, spoken.id)
        assert await ids("quick") == set()
        again = await new_thread(store)
        await start(store, again.id, "a later thing")
        assert await ids("later") == {again.id}

    async def test_no_query_text_breaks_the_search(self, store: Store) -> None:
        await start(store, (await new_thread(store, title='50% "off"')).id, "x")
        for q in HOSTILE:
            await store.list_threads(ALICE, ThreadQuery(q=q, limit=5))

    @pytest.mark.contract("THR-1")
    async def test_deleting_a_thread_removes_everything_under_it(self, store: Store) -> None:
        thread = await new_thread(store)
        accepted = await start(store, thread.id)
        assert accepted.claim
        await Pen(store, accepted.claim).complete()
        await store.delete_thread(ALICE, thread.id)
        for read in (
            store.get_thread(ALICE, thread.id),
            store.get_run(ALICE, accepted.run.id),
            store.events(ALICE, accepted.run.id, after=0, limit=10),
            store.records(ALICE, accepted.run.id),
            store.list_messages(ALICE, MessageQuery(thread_id=thread.id)),
            store.delete_thread(ALICE, thread.id),
        ):
            with pytest.raises(NotFound):
                await read
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-3")
    async def test_a_thread_with_an_unfinished_run_is_not_deleted(self, store: Store) -> None:
        thread = await new_thread(store)
        accepted = await start(store, thread.id)
        assert accepted.claim
        with pytest.raises(Busy) as refusal:
            await store.delete_thread(ALICE, thread.id)
        assert refusal.value.active_run_id == accepted.run.id
        await Pen(store, accepted.claim).wait(ask())
        with pytest.raises(Busy):
            await store.delete_thread(ALICE, thread.id)
        assert (await store.get_thread(ALICE, thread.id)).id == thread.id
