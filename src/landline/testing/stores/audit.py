"""The audit log: appended to, read by tenant, and removed only by a pruning that tells of itself."""

from typing import Any

import pytest
from msgspec.structs import replace

from landline.model.audit import AuditEntry
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import LandlineError, NotFound
from landline.model.ids import new_id
from landline.ports.audit import AuditQuery
from landline.ports.store import Store
from landline.testing.stores.kit import ALICE, BOB, MALLORY, moment

__all__ = ["AuditPromises", "an_entry"]


def an_entry(second: int = 0, caller: Caller = ALICE, **fields: Any) -> AuditEntry:
    """Return an entry, `second` seconds after the beginning of the test's day."""
    columns: dict[str, Any] = {"action": "run.cancel", "outcome": "ok", "target": "t", **fields}
    return AuditEntry(id=new_id(), at=moment(second), tenant=caller.tenant, user=caller.user, **columns)


class AuditPromises:
    """What a store promises about the audit log."""

    @pytest.mark.contract("TRU-18")
    async def test_an_entry_is_read_as_it_was_written(self, store: Store) -> None:
        whole = an_entry(
            key_id="k", roles=("admin", "user"), request_id="r", remote="::1", details={"ü": [1, {"n": None}]}
        )
        bare = an_entry(1, target=None)
        await store.add_audit([whole, bare])
        page = await store.list_audit(ALICE, AuditQuery())
        assert (page.items, page.next_cursor) == ([bare, whole], None)
        oldest = await store.list_audit(ALICE, AuditQuery(oldest_first=True))
        assert oldest.items == [whole, bare]

    @pytest.mark.contract("TRU-18", "THR-2")
    async def test_a_tenant_reads_all_of_its_users_and_nothing_of_others(self, store: Store) -> None:
        alice, bob, mallory = an_entry(), an_entry(1, BOB), an_entry(2, MALLORY)
        nobody = replace(an_entry(3), tenant="", user="")
        await store.add_audit([alice, bob, mallory, nobody])
        for caller in (ALICE, BOB):
            assert (await store.list_audit(caller, AuditQuery())).items == [bob, alice]
        assert (await store.list_audit(MALLORY, AuditQuery())).items == [mallory]
        assert (await store.list_audit(SYSTEM, AuditQuery())).items == [nobody, mallory, bob, alice]
        assert (await store.list_audit(SYSTEM, AuditQuery(user=""))).items == [nobody]

    @pytest.mark.contract("TRU-18")
    async def test_entries_are_found_by_what_they_tell(self, store: Store) -> None:
        entries = [
            an_entry(0, action="key.create", target="a"),
            an_entry(1, BOB, target="a"),
            an_entry(2, target="b"),
            an_entry(3, action="key.create", target="b"),
        ]
        await store.add_audit(entries)

        async def found(**fields: Any) -> list[int]:
            page = await store.list_audit(ALICE, AuditQuery(oldest_first=True, **fields))
            return [entries.index(entry) for entry in page.items]

        assert await found(action="key.create") == [0, 3]
        assert await found(user="bob") == [1]
        assert await found(target="a") == [0, 1]
        assert await found(after=moment(1), before=moment(3)) == [1, 2]
        assert await found(action="key.create", target="b", user="alice", after=moment(3)) == [3]
        assert await found(action="key") == []

    @pytest.mark.contract("TRU-18")
    @pytest.mark.parametrize("oldest_first", [False, True])
    @pytest.mark.parametrize("caller", [ALICE, SYSTEM], ids=["alice", "system"])
    async def test_pages_hold_every_entry_once(
        self, store: Store, caller: Caller, oldest_first: bool
    ) -> None:
        entries = [an_entry(second) for second in range(7)]
        for entry in entries:
            await store.add_audit([entry, an_entry(0, MALLORY)] if caller is ALICE else [entry])
        seen: list[AuditEntry] = []
        cursor = None
        while True:
            page = await store.list_audit(
                caller, AuditQuery(limit=3, cursor=cursor, oldest_first=oldest_first)
            )
            seen += page.items
            assert len(page.items) <= 3
            if (cursor := page.next_cursor) is None:
                break
        assert seen == (entries if oldest_first else entries[::-1])
        with pytest.raises(LandlineError):
            await store.list_audit(caller, AuditQuery(cursor="no cursor"))

    @pytest.mark.contract("TRU-18")
    async def test_an_entry_is_never_rewritten(self, store: Store) -> None:
        entry = an_entry()
        await store.add_audit([entry])
        await store.add_audit([replace(entry, outcome="forged"), an_entry(1)])
        page = await store.list_audit(ALICE, AuditQuery(oldest_first=True))
        assert [kept.outcome for kept in page.items] == ["ok", "ok"]
        assert page.items[0] == entry

    @pytest.mark.contract("TRU-18")
    async def test_a_pruning_removes_what_is_old_and_stays_itself(self, store: Store) -> None:
        old, young = an_entry(1), an_entry(5)
        await store.add_audit([old, an_entry(2, MALLORY), young])
        told = replace(an_entry(6, action="audit.prune", target=None), details={"before": moment(5)})
        with pytest.raises(NotFound):
            await store.prune_audit(ALICE, before=moment(9), entry=told)
        assert await store.prune_audit(SYSTEM, before=moment(5), entry=told) == 2
        kept = (await store.list_audit(ALICE, AuditQuery(oldest_first=True))).items
        assert [entry.id for entry in kept] == [young.id, told.id]
        assert kept[1].details == {"before": moment(5), "count": 2}
        again = an_entry(9, action="audit.prune")
        assert await store.prune_audit(SYSTEM, before=moment(8), entry=again) == 1
        assert [e.id for e in (await store.list_audit(SYSTEM, AuditQuery())).items] == [again.id, told.id]
