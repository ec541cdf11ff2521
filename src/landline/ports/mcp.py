"""An MCP server as the owner of an agent named it. Only code and configuration make one; no request can."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from landline.model.callers import Caller

__all__ = ["HeadersOf", "McpServer"]

HeadersOf = Callable[[Caller], Mapping[str, str] | Awaitable[Mapping[str, str]]]
"""Headers made for each caller, so that a server sees whose run it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class McpServer:
    """A server over HTTP (`url`) or one that is started from its `command`; exactly one of the two is set.

    `tools`: the server's own names of the tools to take; None takes all. `prefix`: stands before their names and a `_`.
    `approval` and `idempotent`: all of its tools or those named; what `landline.agent(tools=...)` says of a tool by the
    name the model sees wins. Times are seconds. `max_result_bytes`: a longer result fails.
    """

    name: str
    url: str | None = field(default=None, repr=False)
    command: Sequence[str] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    headers: Mapping[str, str] | HeadersOf | None = field(default=None, repr=False)
    tools: Collection[str] | None = None
    prefix: str | None = None
    approval: bool | Collection[str] = False
    idempotent: bool | Collection[str] = False
    connect_timeout_s: float = 10.0
    call_timeout_s: float = 60.0
    max_result_bytes: int = 256 * 1024

    @property
    def address(self) -> str:
        """Where it is, as logs may say it: without credentials and query, and only the program of a command."""
        if self.url is None:
            return self.command[0]
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
