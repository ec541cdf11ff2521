"""The bodies of the Responses wire. A parameter that is not here is refused by name; one that is here either works, or
is refused with the values that do, in `responses_settings`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from landline.web.faults import Countable

__all__ = [
    "CompactBody",
    "ConversationBody",
    "ConversationPatch",
    "ResponseBody",
]

MAX_ITEMS = 1000
MAX_TEXT_CHARS = 200_000

_Id = Annotated[str, Field(min_length=1, max_length=128)]
_Label = Annotated[str, Field(max_length=512)]
_Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
Items = Annotated[list[dict[str, Any]], Field(max_length=MAX_ITEMS)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class Body(Countable):
    """What all bodies share: no unknown parameter, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class FunctionTool(Body):
    """A tool that the client carries out. Other kinds of tools are the agent's own business and refused."""

    type: Literal["function"]
    name: _Name
    description: Annotated[str, Field(max_length=16_384)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: Literal[False] | None = None


class TextFormat(Body):
    """What the answer's text must be."""

    type: Literal["text", "json_schema", "json_object"]
    name: _Name | None = None
    description: Annotated[str, Field(max_length=16_384)] | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextConfig(Body):
    """How the answer's text is written."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Body):
    """How the model thinks."""

    effort: Annotated[str, Field(max_length=32)] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(Body):
    """Options of a stream; padding is never sent, which the wire leaves to the server."""

    include_obfuscation: bool | None = None


class ConversationRef(Body):
    """A conversation by its id."""

    id: _Id


class ResponseBody(Body):
    """What a response is asked for with."""

    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    input: Text | Items | None = None
    instructions: Text | None = None
    previous_response_id: _Id | None = None
    conversation: _Id | ConversationRef | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    text: TextConfig | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: _Probability | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning: ReasoningConfig | None = None
    include: Annotated[list[str], Field(max_length=32)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    service_tier: str | None = None
    safety_identifier: _Label | None = None
    prompt_cache_key: _Label | None = None
    prompt_cache_retention: _Label | None = None
    user: _Label | None = None


class CompactBody(Body):
    """What is to be compacted."""

    model: Annotated[str, Field(min_length=1, max_length=128)]
    input: Text | Items | None = None
    previous_response_id: _Id | None = None
    instructions: Text | None = None
    prompt_cache_key: _Label | None = None
    prompt_cache_retention: _Label | None = None


class ConversationBody(Body):
    """A conversation to make."""

    metadata: Metadata | None = None
    items: Annotated[list[dict[str, Any]], Field(max_length=20)] | None = None


class ConversationPatch(Body):
    """What of a conversation is to change."""

    metadata: Metadata | None
