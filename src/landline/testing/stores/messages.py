"""Messages: order, branches, forks, pages, and the framework's own messages kept as they came."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from landline.model.callers import SYSTEM
from landline.model.errors import Invalid, NotFound
from landline.model.ids import new_id
from landline.model.messages import Message, Native
from landline.ports.store import IdempotencyKey, MessageQuery, NewThread, Store, ThreadPatch
from landline.testing.stores.kit import ALICE, Pen, code_of, moment, new_thread, said, start

__all__ = ["MessagePromises"]


async def talk(store: Store, thread_id: str, text: str | None, **fields: Any) -> tuple[str | None, str]:
    """Do a whole turn, and return the ids of what was said and of the answer."""
    accepted = await start(store, thread_id, text, **fields)
    assert accepted.claim
    await Pen(store, accepted.claim).complete(f"answer to {text}")
    message_id = (await store.get_run(ALICE, accepted.run.id)).message_id
    assert message_id
    return accepted.claim.input_message_id, message_id


async def every(store: Store, query: MessageQuery) -> list[Message]:
    """Read all pages."""
    items: list[Message] = []
    cursor: str | None = None
    while True:
        page = await store.list_messages(ALICE, replace(query, cursor=cursor))
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


class MessagePromises:
    """What a store promises about messages."""

    @pytest.mark.contract("THR-3", "THR-4")
    async def test_messages_have_rising_numbers_and_follow_each_other(self, store: Store) -> None:
        thread = await new_thread(store)
        for text in ("one", "two"):
            await talk(store, thread.id, text)
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.seq for row in rows] == [1, 2, 3, 4]
        assert [row.role for row in rows] == ["user", "assistant"] * 2
        assert [row.content for row in rows] == ["one", "answer to one", "two", "answer to two"]
        assert [row.parent_id for row in rows] == [None, *(row.id for row in rows[:-1])]
        now = await store.get_thread(ALICE, thread.id)
        assert (now.message_count, now.head_id) == (4, rows[-1].id)
        assert {row.thread_id for row in rows} == {thread.id}

    @pytest.mark.contract("THR-3")
    async def test_native_messages_come_back_byte_for_byte(self, store: Store) -> None:
        raw = b'[ {"b" : 1.0, "a":"\\u00e4\\u0000\xc3\xa4",  "n":12345678901234567890} ]'
        native = Native(framework="f", version=3, messages=msgspec.Raw(raw))
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        await Pen(store, accepted.claim).complete(native=native)
        kept = (await store.branch(ALICE, accepted.run.thread_id, None))[-1].native
        assert kept is not None
        assert (kept.framework, kept.version, bytes(kept.messages)) == ("f", 3, raw)
        page = await store.list_messages(ALICE, MessageQuery(thread_id=accepted.run.thread_id))
        assert [row.native for row in page.items] == [None, None]

    async def test_any_text_comes_back_as_it_was(self, store: Store) -> None:
        text = "".join(chr(n) for n in range(256)) + "\x1e\x1f\u2028 🙂 \U0010ffff " + '"\\'
        thread = await new_thread(store)
        await talk(store, thread.id, text)
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.content for row in rows] == [text, f"answer to {text}"]

    @pytest.mark.contract("THR-5")
    async def test_an_edit_is_a_sibling_and_the_old_branch_can_be_chosen_again(self, store: Store) -> None:
        thread = await new_thread(store)
        _, first = await talk(store, thread.id, "one")
        _, old = await talk(store, thread.id, "two")
        edited, new = await talk(store, thread.id, "two, edited", parent_id=first)
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.content for row in rows] == [
            "one",
            "answer to one",
            "two, edited",
            "answer to two, edited",
        ]
        assert rows[2].id == edited
        assert rows[2].parent_id == first
        assert [row.seq for row in rows] == [1, 2, 5, 6]
        await store.update_thread(ALICE, thread.id, ThreadPatch(at=moment(9), head_id=old))
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.content for row in rows] == ["one", "answer to one", "two", "answer to two"]
        await talk(store, thread.id, "three")
        assert len(await store.branch(ALICE, thread.id, None)) == 6
        assert [row.id for row in await store.branch(ALICE, thread.id, new)][-1] == new

    @pytest.mark.contract("THR-5")
    async def test_an_edit_of_the_first_message_is_a_sibling_at_the_root(self, store: Store) -> None:
        thread = await new_thread(store)
        _, old = await talk(store, thread.id, "one")
        accepted = await start(store, thread.id, "one, edited", parent_id="")
        assert accepted.claim
        assert accepted.claim.parent_id is None
        await Pen(store, accepted.claim).complete("new answer")
        rows = await store.branch(ALICE, thread.id, None)
        assert [(row.content, row.parent_id, row.seq) for row in rows] == [
            ("one, edited", None, 3),
            ("new answer", rows[0].id, 4),
        ]
        assert [row.content for row in await store.branch(ALICE, thread.id, old)] == ["one", "answer to one"]
        every_row = await every(store, MessageQuery(thread_id=thread.id, limit=1, branch="all"))
        assert [row.seq for row in every_row] == [1, 2, 3, 4]
        fork, _ = await store.fork_thread(
            ALICE, thread.id, old, NewThread(id=new_id(), agent="a", at=moment())
        )
        await talk(store, fork.id, "one, in the fork", parent_id="")
        assert (await store.branch(ALICE, fork.id, None))[0].content == "one, in the fork"
        assert await store.verify(SYSTEM) == []
        empty = await new_thread(store)
        await talk(store, empty.id, "first", parent_id="")
        assert (await store.branch(ALICE, empty.id, None))[0].parent_id is None

    @pytest.mark.contract("THR-5", "RUN-6")
    async def test_a_queued_edit_of_the_first_message_begins_at_the_root(self, store: Store) -> None:
        thread = await new_thread(store)
        active = await start(store, thread.id, "one")
        await start(store, thread.id, "two", queue="last")
        await start(store, thread.id, "one, edited", queue="last", parent_id="")
        claim = active.claim
        parents: list[str | None] = []
        while claim:
            parents.append(claim.parent_id)
            claim = (await Pen(store, claim).complete()).promoted
        assert parents == [None, (await store.get_run(ALICE, active.run.id)).message_id, None]
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.content for row in rows] == ["one, edited", "answer"]

    @pytest.mark.contract("THR-5")
    async def test_answering_again_puts_the_new_answer_beside_the_old(self, store: Store) -> None:
        thread = await new_thread(store)
        asked, old = await talk(store, thread.id, "one")
        _, new = await talk(store, thread.id, None, parent_id=asked)
        rows = await store.branch(ALICE, thread.id, None)
        assert [row.id for row in rows] == [asked, new]
        assert rows[1].parent_id == asked
        assert [row.id for row in await store.branch(ALICE, thread.id, old)] == [asked, old]

    @pytest.mark.contract("THR-5")
    async def test_a_parent_outside_the_thread_is_refused_and_nothing_is_kept(self, store: Store) -> None:
        thread, other = await new_thread(store), await new_thread(store)
        _, foreign = await talk(store, other.id, "one")
        for parent_id in (foreign, new_id(), "nonsense"):
            with pytest.raises(Invalid) as refusal:
                await start(store, thread.id, "two", parent_id=parent_id)
            assert code_of(refusal) == "unknown_parent"
        assert await store.branch(ALICE, thread.id, None) == []
        assert (await store.get_thread(ALICE, thread.id)).message_count == 0

    @pytest.mark.contract("THR-5")
    async def test_a_head_that_was_moved_away_is_not_moved_back(self, store: Store) -> None:
        thread = await new_thread(store)
        _, first = await talk(store, thread.id, "one")
        accepted = await start(store, thread.id, "two")
        assert accepted.claim
        await store.update_thread(ALICE, thread.id, ThreadPatch(at=moment(5), head_id=first))
        await Pen(store, accepted.claim).complete()
        assert (await store.get_thread(ALICE, thread.id)).head_id == first

    @pytest.mark.contract("THR-6", "THR-7")
    async def test_a_branch_can_be_cut_to_its_last_messages(self, store: Store) -> None:
        thread = await new_thread(store)
        ids: list[str | None] = []
        for n in range(4):
            ids += await talk(store, thread.id, str(n))
        assert [row.id for row in await store.branch(ALICE, thread.id, None, limit=3)] == ids[-3:]
        assert [row.id for row in await store.branch(ALICE, thread.id, ids[3], limit=2)] == ids[2:4]
        assert len(await store.branch(ALICE, thread.id, None, limit=100)) == 8
        assert await store.branch(ALICE, thread.id, None, limit=0) == []

    @pytest.mark.contract("THR-6")
    async def test_pages_of_a_branch_and_of_all_rows_show_each_message_once(self, store: Store) -> None:
        thread = await new_thread(store)
        asked, first = await talk(store, thread.id, "one")
        for n in range(3):
            await talk(store, thread.id, f"edit {n}", parent_id=first)
        await talk(store, thread.id, None, parent_id=asked)
        for text in ("on", "and on"):
            await talk(store, thread.id, text)
        for limit in (1, 2, 3, 50):
            rows = await every(store, MessageQuery(thread_id=thread.id, limit=limit, branch="head"))
            assert [row.id for row in rows] == [row.id for row in await store.branch(ALICE, thread.id, None)]
            rows = await every(store, MessageQuery(thread_id=thread.id, limit=limit, branch="all"))
            assert [row.seq for row in rows] == list(range(1, 14))

    @pytest.mark.contract("THR-5")
    async def test_a_fork_shares_the_branch_and_goes_its_own_way(self, store: Store) -> None:
        thread = await new_thread(store)
        _, first = await talk(store, thread.id, "one")
        await talk(store, thread.id, "side", parent_id=first)
        _, second = await talk(store, thread.id, "two", parent_id=first)
        new = NewThread(id=new_id(), agent="notes", at=moment(9), title="fork")
        fork, replayed = await store.fork_thread(ALICE, thread.id, second, new)
        assert (fork.id, fork.message_count, fork.head_id, replayed) == (new.id, 4, second, False)
        await talk(store, thread.id, "original goes on")
        _, last = await talk(store, fork.id, "fork goes on")
        rows = await every(store, MessageQuery(thread_id=fork.id, limit=2))
        assert [row.content for row in rows[::2]] == ["one", "two", "fork goes on"]
        assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
        assert {row.thread_id for row in rows} == {fork.id}
        assert [row.seq for row in await every(store, MessageQuery(thread_id=fork.id, limit=3, branch="all"))] == [
            1, 2, 3, 4, 5, 6,
        ]  # fmt: skip
        await talk(store, fork.id, "edited in the fork", parent_id=first)
        assert [row.content for row in await store.branch(ALICE, fork.id, None)][2] == "edited in the fork"
        deeper, _ = await store.fork_thread(
            ALICE, fork.id, None, NewThread(id=new_id(), agent="notes", at=moment(10))
        )
        await talk(store, deeper.id, "deeper")
        contents = [row.content for row in await store.branch(ALICE, deeper.id, None)]
        assert contents[::2] == ["one", "edited in the fork", "deeper"]
        assert [row.id for row in await store.branch(ALICE, fork.id, last)][-1] == last
        assert len(await store.branch(ALICE, thread.id, None)) == 6

    @pytest.mark.contract("THR-5")
    async def test_a_fork_outlives_the_thread_it_came_from(self, store: Store) -> None:
        thread = await new_thread(store)
        _, first = await talk(store, thread.id, "one")
        await talk(store, thread.id, "not shared")
        fork, _ = await store.fork_thread(
            ALICE, thread.id, first, NewThread(id=new_id(), agent="a", at=moment())
        )
        deeper, _ = await store.fork_thread(
            ALICE, fork.id, None, NewThread(id=new_id(), agent="a", at=moment())
        )
        await talk(store, deeper.id, "deeper")
        await store.delete_thread(ALICE, thread.id)
        await talk(store, fork.id, "two")
        assert [row.content for row in await store.branch(ALICE, fork.id, None)][::2] == ["one", "two"]
        await store.delete_thread(ALICE, fork.id)
        rows = await store.branch(ALICE, deeper.id, None)
        assert [row.content for row in rows] == ["one", "answer to one", "deeper", "answer to deeper"]
        assert await store.verify(SYSTEM) == []
        await store.delete_thread(ALICE, deeper.id)
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-7", "THR-5")
    async def test_a_repeated_fork_is_the_first_one(self, store: Store) -> None:
        thread = await new_thread(store)
        _, first = await talk(store, thread.id, "one")
        key = IdempotencyKey(key="k", route="fork", body_hash="h")
        made, _ = await store.fork_thread(
            ALICE, thread.id, first, NewThread(id=new_id(), agent="a", at=moment(), idempotency=key)
        )
        again = NewThread(id=new_id(), agent="a", at=moment(), idempotency=key)
        assert await store.fork_thread(ALICE, thread.id, first, again) == (made, True)
        with pytest.raises(NotFound):
            await store.fork_thread(
                ALICE, thread.id, new_id(), NewThread(id=new_id(), agent="a", at=moment())
            )
        empty, _ = await store.fork_thread(
            ALICE, (await new_thread(store)).id, None, NewThread(id=new_id(), agent="a", at=moment())
        )
        assert (empty.message_count, empty.head_id) == (0, None)

    async def test_several_messages_of_one_turn_follow_each_other(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        two = [said("first", role="assistant"), said("second", role="assistant")]
        await Pen(store, accepted.claim).complete(messages=two)
        rows = await store.branch(ALICE, accepted.run.thread_id, None)
        assert [row.id for row in rows] == [accepted.claim.input_message_id, two[0].id, two[1].id]
        assert [row.run_id for row in rows] == [accepted.run.id] * 3
        assert (await store.get_thread(ALICE, accepted.run.thread_id)).head_id == two[1].id
