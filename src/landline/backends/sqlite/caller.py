"""What every operation needs of its caller: the parameters of the owner's condition, and the one "no such" answer."""

from typing import Any

from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.ids import is_id

__all__ = ["missing", "named", "who"]


def who(caller: Caller) -> dict[str, Any]:
    """Return the parameters of `owned`."""
    return {"tenant": caller.tenant, "user": caller.user, "system": caller.system}


def missing(what: str, id_: str) -> NotFound:
    """Return the refusal for a row that is not there or not the caller's: both read the same (THR-2)."""
    return NotFound(f"No {what} has the id {id_}.", code=f"{what}_not_found")


def named(caller: Caller, what: str, id_: str) -> dict[str, Any]:
    """Return the parameters of a statement about one row. Raises NotFound for what cannot be an id."""
    if not is_id(id_):
        raise missing(what, id_)
    return {"id": id_, **who(caller)}
