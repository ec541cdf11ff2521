"""What is known of an agent without running it (AGT-2)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from landline.model.redaction import redacted

__all__ = ["AgentInfo", "Capability", "LoadError", "ToolInfo"]

Capability = str
"""What an adapter can do for an agent, by name: `streaming`, `reasoning`, `tools`, `approvals`, `structured_output`,
`partial_output`, `native_history`, `context`, `settings`, `cancel`, `tool_resume`, `files`, `images`, `steer`,
`handoffs`, `ask`, `mcp`, `client_tools` (tools that the client carries out), `output_schema` (an answer that fits the
client's schema), `carried_history` (a history that the client carries). What is not listed is refused with 422."""


class ToolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of an agent: `parameters` is its JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] = {}
    approval: bool = False
    idempotent: bool = False


class LoadError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an agent could not be loaded; `where` is file:line in the user's own code (AGT-4)."""

    message: str
    where: str | None = None

    def __post_init__(self) -> None:
        """Cut what looks like a credential: a module's own words may hold one (TRU-17)."""
        safe = redacted(self.message)
        if safe != self.message:
            force_setattr(self, "message", safe)


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as a caller sees it.

    `input_schema` says what text it takes and `output_schema` what it answers; {} says nothing. `limits` are its own:
    `deadline_s` and `idle_timeout_s` in seconds, `history_messages`, `history_tokens`; one that is not there is the
    server's, or none.
    """

    name: str
    title: str
    framework: str
    version: str
    description: str | None = None
    starters: Sequence[str] = ()
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}
    tools: Sequence[ToolInfo] = ()
    settings: Sequence[str] = ()
    limits: dict[str, Any] = {}
    scopes: Sequence[str] = ()
    capabilities: Sequence[Capability] = ()
    labels: dict[str, str] = {}
    error: LoadError | None = None
