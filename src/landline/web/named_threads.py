"""Threads under names that clients choose: wires whose client makes up the conversation's id (AG-UI, AI SDK, A2A).

A name belongs to one caller and one face; two callers who choose the same one have two threads (THR-2).
"""

from landline.model.callers import Caller
from landline.model.errors import Conflict, Invalid, NotFound
from landline.model.threads import Thread
from landline.ports.documents import DocumentWrite
from landline.web.face import FacePorts

__all__ = ["find_thread", "thread_named"]

_MOST_CHARS = 256


async def find_thread(ports: FacePorts, caller: Caller, *, face: str, name: str) -> Thread | None:
    """Return the caller's thread of this name, or None when there is none (any more)."""
    _check(name)
    found = await ports.documents.read_documents(caller, _collection(face), [name])
    try:
        return await ports.threads.get(caller, found[0].body.decode()) if found else None
    except NotFound:
        return None


async def thread_named(ports: FacePorts, caller: Caller, *, face: str, name: str, agent: str) -> Thread:
    """Return the caller's thread of this name, making it for `agent` when there is none.

    Of requests that make it at once all get the same thread.

    Raises:
        Invalid: The name is empty, or longer than 256 characters.
    """
    _check(name)
    while True:
        found = await ports.documents.read_documents(caller, _collection(face), [name])
        if found:
            try:
                return await ports.threads.get(caller, found[0].body.decode())
            except NotFound:
                pass  # it was deleted; the name is free again
        thread, _ = await ports.threads.create(caller, agent=agent, metadata={f"{face}.thread": name})
        write = DocumentWrite(
            collection=_collection(face),
            key=name,
            body=thread.id.encode(),
            version=thread.id,
            expected=found[0].version if found else "",
        )
        try:
            await ports.documents.write_documents(caller, [write])
        except Conflict:
            await ports.threads.delete(caller, thread.id)  # somebody was faster, and theirs is the one
        else:
            return thread


def _collection(face: str) -> str:
    return f"face.{face}.threads"


def _check(name: str) -> None:
    if not 0 < len(name) <= _MOST_CHARS:
        raise Invalid(f"A thread's id has 1 to {_MOST_CHARS} characters.", code="invalid_thread_id")
