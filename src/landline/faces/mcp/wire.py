"""The arguments of the face's own tools; one it does not know is refused."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from landline.model.errors import Invalid
from landline.web.faults import Countable, faults_of

__all__ = [
    "MAX_MESSAGE_CHARS",
    "AnswerRun",
    "Arguments",
    "CancelRun",
    "GetRun",
    "GivenAnswer",
    "GivenFile",
    "ListMessages",
    "ListThreads",
    "parsed",
]

MAX_MESSAGE_CHARS = 200_000

Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str, Field(min_length=1, max_length=512, description="`next_cursor` of the page before.")]


class Arguments(Countable):
    """What all arguments share: no unknown field, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class GivenFile(Arguments):
    """A file that goes along with the message."""

    name: Name
    data: Annotated[str, Field(description="The bytes, in base64.")]


class ListThreads(Arguments):
    """Which threads."""

    agent: Name | None = Field(None, description="Only threads of this agent.")
    query: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        None, description="Only threads whose title or messages hold these words."
    )
    archived: bool | None = Field(None, description="Only archived ones, or only those that are not.")
    limit: Limit = 20
    cursor: Cursor | None = None


class ListMessages(Arguments):
    """Which messages."""

    thread_id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class GetRun(Arguments):
    """Which run, and whether to wait for it."""

    run_id: Id
    wait: bool = Field(False, description="Answer when the run has ended or asks something, not at once.")


class GivenAnswer(Arguments):
    """One answer: `approve` for an approval (`reason` says why not, `arguments` edits the call), else `value`."""

    question_id: Id
    approve: bool | None = None
    value: Any = None
    reason: Annotated[str, Field(max_length=2000)] | None = None
    arguments: dict[str, Any] | None = None


class AnswerRun(Arguments):
    """The answers of a human to what a run asks."""

    run_id: Id
    answers: Annotated[list[GivenAnswer], Field(min_length=1, max_length=64)]


class CancelRun(Arguments):
    """Which run to stop."""

    run_id: Id


_Model = TypeVar("_Model", bound=Arguments)


def parsed(model: type[_Model], arguments: Mapping[str, Any]) -> _Model:
    """Return the arguments as `model`.

    Raises:
        Invalid: They do not fit; it says where, and never echoes what was sent.
    """
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        found = faults_of(error.errors()[:20], dict(arguments))
        said = "; ".join(
            f"{'.'.join(map(str, fault.loc)) or 'arguments'}: {fault.message}" for fault in found
        )
        raise Invalid(f"The arguments do not fit: {said}", code="invalid_request", errors=found) from None
