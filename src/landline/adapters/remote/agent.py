"""What `landline.remote(...)` returns: where a remote agent is and how it is spoken to. Data only; nothing is opened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

__all__ = ["PROTOCOLS", "Protocol", "RemoteAgent"]

Protocol = Literal["landline", "openai-chat", "openai-responses", "a2a", "fastagency"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True, kw_only=True)
class RemoteAgent:
    """An agent on another server.

    Args:
        url: The server's address, with the path its protocol is mounted under.
        protocol: What is spoken there.
        agent: The agent's name there; for OpenAI-compatible endpoints the model, for FastAgency the workflow.
        headers: Sent to that server's origin and nowhere else; credentials belong here, never into `url`.
        settings: Settings of a run that are passed on; others are refused before the run is accepted.
        silence_s: Longest wait for the next byte of an answer, in seconds.

    Raises:
        ValueError: The URL is no http(s) address or carries a user, or the protocol needs a name and has none.
    """

    url: str
    protocol: Protocol = "landline"
    agent: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    settings: tuple[str, ...] = ()
    silence_s: float = 120.0

    def __post_init__(self) -> None:
        """Check what would otherwise fail in the first run."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a remote agent's url begins with http:// or https:// and names a host")
        if "@" in parts.netloc:
            raise ValueError("a remote agent's url carries no user or password: use token= or headers=")
        if parts.query or parts.fragment:
            raise ValueError("a remote agent's url has no query and no fragment")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol!r}: use one of {', '.join(PROTOCOLS)}")
        if self.agent is None and self.protocol in ("openai-chat", "openai-responses", "fastagency"):
            what = "workflow" if self.protocol == "fastagency" else "model"
            raise ValueError(f"a remote agent of protocol {self.protocol!r} needs agent=, the {what}'s name")

    @property
    def base(self) -> str:
        """The address without its last slash."""
        return self.url.rstrip("/")

    @property
    def origin(self) -> str:
        """Scheme, host and port: what the owner trusts by naming it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def name(self) -> str:
        """The name it gets when its owner gives none."""
        named = self.agent or urlsplit(self.url).hostname or "remote"
        return re.sub(r"[^A-Za-z0-9_-]", "_", named)[:64]
