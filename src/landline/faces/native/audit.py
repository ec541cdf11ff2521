"""The audit log of the caller's tenant over REST, for those who operate it (TRU-18)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.turn import PREFIX
from landline.model.times import iso
from landline.ports.audit import Audit, AuditQuery
from landline.web.caller import CallerOf
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires

__all__ = ["AuditRoutes"]

_MOST_CHARS = 200
_Word = Annotated[str | None, Query(min_length=1, max_length=_MOST_CHARS)]
_From = Annotated[
    datetime | None, Query(alias="from", description="Entries from this moment on.", examples=[documents.AT])
]
_To = Annotated[
    datetime | None, Query(alias="to", description="Entries before this moment.", examples=[documents.AT])
]

_ENTRY: dict[str, Any] = {
    "id": documents.ID, "at": documents.AT, "action": "question.answer", "outcome": "ok", "tenant": "acme", "user": "alice",
    "key_id": documents.ID, "roles": [], "target": documents.ID, "request_id": documents.ID, "remote": "192.0.2.7",
    "details": {"run_id": documents.ID, "approve": True, "decided": "approved", "tool": "send_mail",
                "arguments_sha256": "0" * 64},
}  # fmt: skip


class AuditRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @requires("admin")
    @lists()
    async def read(  # noqa: PLR0913 - one argument is one query parameter
        self,
        caller: CallerOf,
        action: _Word = None,
        user: _Word = None,
        target: _Word = None,
        after: _From = None,
        before: _To = None,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
    ) -> Response:
        """Return a page of what was done in the caller's tenant, newest first."""
        query = AuditQuery(
            limit=limit,
            cursor=cursor,
            action=action,
            user=user,
            target=target,
            after=_iso(after),
            before=_iso(before),
        )
        return encode.json_response(encode.page(await self._audit.read(caller, query)))

    def routes(self) -> list[Entry]:
        """Return the table."""
        listed = documents.answer("AuditEntryPage", documents.page_of(_ENTRY), "A page of audit entries.")
        return [
            Entry(method="GET", path=f"{PREFIX}/admin/audit", endpoint=self.read, name="list_audit",
                  summary="List audit entries", docs={"responses": {200: listed, **documents.problems()}}),
        ]  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
