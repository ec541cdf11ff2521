"""What the audit log keeps of one act (TRU-18)."""

from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["OK", "AuditEntry"]

OK = "ok"
"""The outcome of what succeeded; any other is the code of the error it ended in."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which id, when, and how it ended.

    `tenant` and `user` are "" for somebody who did not get in; `target` is the id that it was done to. `details` are ids,
    names and counts, never message content unless the owner switched that on. `remote` is the address it came from, or the
    word for another way in, such as `cli`.
    """

    id: str
    at: str
    action: str
    outcome: str
    tenant: str
    user: str
    key_id: str | None = None
    roles: Sequence[str] = ()
    target: str | None = None
    request_id: str | None = None
    remote: str | None = None
    details: dict[str, Any] = {}
