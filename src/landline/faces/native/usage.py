"""Usage over REST (TRU-10): what the caller's runs used; with the scope `admin` its whole tenant's."""

from datetime import date
from typing import Annotated, Any, Final, cast, get_args

from fastapi import Query
from pydantic import AfterValidator
from starlette.responses import Response

from landline.faces.native import documents, encode
from landline.faces.native.turn import PREFIX
from landline.model.errors import Forbidden
from landline.ports.usage import Grouping, UsageQuery, Usages
from landline.web.caller import CallerOf
from landline.web.paging import DEFAULT_LIMIT, CursorParam, LimitParam
from landline.web.route import Entry, lists, requires

__all__ = ["UsageRoutes"]

_GROUPS: Final = get_args(Grouping)
_ROW: Final[dict[str, Any]] = {
    "day": "2026-11-21", "agent": "notes", "user": None, "key": None, "model": None, "runs": 3, "model_calls": 7,
    "unpriced_calls": 0, "tool_calls": 4, "input_tokens": 5120, "output_tokens": 640, "total_tokens": 5760,
    "cost_usd": 0.0124, "seconds": 21.5,
}  # fmt: skip


def _day(text: str | None) -> str | None:
    if text is not None:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise ValueError("this is no day") from None
    return text


def _groups(text: str) -> str:
    names = text.split(",")
    if len(set(names)) < len(names):
        raise ValueError("a group is named twice")
    return text


_Day = Annotated[
    str | None,
    Query(
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        json_schema_extra={"format": "date"},
        description="UTC, itself included.",
    ),
    AfterValidator(_day),
]
_FromDay = Annotated[_Day, Query(alias="from", examples=["2026-11-01"])]
_ToDay = Annotated[_Day, Query(examples=["2026-11-30"])]
_GroupBy = Annotated[
    str,
    Query(
        pattern=rf"^({'|'.join(_GROUPS)})(,({'|'.join(_GROUPS)}))*$",
        description="What a row is for, in this order: any of day, agent, user, key and model, with commas.",
        examples=["day,agent"],
    ),
    AfterValidator(_groups),
]
_Name = Annotated[str | None, Query(min_length=1, max_length=255)]


class UsageRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, usages: Usages) -> None:
        self._usages = usages

    @requires(("runs:read", "admin"))
    @lists()
    async def find(  # noqa: PLR0913 - one argument is one query parameter
        self,
        caller: CallerOf,
        limit: LimitParam = DEFAULT_LIMIT,
        cursor: CursorParam = None,
        from_: _FromDay = None,
        to: _ToDay = None,
        group_by: _GroupBy = "day",
        user: _Name = None,
        key_id: _Name = None,
        agent: _Name = None,
        model: _Name = None,
    ) -> Response:
        """Return what runs used, summed by group. `cost_usd` is the sum of the costs that are known, null when none is."""
        if user not in (None, caller.user) and "admin" not in caller.scopes:
            raise Forbidden("Usage of other users needs the scope admin.", code="missing_scope")
        query = UsageQuery(
            group_by=cast("tuple[Grouping, ...]", tuple(group_by.split(","))),
            first=from_,
            last=to,
            user=user,
            key=key_id,
            agent=agent,
            model=model,
            limit=limit,
            cursor=cursor,
        )
        return encode.json_response(encode.page(await self._usages.usage(caller, query)))

    def routes(self) -> list[Entry]:
        """Return the table."""
        listed = documents.answer("UsageRowPage", documents.page_of(_ROW), "Usage, one row for each group.")
        return [
            Entry(method="GET", path=f"{PREFIX}/usage", endpoint=self.find, name="list_usage", summary="Sum usage up",
                  docs={"responses": {200: listed, **documents.problems()}}),
        ]  # fmt: skip
