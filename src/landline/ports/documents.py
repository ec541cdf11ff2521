"""Documents: JSON that code beside the runs keeps in the store, such as a framework's own session (ADP-7).

They belong to the caller's tenant and user alone: every call, the system's too, sees its caller's own only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from landline.model.callers import Caller

__all__ = ["Document", "DocumentWrite", "Documents"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What a caller keeps under a key of a collection; `label` is what lists are filtered by."""

    key: str
    body: bytes
    version: str
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentWrite:
    """A document to write, or to remove when `body` is None; removing one that is not there changes nothing.

    `expected` is the version it must have before any of the writes: "" for no document at all, None for any.
    """

    collection: str
    key: str
    body: bytes | None
    version: str = ""
    expected: str | None = None
    label: str | None = None


class Documents(Protocol):
    """The part of the store that keeps documents."""

    async def read_documents(self, caller: Caller, collection: str, keys: Sequence[str]) -> list[Document]:
        """Return those of `keys` that exist, in the order of `keys`."""
        ...

    async def list_documents(
        self, caller: Caller, collection: str, *, label: str | None = None, limit: int | None = None
    ) -> list[Document]:
        """Return the documents, or those with `label`, last written first."""
        ...

    async def write_documents(
        self, caller: Caller, writes: Sequence[DocumentWrite], *, needs: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Do all writes in one transaction, on disk on return.

        `needs` are (collection, key) pairs of documents that must be there before.

        Raises:
            Conflict: A document has not its expected version, or a needed one is gone; nothing was written.
        """
        ...
