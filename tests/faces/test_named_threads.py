"""Threads under names that clients choose."""

import asyncio
from typing import Any

import pytest

from landline.backends.memory import MemoryStore
from landline.model.callers import LOCAL
from landline.model.errors import Invalid
from landline.ports.documents import Document
from landline.web.named_threads import find_thread, thread_named
from tests.faces.fakes import OTHER, World, native_ports


@pytest.mark.contract("THR-2", "FACE-8")
async def test_a_name_is_one_thread_of_one_caller_on_one_face(world: World) -> None:
    ports = native_ports(world)
    mine = await thread_named(ports, LOCAL, face="ag_ui", name="t1", agent="notes")
    assert (await thread_named(ports, LOCAL, face="ag_ui", name="t1", agent="notes")).id == mine.id
    theirs = await thread_named(ports, OTHER, face="ag_ui", name="t1", agent="notes")
    elsewhere = await thread_named(ports, LOCAL, face="ai_sdk", name="t1", agent="notes")
    assert len({mine.id, theirs.id, elsewhere.id}) == 3
    assert theirs.user_id == OTHER.user
    assert await find_thread(ports, LOCAL, face="ag_ui", name="t2") is None
    found = await find_thread(ports, OTHER, face="ag_ui", name="t1")
    assert found is not None
    assert found.id == theirs.id


@pytest.mark.contract("FACE-8")
async def test_requests_that_make_a_name_at_once_get_one_thread(world: World) -> None:
    class Slow(MemoryStore):
        async def read_documents(self, *given: Any, **named: Any) -> list[Document]:
            found = await super().read_documents(*given, **named)
            await asyncio.sleep(0)
            return found

    ports = native_ports(world, documents=Slow())
    made = await asyncio.gather(
        *(thread_named(ports, LOCAL, face="ag_ui", name="t", agent="notes") for _ in range(5))
    )
    assert len({thread.id for thread in made}) == 1
    assert list(world.thread_rows) == [made[0].id]


@pytest.mark.contract("FACE-8")
async def test_the_name_of_a_deleted_thread_is_free_again(world: World) -> None:
    ports = native_ports(world)
    before = await thread_named(ports, LOCAL, face="ag_ui", name="t", agent="notes")
    await ports.threads.delete(LOCAL, before.id)
    assert await find_thread(ports, LOCAL, face="ag_ui", name="t") is None
    after = await thread_named(ports, LOCAL, face="ag_ui", name="t", agent="notes")
    assert after.id != before.id


@pytest.mark.parametrize("name", ["", "x" * 257])
async def test_a_name_has_a_length(world: World, name: str) -> None:
    with pytest.raises(Invalid):
        await thread_named(native_ports(world), LOCAL, face="ag_ui", name=name, agent="notes")
