"""Pydantic AI's own conversation store, kept where Landline keeps things."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.test import TestModel

from landline.adapters.pydantic_ai import LandlineConversationStore
from landline.app.build import Landline
from landline.backends.memory import MemoryStore
from landline.backends.sqlite import SqliteStore
from landline.model.callers import LOCAL, Caller
from landline.ports.store import Store

ANN = Caller(tenant="t", user="ann")
BOB = Caller(tenant="t", user="bob")
ELSEWHERE = Caller(tenant="u", user="ann")
COLLECTIONS = ("pydantic_ai.conversations", "pydantic_ai.entries", "pydantic_ai.forks")


@pytest.fixture(params=["memory", "sqlite"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "landline.db")
    await store.open()
    yield store
    await store.close()


async def kept(documents: Store, caller: Caller) -> int:
    return sum([len(await documents.list_documents(caller, collection)) for collection in COLLECTIONS])


def texts(messages: Sequence[ModelMessage]) -> list[str]:
    """What was said, the user's and the model's words in turn."""
    said: list[str] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart if isinstance(message, ModelResponse) else UserPromptPart):
                assert isinstance(part.content, str)
                said.append(part.content)
    return said


async def talk(
    store: LandlineConversationStore, text: str, *, id_: str = "c", scope: str | None = None
) -> None:
    agent = Agent(TestModel(custom_output_text=f"re: {text}"))
    conversation = await store.load(id_, scope=scope) or Conversation(conversation_id=id_)
    await store.save(await agent.run(text, conversation=conversation), scope=scope)


@pytest.mark.contract("ADP-7")
async def test_a_conversation_goes_on_from_the_store(documents: Store) -> None:
    for text in ("a", "b", "c"):
        await talk(LandlineConversationStore(documents, ANN), text)
    loaded = await LandlineConversationStore(documents, ANN).load("c")
    assert loaded is not None
    assert len(loaded.messages) == 6
    assert loaded.usage.requests == 3
    last = await LandlineConversationStore(documents, ANN).load("c", limit=2)
    assert last is not None
    assert last.messages == loaded.messages[-2:]


@pytest.mark.contract("ADP-7", "THR-2")
async def test_another_callers_conversation_does_not_exist(documents: Store) -> None:
    await talk(LandlineConversationStore(documents, ANN), "secret")
    bob = LandlineConversationStore(documents, BOB)
    assert await bob.load("c") is None
    assert list(await bob.list_conversations()) == []
    await talk(bob, "mine")
    ann = await LandlineConversationStore(documents, ANN).load("c")
    assert ann is not None
    assert len(ann.messages) == 2


@pytest.mark.contract("ADP-7")
async def test_two_writers_do_not_overwrite_each_other(documents: Store) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    agent = Agent(TestModel())
    one, two = await store.load("c"), await store.load("c")
    await store.save(await agent.run("one", conversation=one))
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("two", conversation=two))


@pytest.mark.contract("ADP-7")
async def test_forks_share_messages_and_survive_the_original(documents: Store) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a", scope="s")
    await talk(store, "other", id_="d", scope="s2")
    fork = await store.fork("c")
    await store.delete("c")
    assert await store.load("c") is None
    loaded = await store.load(fork.conversation_id)
    assert loaded is not None
    assert len(loaded.messages) == 2
    assert [record.scope for record in await store.read_records(scope="s2")] == ["s2"]


@pytest.mark.contract("ADP-7")
async def test_deleting_the_last_one_leaves_nothing(documents: Store) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    await store.delete("c")
    assert await kept(documents, ANN) == 0
    with pytest.raises(LookupError):
        await store.read_entry("nothing")


@pytest.mark.contract("ADP-7")
async def test_the_messages_of_deleted_forks_go_with_the_last_fork(documents: Store) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    await talk(store, "other", id_="stays")
    await talk(LandlineConversationStore(documents, BOB), "bob's")
    first, second = await store.fork("c"), await store.fork("c")
    await talk(store, "on", id_=first.conversation_id)
    for conversation_id in ("c", first.conversation_id):
        await store.delete(conversation_id)
    shared = await store.load(second.conversation_id)
    assert shared is not None
    assert texts(shared.messages) == ["a", "re: a"]
    await store.delete(second.conversation_id)
    assert await kept(documents, ANN) == 3
    assert await kept(documents, BOB) == 3
    stays = await store.load("stays")
    assert stays is not None
    assert len(stays.messages) == 2


@pytest.mark.contract("ADP-7")
async def test_a_fork_made_during_a_deletion_keeps_its_messages(documents: Store) -> None:
    class Slow(LandlineConversationStore):
        """Lets somebody fork between the look at the records and the deletion."""

        forks = 0

        async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[Any]:
            found = await super().read_records(scope=scope, limit=limit)
            if self.forks == 0:
                self.forks += 1
                await LandlineConversationStore(documents, ANN).fork("c", new_conversation_id="fork")
            return found

    await talk(LandlineConversationStore(documents, ANN), "a")
    store = Slow(documents, ANN)
    await store.delete("c")
    assert await store.load("c") is None
    fork = await store.load("fork")
    assert fork is not None
    assert texts(fork.messages) == ["a", "re: a"]


@pytest.mark.contract("ADP-7")
async def test_of_savers_at_the_same_time_one_wins(documents: Store) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    results = await asyncio.gather(*(talk(store, str(n)) for n in range(6)), return_exceptions=True)
    assert sum(result is None for result in results) >= 1
    assert all(result is None or isinstance(result, ConversationConflict) for result in results)
    loaded = await store.load("c")
    assert loaded is not None
    assert len(loaded.messages) == 2 + 2 * sum(result is None for result in results)


@pytest.mark.contract("ADP-7", "THR-2", "REL-1")
async def test_a_conversation_outlives_the_process_and_goes_on(tmp_path: Path) -> None:
    async def opened() -> SqliteStore:
        documents = SqliteStore(tmp_path / "landline.db")
        await documents.open()
        return documents

    documents = await opened()
    store = LandlineConversationStore(documents, ANN)
    for said in ("one", "two"):
        await talk(store, said, scope="kitchen")
    await documents.close()

    documents = await opened()
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "three", scope="kitchen")
    loaded = await store.load("c", scope="kitchen")
    assert loaded is not None
    assert texts(loaded.messages) == ["one", "re: one", "two", "re: two", "three", "re: three"]
    assert await store.load("c", scope="cellar") is None
    branched = await store.branch("c", at=2, expected_revision=loaded.revision)
    agent = Agent(TestModel(custom_output_text="re: deux"))
    await store.save(await agent.run("deux", conversation=branched))
    fork = await store.fork("c", at=2, new_conversation_id="f", scope="garden")
    await store.save(await agent.run("zwei", conversation=fork))
    await documents.close()

    documents = await opened()
    store = LandlineConversationStore(documents, ANN)
    loaded, fork = await store.load("c"), await store.load("f", scope="garden")
    assert loaded is not None
    assert fork is not None
    assert texts(loaded.messages) == ["one", "re: one", "deux", "re: deux"]
    assert texts(fork.messages) == ["one", "re: one", "zwei", "re: deux"]
    left = (await store.read_records(scope="kitchen"))[0].branches
    back = await store.branch("c", from_entry=left[0], expected_revision=loaded.revision)
    assert texts(back.messages)[-2:] == ["three", "re: three"]
    assert [r.conversation_id for r in await store.list_conversations()] == ["c", "f"]
    assert [r.conversation_id for r in await store.list_conversations(scope="garden")] == ["f"]
    for stranger in (BOB, ELSEWHERE):
        theirs = LandlineConversationStore(documents, stranger)
        assert await theirs.load("c") is None
        assert await theirs.list_conversations() == []
        assert await theirs.list_conversations(scope="kitchen") == []
        await theirs.delete("c")
        with pytest.raises(LookupError):
            await theirs.read_history(left[0])
    assert await store.load("c") is not None
    await documents.close()


@pytest.mark.contract("ADP-7")
async def test_a_long_history_is_a_few_reads(documents: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LandlineConversationStore(documents, ANN)
    for n in range(10):
        await talk(store, str(n))
    fork = await store.fork("c")
    await talk(store, "more", id_=fork.conversation_id)
    reads = 0
    for name in ("read_documents", "list_documents"):
        plain = getattr(documents, name)

        async def counted(*args: Any, plain: Any = plain, **keywords: Any) -> Any:
            nonlocal reads
            reads += 1
            return await plain(*args, **keywords)

        monkeypatch.setattr(documents, name, counted)
    loaded = await store.load(fork.conversation_id)
    assert loaded is not None
    assert len(loaded.messages) == 22
    assert reads == 5
    last = await store.load("c", limit=3)
    assert last is not None
    assert texts(last.messages) == ["re: 8", "9", "re: 9"]


@pytest.mark.contract("ADP-7")
async def test_the_servers_own_store_takes_conversations(tmp_path: Path) -> None:
    async with Landline(open=True, data=tmp_path).started() as landline:
        store = LandlineConversationStore(landline.store, LOCAL)
        await talk(store, "a")
        assert await store.load("c") is not None
