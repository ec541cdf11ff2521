"""Pages of items as OpenAI's lists have them: after an item's id, in either order."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Path, Query

from landline.faces.openai.faults import fault

__all__ = ["AfterParam", "IdPath", "IncludeParam", "LimitParam", "OrderParam", "page_of"]

IdPath = Annotated[str, Path(max_length=128)]
AfterParam = Annotated[
    str | None, Query(min_length=1, max_length=128, description="The id of the last item that was seen.")
]
LimitParam = Annotated[int, Query(ge=1, le=100, description="Items on a page.")]
OrderParam = Literal["asc", "desc"]
IncludeParam = Annotated[
    list[str] | None, Query(alias="include[]", max_length=32, description="Nothing more is there to include.")
]


def page_of(
    items: Sequence[dict[str, Any]], *, after: str | None, limit: int, order: OrderParam
) -> dict[str, Any]:
    """Return a page of items, which are given oldest first.

    Raises:
        Invalid: There is no item `after`.
    """
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after is not None:
        place = next((index for index, item in enumerate(ordered) if item["id"] == after), None)
        if place is None:
            raise fault(("after",), "there is no such item")
        ordered = ordered[place + 1 :]
    shown = ordered[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(ordered) > len(shown),
    }
