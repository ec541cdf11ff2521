"""The bodies that the tutorials' routes take and give; a field they do not know is refused.

What would forge a history, or name another user, is refused with its reason (TRU-4, TRU-19).
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from landline.web.faults import Countable
from landline.web.strict_json import canonical

__all__ = [
    "MAX_LESSON_CHARS",
    "MAX_PATTERN_CHARS",
    "AgentChatBody",
    "Body",
    "ChatBody",
    "ErrorBody",
    "MessageBody",
    "MultiAgentBody",
    "QueryBody",
    "SessionBody",
    "SocketBody",
    "StreamChatBody",
]

MAX_LESSON_CHARS: Final = 5_000
MAX_PATTERN_CHARS: Final = 10_000
MAX_CONTEXT_BYTES: Final = 64 * 1024

_HISTORY: Final = "the server keeps the history; a request may not bring one"
_USER: Final = "no field of a body names the user; the credential does"
_REFUSED: Final = {
    "conversation_history": _HISTORY,
    "history": _HISTORY,
    "message_history": _HISTORY,
    "messages": _HISTORY,
    "user_id": _USER,
    "user_name": _USER,
    "approve": "an approval is an answer to a question of the server's: POST /api/v1/runs/{id}/answers",
    "approvals": "an approval is an answer to a question of the server's: POST /api/v1/runs/{id}/answers",
    "tool_results": "results of tools come from the server",
    "tools": "tools belong to the agent",
}


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    if len(canonical(value)) > MAX_CONTEXT_BYTES:
        raise ValueError(f"this may have {MAX_CONTEXT_BYTES} bytes as JSON")
    return value


Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
LessonText = Annotated[str, Field(min_length=1, max_length=MAX_LESSON_CHARS)]
PatternText = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)]
AgentName = Annotated[
    Name | None,
    Field(
        validation_alias=AliasChoices("agent", "agent_type"),
        description="Which agent; may be left out on a server with one, and on a session that has its own.",
    ),
]


class Body(Countable):
    """What all bodies share: no unknown field, no silent conversion, and a reason for what is refused on purpose."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _with_reasons(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for name, why in _REFUSED.items():
                if name in given and name not in cls.model_fields:
                    raise PydanticCustomError("refused", "{name}: {why}", {"name": name, "why": why})
        return given  # pyright: ignore[reportUnknownVariableType] - any JSON


class ChatBody(Body):
    """One message of the lesson's chat; without `session_id` it opens a session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "What is RAG?"}]})

    message: LessonText = Field(description="What the user says.")
    session_id: Id | None = Field(None, description="A session of the caller's; an unknown one is 404.")
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        None, description="Left out: the agent's own."
    )
    agent: AgentName = None


class SessionBody(Body):
    """A session to open."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"agent": "notes"}]})

    agent: AgentName = None


class QueryBody(Body):
    """A query on a thread; the agent is the thread's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "What is my balance?", "thread_id": "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"}
            ]
        }
    )

    query: PatternText
    thread_id: Id


class MessageBody(Body):
    """A message without a session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "My invoice is wrong."}]})

    message: PatternText


class MultiAgentBody(MessageBody):
    """One message for several agents; without `agents` for every one that the caller may use."""

    agents: Annotated[list[Name], Field(min_length=1, max_length=16)] | None = None


class AgentChatBody(MessageBody):
    """A message for the agent that is named; `context` is for agents that take one from clients."""

    agent: Name = Field(validation_alias=AliasChoices("agent_type", "agent"))
    context: Annotated[dict[str, Any], AfterValidator(_bounded)] | None = None


class StreamChatBody(MessageBody):
    """A message whose answer is streamed."""

    agent: AgentName = None


class SocketBody(Body):
    """What a socket's client says: a message, or that the running one shall stop."""

    message: PatternText | None = None
    action: Annotated[str, Field(pattern="^cancel$")] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "SocketBody":
        if (self.message is None) == (self.action is None):
            raise PydanticCustomError("one_of", "give either `message` or `action`")
        return self


class ErrorBody(BaseModel):
    """Every error: what it is, and what to know about it; for a body that does not fit, a list of faults."""

    error: str
    detail: str | list[dict[str, Any]]
