"""The bodies the AG-UI face takes. Members that the protocol does not describe are passed over, as it demands."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from landline.web.faults import Countable
from landline.web.strict_json import canonical

__all__ = [
    "MAX_INPUT_CHARS",
    "MAX_PARTS",
    "CancelBody",
    "ContentPart",
    "ContextBody",
    "DataSource",
    "FileSource",
    "MediaPart",
    "MessageBody",
    "ResumeBody",
    "RunBody",
    "TextPart",
    "ToolBody",
    "UrlSource",
]

MAX_INPUT_CHARS = 200_000
MAX_PARTS = 64
MAX_PROPS_BYTES = 64 * 1024

Id = Annotated[str, Field(min_length=1, max_length=256)]


def _bounded(value: Any) -> Any:
    if len(canonical(value)) > MAX_PROPS_BYTES:
        raise ValueError(f"this may have {MAX_PROPS_BYTES} bytes as JSON")
    return value


class Body(Countable):
    """What all bodies share: no silent conversion; camel case, or the attribute names that Python clients send."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        alias_generator=to_camel,
        protected_namespaces=(),
        validate_by_alias=True,
        validate_by_name=True,
    )


class MessageBody(Body):
    """A message as the client shows it; only what is new is read further, so only that is checked further."""

    id: Annotated[str, Field(min_length=1, max_length=512)]
    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Any = None
    tool_call_id: Annotated[str, Field(max_length=512)] | None = None
    error: Annotated[str, Field(max_length=MAX_INPUT_CHARS)] | None = None


class ToolBody(Body):
    """A tool that the application carries out; `parameters` is a JSON schema."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: Annotated[str, Field(max_length=16_384)]
    parameters: dict[str, Any] | None = None


class ContextBody(Body):
    """Something the application wants the agent to know."""

    description: Annotated[str, Field(max_length=16_384)]
    value: Annotated[str, Field(max_length=MAX_INPUT_CHARS)]


class ResumeBody(Body):
    """The answer to one interrupt."""

    interrupt_id: Id
    status: Literal["resolved", "cancelled"]
    payload: Any = None


class RunBody(Body):
    """RunAgentInput: what opens every exchange."""

    thread_id: Id
    run_id: Id
    messages: Annotated[list[MessageBody], Field(max_length=10_000)]
    parent_run_id: Id | None = None
    protocol_version: Annotated[str, Field(max_length=32)] | None = None
    state: Any = None
    tools: Annotated[list[ToolBody], Field(max_length=128)] | None = None
    context: Annotated[list[ContextBody], Field(max_length=128)] | None = None
    forwarded_props: Annotated[Any, AfterValidator(_bounded)] = None
    resume: Annotated[list[ResumeBody], Field(max_length=128)] | None = None


class CancelBody(Body):
    """Which run to stop; without `runId` the thread's newest."""

    thread_id: Id
    run_id: Id | None = None


class TextPart(Body):
    """Text of a message."""

    type: Literal["text"]
    text: str


class DataSource(Body):
    """Bytes in base64."""

    type: Literal["data"]
    value: str
    mime_type: Annotated[str, Field(max_length=255)] = ""


class UrlSource(Body):
    """Bytes somewhere else; only `data:` URLs are taken."""

    type: Literal["url"]
    value: str


class FileSource(Body):
    """A file that was uploaded before; the caller's own ids at provider `landline` are taken."""

    type: Literal["file"]
    value: Annotated[str, Field(max_length=512)]
    provider: Annotated[str, Field(max_length=128)] | None = None


class MediaPart(Body):
    """An image, or another file."""

    type: Literal["image", "audio", "video", "document"]
    source: Annotated[DataSource | UrlSource | FileSource, Field(discriminator="type")]
    metadata: Any = None


ContentPart = Annotated[TextPart | MediaPart, Field(discriminator="type")]
