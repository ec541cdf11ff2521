"""What runs used, and who sees it."""

from typing import Any

import pytest

from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Invalid
from landline.model.events import TextDelta
from landline.model.usage import Spent, UsageRow
from landline.ports.store import Store
from landline.ports.usage import UsageQuery
from landline.testing.stores.kit import ALICE, BOB, MALLORY, OWNER, Pen, code_of, moment, new_thread, start

__all__ = ["UsagePromises"]

ADMIN = Caller(tenant="acme", user="root", scopes=frozenset({"admin"}))
DAY = moment()[:10]


def call(model: str | None = "m1", **fields: Any) -> Spent:
    """Return one model call."""
    sums: dict[str, Any] = {"model_calls": 1, "input_tokens": 10, "output_tokens": 2, **fields}
    return Spent(model=model, **sums)


async def spend(
    store: Store, *spent: Spent, caller: Caller = ALICE, key_id: str | None = None, agent: str = "notes"
) -> str:
    """Run once, use this, and return the thread."""
    thread = await new_thread(store, caller)
    accepted = await start(store, thread.id, caller=caller, key_id=key_id, agent=agent)
    assert accepted.claim
    assert accepted.claim.caller.key_id == key_id
    await Pen(store, accepted.claim).complete(spent=spent)
    return thread.id


async def rows(store: Store, caller: Caller = ALICE, *groups: Any, **fields: Any) -> list[UsageRow]:
    """Return the first page of a query."""
    return list((await store.usage(caller, UsageQuery(group_by=groups, **fields))).items)


class UsagePromises:
    """What a store promises about usage."""

    @pytest.mark.contract("TRU-10")
    async def test_what_a_batch_used_is_added_to_its_day(self, store: Store) -> None:
        assert await rows(store) == []
        thread_id = await spend(
            store,
            call(cost_usd=0.25, tool_calls=3, seconds=1.5, runs=1),
            call("m2", unpriced_calls=1, seconds=0.5),
            key_id="k1",
        )
        accepted = await start(store, thread_id, key_id="k1")
        assert accepted.claim
        pen = Pen(store, accepted.claim)
        late = {"message_id": accepted.run.id, "delta": "x"}
        await pen.write(TextDelta(**late), spent=[call(unpriced_calls=1)], second=9)
        (total,) = await rows(store)
        assert total == UsageRow(
            runs=1, model_calls=3, unpriced_calls=2, tool_calls=3, input_tokens=30, output_tokens=6,
            total_tokens=36, cost_usd=0.25, seconds=2.0,
        )  # fmt: skip
        first, second = await rows(store, ALICE, "day", "key", "user", "agent", "model")
        assert (first.day, first.key, first.user, first.agent, first.model) == (
            DAY,
            "k1",
            "alice",
            "notes",
            "m1",
        )
        assert (first.model_calls, first.cost_usd) == (2, 0.25)
        assert (second.model, second.cost_usd, second.unpriced_calls) == ("m2", None, 1)
        assert await rows(store, SYSTEM, thread_id=thread_id) == [total]
        assert await rows(store, thread_id=accepted.run.id) == []
        await pen.complete(spent=[call()], caller=SYSTEM)
        await store.delete_thread(ALICE, thread_id)
        (kept,) = await rows(store)
        assert kept.model_calls == 4

    @pytest.mark.contract("TRU-10", "REL-2")
    async def test_a_fenced_batch_uses_nothing(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        await store.recover(SYSTEM, owner="worker-2", at=moment(5))
        assert (await Pen(store, accepted.claim).complete(spent=[call()])).fenced
        assert await rows(store) == []

    @pytest.mark.contract("TRU-10", "THR-2")
    async def test_callers_see_their_own_and_admins_their_tenant(self, store: Store) -> None:
        await spend(store, call(), key_id="k1")
        await spend(store, call(), caller=BOB, agent="poems")
        await spend(store, call(), caller=MALLORY)
        for caller in (ALICE, BOB, MALLORY):
            (own,) = await rows(store, caller, "user")
            assert (own.user, own.model_calls) == (caller.user, 1)
        assert await rows(store, ALICE, user="bob") == []
        assert await rows(store, ALICE, tenant="elsewhere") != []  # only the system names a tenant
        assert [row.user for row in await rows(store, ADMIN, "user")] == ["alice", "bob"]
        assert [row.user for row in await rows(store, ADMIN, "user", user="bob")] == ["bob"]
        assert [row.user for row in await rows(store, ADMIN, "user", key="k1")] == ["alice"]
        assert [row.agent for row in await rows(store, ADMIN, "agent", agent="poems")] == ["poems"]
        assert [row.model_calls for row in await rows(store, SYSTEM)] == [3]
        assert [row.model_calls for row in await rows(store, SYSTEM, tenant="acme")] == [2]

    @pytest.mark.contract("TRU-10", "WIRE-1")
    async def test_usage_comes_in_pages_and_between_days(self, store: Store) -> None:
        for name in ("a|b", "", "é", "c"):
            await spend(store, call(name or None))
        seen: list[str | None] = []
        query = UsageQuery(group_by=("day", "model"), limit=1)
        while True:
            page = await store.usage(ALICE, query)
            seen += [row.model for row in page.items]
            if page.next_cursor is None:
                break
            query = UsageQuery(group_by=("day", "model"), limit=1, cursor=page.next_cursor)
        assert seen == [None, "a|b", "c", "é"]
        assert await rows(store, first=DAY, last=DAY) != []
        assert await rows(store, first="2026-01-02") == []
        assert await rows(store, last="2025-12-31") == []
        for cursor in ("nonsense", "aGk"):
            with pytest.raises(Invalid) as refusal:
                await store.usage(ALICE, UsageQuery(group_by=("day", "model"), cursor=cursor))
            assert code_of(refusal) == "bad_cursor"

    @pytest.mark.contract("TRU-9")
    async def test_a_run_keeps_the_key_it_was_started_with(self, store: Store) -> None:
        thread = await new_thread(store)
        first = await start(store, thread.id, key_id="k1")
        await start(store, thread.id, key_id="k2", queue="last", second=1)
        assert first.claim
        promoted = (await Pen(store, first.claim).complete()).promoted
        assert promoted
        assert promoted.caller.key_id == "k2"
        (taken,) = await store.recover(SYSTEM, owner=f"not {OWNER}", at=moment(9))
        assert taken.caller.key_id == "k2"
