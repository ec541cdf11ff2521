"""The bodies the native face takes (WIRE-1, WIRE-3); a field it does not know is refused.

Types are strict: a number in quotes is text. Every limit here is in the OpenAPI document too.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field

from landline.web.faults import Countable
from landline.web.strict_json import canonical

__all__ = [
    "AnswerBody",
    "AnswersBody",
    "Body",
    "CreateThreadBody",
    "FanoutBody",
    "FileInput",
    "ForkBody",
    "ImageInput",
    "PatchThreadBody",
    "RunFields",
    "SettingsBody",
    "StartBody",
    "StartOnThreadBody",
    "TextInput",
]

MAX_INPUT_CHARS = 200_000
MAX_PARTS = 64
MAX_METADATA_BYTES = 16 * 1024
MAX_CONTEXT_BYTES = 64 * 1024
MAX_DEADLINE_S = 7 * 24 * 3600.0

_EXAMPLE_ID = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(canonical(value)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may have {MAX_METADATA_BYTES} bytes as JSON")
    return value


def _bounded(value: Any) -> Any:
    if len(canonical(value)) > MAX_CONTEXT_BYTES:
        raise ValueError(f"this may have {MAX_CONTEXT_BYTES} bytes as JSON")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Title = Annotated[str, Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_INPUT_CHARS)]

Deadline = Annotated[float, Field(gt=0, le=MAX_DEADLINE_S, allow_inf_nan=False)]


class Body(Countable):
    """What all bodies share: no unknown field, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class TextInput(Body):
    """Text of the user."""

    type: Literal["text"]
    text: Text


class FileInput(Body):
    """A file of the caller's, by the id its upload gave."""

    type: Literal["file"]
    file_id: Id


class ImageInput(Body):
    """An image file of the caller's, by the id its upload gave."""

    type: Literal["image"]
    file_id: Id


Parts = Annotated[
    list[Annotated[TextInput | FileInput | ImageInput, Field(discriminator="type")]],
    Field(min_length=1, max_length=MAX_PARTS),
]


class SettingsBody(Body):
    """Settings for the model; which of them an agent takes is in its `settings`."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    model: Name | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=16)] | None
    ) = None
    tool_choice: Name | None = Field(
        None, description="`auto`, `none`, `required`, or the name of the tool that is to be called"
    )
    parallel_tool_calls: bool | None = None


class RunFields(Body):
    """What a run is, whichever way it is asked for. Without `input`, `parent_id` answers again below that message."""

    agent: Name | None = Field(None, validation_alias=AliasChoices("agent", "agent_type"))
    input: Text | Parts | None = None
    parent_id: Id | None = Field(
        None,
        description="The message the turn goes below; left out: the thread's head. "
        "With an input, null begins a branch at the root: an edit of the first message.",
    )
    context: Annotated[Any, AfterValidator(_bounded)] = None
    settings: SettingsBody | None = None
    on_busy: Literal["reject", "queue", "interrupt", "steer"] = "reject"
    deadline_s: Deadline | None = None
    metadata: Metadata | None = None


class StartOnThreadBody(RunFields):
    """A turn on a thread. Without `input`, `parent_id` answers again below that message."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": "What is on my list?", "mode": "stream"}]},
    )

    mode: Literal["wait", "stream", "background"] = "wait"
    on_disconnect: Literal["continue", "cancel"] = "continue"


class StartBody(StartOnThreadBody):
    """A turn on a thread, or, without one, on a thread that is made for it. The agent `auto` lets the router choose."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"agent": "notes", "input": "What is on my list?", "mode": "wait"}]},
    )

    thread_id: Id | None = Field(None, validation_alias=AliasChoices("thread_id", "thread"))
    title: Title | None = None


class FanoutBody(Body):
    """One input for several agents; each answers in a run and a thread of its own, all at once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"agents": ["notes", "bank_support"], "input": "What can you do?"}]},
    )

    agents: Annotated[list[Name], Field(min_length=1, max_length=16)]
    input: Text | Parts
    mode: Literal["wait", "background"] = "wait"
    title: Title | None = None
    context: Annotated[Any, AfterValidator(_bounded)] = None
    settings: SettingsBody | None = None
    deadline_s: Deadline | None = None
    metadata: Metadata | None = None
    on_disconnect: Literal["continue", "cancel"] = "continue"


class CreateThreadBody(Body):
    """A new thread; `agent_type` is another name for `agent`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"agent": "notes", "title": "Groceries"}]})

    agent: Name = Field(validation_alias=AliasChoices("agent", "agent_type"))
    title: Title | None = None
    metadata: Metadata | None = None


class PatchThreadBody(Body):
    """Changes to a thread; a field that is left out stays, `title` null empties it, `metadata` is replaced whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Groceries", "pinned": True}]})

    title: Title | None = None
    metadata: Metadata | None = None
    pinned: bool | None = None
    archived: bool | None = None
    head_id: Id | None = None


class ForkBody(Body):
    """Where to fork: with `message_id` the copy ends at that message, else at the thread's head."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message_id": _EXAMPLE_ID}]})

    message_id: Id | None = None


class AnswerBody(Body):
    """One answer: `approve` for an approval (`reason` says why not, `arguments` edits the call), else `value`."""

    question_id: Id
    approve: bool | None = None
    value: Annotated[Any, AfterValidator(_bounded)] = None
    reason: Annotated[str, Field(max_length=2000)] | None = None
    arguments: Annotated[dict[str, Any], AfterValidator(_bounded)] | None = None


class AnswersBody(Body):
    """Answers to open questions of one run."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"answers": [{"question_id": _EXAMPLE_ID, "approve": True}]}]},
    )

    answers: Annotated[list[AnswerBody], Field(min_length=1, max_length=64)]
