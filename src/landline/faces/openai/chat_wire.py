"""The body of a chat completion; a field that is not here is refused, and so is one that nobody would honour.

Types are strict: a number in quotes is text. What may be said twice over the years (`max_tokens`) is in both spellings.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from landline.web.faults import Countable

__all__ = [
    "AssistantMessage",
    "ChatBody",
    "FunctionMessage",
    "JsonSchemaFormat",
    "Message",
    "NamedChoice",
    "SystemMessage",
    "ToolMessage",
    "UserMessage",
    "UserPart",
]

MAX_MESSAGES = 2_000
MAX_PARTS = 256
MAX_TOOLS = 128

Name = Annotated[str, Field(min_length=1, max_length=128)]
CallId = Annotated[str, Field(min_length=1, max_length=256)]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Body(Countable):
    """What all parts share: no unknown field, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class TextPart(Body):
    """Text."""

    type: Literal["text"]
    text: str


class RefusalPart(Body):
    """What an assistant would not say."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(Body):
    """An image as a data URL; `detail` is for the model's own images and changes nothing here."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Body):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageUrl


class FileContent(Body):
    """A file: its data in base64 or as a data URL, or the id of one of the caller's."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Body):
    """A file."""

    type: Literal["file"]
    file: FileContent


class AudioPart(Body):
    """Sound, which no agent here takes."""

    type: Literal["input_audio"]
    input_audio: Any = None


Text = str | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]
UserPart = TextPart | ImagePart | FilePart | AudioPart


class SystemMessage(Body):
    """Instructions of the client."""

    role: Literal["system", "developer"]
    content: Text
    name: Name | None = None


class UserMessage(Body):
    """What the user says; `name` is passed over."""

    role: Literal["user"]
    content: (
        str
        | Annotated[
            list[Annotated[UserPart, Field(discriminator="type")]], Field(min_length=1, max_length=MAX_PARTS)
        ]
    )
    name: Name | None = None


class CalledFunction(BaseModel):
    """The function of a call, its arguments as JSON text."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str = ""


class ToolCall(BaseModel):
    """A call an assistant made."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: CallId
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(BaseModel):
    """An earlier answer, sent back as it came: fields that an answer may have and a history does not need are passed over."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["assistant"]
    content: (
        str
        | Annotated[
            list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]], Field(max_length=MAX_PARTS)
        ]
        | None
    ) = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = None
    function_call: None = None


class ToolMessage(Body):
    """What a tool of the client gave back."""

    role: Literal["tool"]
    tool_call_id: CallId
    content: Text
    name: Name | None = None


class FunctionMessage(BaseModel):
    """The older form of a tool's result, which is refused."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["function"]


Message = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


class Function(Body):
    """A function of the client; `strict` is passed over: its arguments come as the agent made them."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool that the client carries out."""

    type: Literal["function"]
    function: Function


class ChosenFunction(Body):
    """The function that must be called."""

    name: ToolName


class NamedChoice(Body):
    """The tool that must be called."""

    type: Literal["function"]
    function: ChosenFunction


class TextFormat(Body):
    """An answer in words."""

    type: Literal["text"]


class JsonObjectFormat(Body):
    """An answer that is some JSON object."""

    type: Literal["json_object"]


class JsonSchema(Body):
    """The schema an answer fits; it is always held to it, so `strict` adds nothing."""

    name: ToolName
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Body):
    """An answer that fits a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


Format = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(Body):
    """How to stream; no padding is ever added, so that asking for none changes nothing."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatBody(Body):
    """A request. Fields of the type Any are taken at their default only; see `decode`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "notes", "messages": [{"role": "user", "content": "What is on my list?"}]}]
        },
    )

    model: Name
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, Field(max_length=64)],
                Annotated[str, Field(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None

    # Passed over, as it changes no answer by the wire's own words.
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    store: bool | None = None
    seed: int | None = None

    # Taken at their default only.
    n: Any = None
    top_p: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    logit_bias: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    stop: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    moderation: Any = None
    reasoning_effort: Any = None
    verbosity: Any = None
    service_tier: Any = None
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None
