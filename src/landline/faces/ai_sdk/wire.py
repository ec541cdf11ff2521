"""The bodies that `useChat` sends: the chat's id, its messages, and what set the request off.

A field of the request itself that is not known is refused. Messages are read leniently: the protocol always sends the
whole chat, of which only the last turn is taken (TRU-19).
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from landline.web.faults import Countable
from landline.web.strict_json import canonical

__all__ = ["ChatBody", "ClientToolBody", "SettingsBody", "UIMessageBody"]

MAX_INPUT_CHARS = 200_000
MAX_PARTS = 64
MAX_MESSAGES = 10_000
MAX_CONTEXT_BYTES = 64 * 1024

ChatId = Annotated[str, Field(min_length=1, max_length=256)]
MessageId = Annotated[str, Field(min_length=1, max_length=256)]


def _bounded(value: Any) -> Any:
    if len(canonical(value)) > MAX_CONTEXT_BYTES:
        raise ValueError(f"this may have {MAX_CONTEXT_BYTES} bytes as JSON")
    return value


class _Body(Countable):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class UIMessageBody(BaseModel):
    """A UI message; its parts are read when it is the one that counts."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: Annotated[str, Field(max_length=256)] = ""
    role: Literal["system", "user", "assistant"]
    parts: list[dict[str, Any]]


class ClientToolBody(_Body):
    """A tool that the client carries out; `parameters` (or `inputSchema`) is the JSON schema of its input."""

    description: Annotated[str, Field(max_length=10_000)] | None = None
    parameters: Annotated[
        dict[str, Any],
        Field(default_factory=dict[str, Any], validation_alias=AliasChoices("parameters", "inputSchema")),
        AfterValidator(_bounded),
    ]


class SettingsBody(_Body):
    """Settings for the model; which of them an agent takes is in its `settings`."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class ChatBody(_Body):
    """What `DefaultChatTransport` posts; `message` alone stands for `messages` with one entry.

    `tools`, `settings` and `context` are what the app adds to the transport's `body`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "chat-1",
                    "trigger": "submit-message",
                    "messages": [
                        {
                            "id": "m1",
                            "role": "user",
                            "parts": [{"type": "text", "text": "What is on my list?"}],
                        }
                    ],
                }
            ]
        },
    )

    id: ChatId
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    messages: Annotated[list[UIMessageBody], Field(max_length=MAX_MESSAGES)] | None = None
    message: UIMessageBody | None = None
    message_id: MessageId | None = Field(None, alias="messageId")
    tools: Annotated[dict[str, ClientToolBody], Field(max_length=128)] | None = None
    settings: SettingsBody | None = None
    context: Annotated[Any, AfterValidator(_bounded)] = None
