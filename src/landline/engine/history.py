"""The history a turn is given: the thread's branch up to the message before its input, kept warm (PRF-5).

A thread that is spoken to again soon is not read again: the branch of the last turn is kept with the id of its last
message, and is right exactly when the next turn follows that message.
"""

from collections import OrderedDict
from collections.abc import Sequence

from landline.engine.window import Window
from landline.model.callers import Caller
from landline.model.events import Stamped
from landline.model.messages import Message
from landline.ports.store import Claim, Store

__all__ = ["History", "log_of"]

KEPT_THREADS = 256
KEPT_MESSAGES = 50_000
PAGE = 1_000


class History:
    """Warm branches of recent threads, bounded by threads and by messages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._warm: OrderedDict[str, list[Message]] = OrderedDict()
        self._messages = 0

    async def upto(
        self, caller: Caller, thread_id: str, head_id: str | None, window: Window | None = None
    ) -> Sequence[Message]:
        """Return the branch that ends at `head_id`, oldest first: all of it, or what is in the window."""
        if head_id is None:
            return ()
        branch = self._warm.get(thread_id)
        if branch is not None and branch[-1].id == head_id:
            self._warm.move_to_end(thread_id)
        elif window is not None:
            branch = await self._read(caller, thread_id, head_id, window)
        else:
            branch = await self._store.branch(caller, thread_id, head_id, limit=None)
            if branch:
                self._keep(thread_id, branch)
        return branch[:] if window is None else window.of(branch)

    async def _read(self, caller: Caller, thread_id: str, head_id: str, window: Window) -> list[Message]:
        """Read as much of the branch as the window may need, which is not kept: the next turn's begins elsewhere."""
        branch: list[Message] = []
        for limit in window.reads():
            branch = await self._store.branch(caller, thread_id, head_id, limit=limit)
            if limit is None or len(branch) < limit or window.filled(branch):
                break
        return branch

    def extend(self, thread_id: str, after: str | None, new: Sequence[Message]) -> None:
        """Add a finished turn's messages to a warm branch that ends at `after`; else the branch is dropped."""
        branch = self._warm.get(thread_id)
        if branch is None:
            if after is None and new:
                self._keep(thread_id, list(new))
            return
        if branch[-1].id != after:
            self.forget(thread_id)
            return
        branch.extend(new)
        self._messages += len(new)
        self._trim()

    def forget(self, thread_id: str) -> None:
        """Drop a thread."""
        branch = self._warm.pop(thread_id, None)
        if branch is not None:
            self._messages -= len(branch)

    def _keep(self, thread_id: str, branch: list[Message]) -> None:
        self.forget(thread_id)
        self._warm[thread_id] = branch
        self._messages += len(branch)
        self._trim()

    def _trim(self) -> None:
        while len(self._warm) > KEPT_THREADS or (self._messages > KEPT_MESSAGES and len(self._warm) > 1):
            _, branch = self._warm.popitem(last=False)
            self._messages -= len(branch)


async def log_of(store: Store, claim: Claim) -> list[Stamped]:
    """Return the whole log of a claimed run."""
    events: list[Stamped] = []
    while page := await store.events(
        claim.caller, claim.run.id, after=events[-1].seq if events else 0, limit=PAGE
    ):
        events += page
    return events
