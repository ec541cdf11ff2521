"""The requests of A2A 1.0 as they are read: names in camelCase or as the protocol's own definition spells them.

What these do not name is ignored, which is what the protocol asks of servers. Every text and list has an end.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from landline.web.faults import Countable
from landline.web.strict_json import canonical

__all__ = [
    "CANCELED",
    "COMPLETED",
    "FAILED",
    "INPUT_REQUIRED",
    "JSON",
    "MAX_PAGE",
    "REJECTED",
    "SUBMITTED",
    "TERMINAL_STATES",
    "WORKING",
    "CancelTaskRequest",
    "GetTaskRequest",
    "ListTasksRequest",
    "Message",
    "Part",
    "Request",
    "SendMessageRequest",
    "State",
    "SubscribeToTaskRequest",
]

SUBMITTED: Final = "TASK_STATE_SUBMITTED"
WORKING: Final = "TASK_STATE_WORKING"
COMPLETED: Final = "TASK_STATE_COMPLETED"
FAILED: Final = "TASK_STATE_FAILED"
CANCELED: Final = "TASK_STATE_CANCELED"
INPUT_REQUIRED: Final = "TASK_STATE_INPUT_REQUIRED"
REJECTED: Final = "TASK_STATE_REJECTED"
TERMINAL_STATES: Final = frozenset({COMPLETED, FAILED, CANCELED, REJECTED})
"""States after which a task does not change."""

State = Literal[
    "TASK_STATE_UNSPECIFIED",
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
    "TASK_STATE_REJECTED",
    "TASK_STATE_AUTH_REQUIRED",
]

JSON: Final = "application/json"
MAX_PAGE: Final = 100
_MAX_TEXT: Final = 200_000
_MAX_PARTS: Final = 64
_MAX_METADATA: Final = 16 * 1024
_CONTENT: Final = ("text", "raw", "url", "data")


def _small(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is not None and len(canonical(value)) > _MAX_METADATA:
        raise ValueError(f"metadata may have {_MAX_METADATA} bytes as JSON")
    return value


Id = Annotated[str, Field(min_length=1, max_length=256)]
Context = Annotated[str, Field(max_length=128)]
Metadata = Annotated[dict[str, Any] | None, AfterValidator(_small)]
HistoryLength = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Wire(Countable):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", strict=True, protected_namespaces=()
    )


class Part(_Wire):
    """One part: exactly one of `text`, `raw` (base64), `url` and `data`."""

    text: Annotated[str, Field(max_length=_MAX_TEXT)] | None = None
    raw: str | None = None
    url: Annotated[str, Field(max_length=8192)] | None = None
    data: Any = None
    filename: Annotated[str, Field(max_length=255)] | None = None
    media_type: Annotated[str, Field(max_length=255)] | None = None
    metadata: Metadata = None

    @property
    def holds(self) -> str:
        """Which content it has; `data` alone may be null."""
        given = self._given()
        return given[0] if given else "data"

    def _given(self) -> list[str]:
        return [name for name in _CONTENT if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one_content(self) -> "Part":
        given = self._given()
        if len(given) > 1 or (not given and "data" not in self.model_fields_set):
            raise ValueError("a part has exactly one of text, raw, url and data")
        return self


class Message(_Wire):
    """A message of the client: its role is the user's, whatever else a client may claim (TRU-19)."""

    message_id: Id
    role: Literal["ROLE_USER"]
    parts: Annotated[list[Part], Field(min_length=1, max_length=_MAX_PARTS)]
    context_id: Context | None = None
    task_id: Annotated[str, Field(max_length=256)] | None = None
    metadata: Metadata = None

    @model_validator(mode="after")
    def _bounded(self) -> "Message":
        if sum(len(part.text or "") for part in self.parts) > _MAX_TEXT:
            raise ValueError(f"a message may have {_MAX_TEXT} characters of text")
        return self


class Configuration(_Wire):
    """How the answer is wanted; the accepted output modes are a wish, which the protocol lets an agent pass over."""

    history_length: HistoryLength | None = None
    return_immediately: bool | None = None
    task_push_notification_config: dict[str, Any] | None = None


class Request(_Wire):
    """What every request of the protocol has in common."""

    tenant: str | None = None

    @model_validator(mode="after")
    def _no_tenant(self) -> "Request":
        if self.tenant:
            raise ValueError("this interface has no tenants")
        return self


class SendMessageRequest(Request):
    """A message to an agent, for a new task or for one that asked for it."""

    message: Message
    configuration: Configuration | None = None
    metadata: Metadata = None


class GetTaskRequest(Request):
    """Which task, with how much of its history."""

    id: Id
    history_length: HistoryLength | None = None


class CancelTaskRequest(Request):
    """Which task to cancel."""

    id: Id


class SubscribeToTaskRequest(Request):
    """Which task to follow."""

    id: Id


class ListTasksRequest(Request):
    """Filters and the place in the list."""

    context_id: Context | None = None
    status: State | None = None
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE)] | None = None
    page_token: Annotated[str, Field(max_length=512)] | None = None
    history_length: HistoryLength | None = None
    status_timestamp_after: Annotated[str, Field(max_length=64)] | None = None
    include_artifacts: bool | None = None
