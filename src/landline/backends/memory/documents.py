"""Documents of the memory store."""

from collections.abc import Sequence

from landline.backends.memory.state import State
from landline.model.callers import Caller
from landline.model.errors import Conflict
from landline.ports.documents import Document, DocumentWrite

__all__ = ["listed", "read", "write"]


def read(state: State, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
    """Return those of `keys` that exist."""
    own = state.documents.get((caller.tenant, caller.user, collection), {})
    return [own[key] for key in keys if key in own]


def listed(
    state: State, caller: Caller, collection: str, label: str | None, limit: int | None
) -> list[Document]:
    """Return documents, last written first."""
    own = state.documents.get((caller.tenant, caller.user, collection), {})
    found = [document for document in reversed(own.values()) if label in (None, document.label)]
    return found if limit is None else found[: max(0, limit)]


def write(
    state: State, caller: Caller, writes: Sequence[DocumentWrite], needs: Sequence[tuple[str, str]]
) -> None:
    """Do all writes, once all their conditions hold."""
    for change in writes:
        kept = read(state, caller, change.collection, [change.key])
        if change.expected is not None and (kept[0].version if kept else None) != (change.expected or None):
            raise Conflict("The document was changed meanwhile.", code="document_changed")
    if not all(read(state, caller, collection, [key]) for collection, key in needs):
        raise Conflict("A document that is needed is gone.", code="document_gone")
    for change in writes:
        own = state.documents.setdefault((caller.tenant, caller.user, change.collection), {})
        own.pop(change.key, None)
        if change.body is not None:
            own[change.key] = Document(
                key=change.key, body=change.body, version=change.version, label=change.label
            )
