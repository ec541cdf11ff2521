"""Pydantic AI's own conversation store, kept where Landline keeps things."""

from collections.abc import Sequence

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.models.test import TestModel

from landline.adapters.pydantic_ai import LandlineConversationStore
from landline.adapters.pydantic_ai.conversations import Document, DocumentWrite
from landline.model.callers import Caller
from landline.model.errors import Conflict

ANN = Caller(tenant="t", user="ann")
BOB = Caller(tenant="t", user="bob")


class MemoryDocuments:
    """Documents of all callers, in the order they were written."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str, str], Document] = {}

    async def read_documents(self, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
        found = (self.kept.get((caller.tenant, caller.user, collection, key)) for key in keys)
        return [document for document in found if document is not None]

    async def list_documents(
        self, caller: Caller, collection: str, *, label: str | None, limit: int | None
    ) -> list[Document]:
        own = [d for at, d in self.kept.items() if at[:3] == (caller.tenant, caller.user, collection)]
        return [d for d in reversed(own) if label is None or d.label == label][:limit]

    async def write_documents(
        self, caller: Caller, writes: Sequence[DocumentWrite], *, needs: Sequence[tuple[str, str]] = ()
    ) -> None:
        owner = (caller.tenant, caller.user)
        for write in writes:
            now = self.kept.get((*owner, write.collection, write.key))
            if write.expected is not None and (now.version if now else "") != write.expected:
                raise Conflict("It has changed.")
        if any((*owner, *need) not in self.kept for need in needs):
            raise Conflict("What it needs is gone.")
        for write in writes:
            at = (*owner, write.collection, write.key)
            self.kept.pop(at, None)
            if write.body is not None:
                self.kept[at] = Document(
                    key=write.key, body=write.body, version=write.version, label=write.label
                )


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


async def talk(
    store: LandlineConversationStore, text: str, *, id_: str = "c", scope: str | None = None
) -> None:
    agent = Agent(TestModel(custom_output_text=f"re: {text}"))
    conversation = await store.load(id_, scope=scope) or Conversation(conversation_id=id_)
    await store.save(await agent.run(text, conversation=conversation), scope=scope)


@pytest.mark.contract("ADP-7")
async def test_a_conversation_goes_on_from_the_store(documents: MemoryDocuments) -> None:
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
async def test_another_callers_conversation_does_not_exist(documents: MemoryDocuments) -> None:
    await talk(LandlineConversationStore(documents, ANN), "secret")
    bob = LandlineConversationStore(documents, BOB)
    assert await bob.load("c") is None
    assert list(await bob.list_conversations()) == []
    await talk(bob, "mine")
    ann = await LandlineConversationStore(documents, ANN).load("c")
    assert ann is not None
    assert len(ann.messages) == 2


@pytest.mark.contract("ADP-7")
async def test_two_writers_do_not_overwrite_each_other(documents: MemoryDocuments) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    agent = Agent(TestModel())
    one, two = await store.load("c"), await store.load("c")
    await store.save(await agent.run("one", conversation=one))
    with pytest.raises(ConversationConflict):
        await store.save(await agent.run("two", conversation=two))


@pytest.mark.contract("ADP-7")
async def test_forks_share_messages_and_survive_the_original(documents: MemoryDocuments) -> None:
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
async def test_deleting_the_last_one_leaves_nothing(documents: MemoryDocuments) -> None:
    store = LandlineConversationStore(documents, ANN)
    await talk(store, "a")
    await store.delete("c")
    assert documents.kept == {}
    with pytest.raises(LookupError):
        await store.read_entry("nothing")
