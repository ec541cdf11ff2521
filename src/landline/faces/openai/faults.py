"""A fault of a request, named by the place in the body where it is: what the envelope tells as `param`."""

from collections.abc import Sequence

from landline.model.errors import FieldError, Invalid

__all__ = ["Loc", "fault"]

Loc = Sequence[str | int]
"""Where in the body: keys and indexes, such as `("messages", 0, "content")`."""


def fault(at: Loc, message: str, *, code: str = "invalid_request") -> Invalid:
    """Return the error that says `message` of the place `at`."""
    return Invalid(message, code=code, errors=[FieldError(loc=["body", *at], message=message)])
