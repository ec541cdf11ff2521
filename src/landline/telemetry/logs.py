"""Logs: one line an event, JSON for machines and colours for people; no message content, no secrets (OBS-3, TRU-17)."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

__all__ = ["configure", "redacted"]

_SECRETS = re.compile(
    r"""
    (?P<key>ll_[0-9a-f]{4})[0-9a-f]{8,}                      # our own keys, whole or long parts
    | (?P<sk>\bsk-[A-Za-z0-9_-]{4})[A-Za-z0-9_-]{8,}           # the form most model providers use
    | (?P<jwt>\beyJ[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+
    | (?P<header>(?:authorization|x-api-key|cookie)["']?\s*[:=]\s*["']?(?:bearer\s+)?)[^\s"',}]+
    | (?P<field>(?:password|passwd|secret|api[_-]?key|token)["']?\s*[:=]\s*["']?)[^\s"',}&]{3,}
    | (?P<url>://[^/\s:@]+:)[^@\s/]+(?=@)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """Return `text` with everything that looks like a credential replaced, keeping what tells which one it was."""
    return _SECRETS.sub(lambda found: f"{next(kept for kept in found.groups() if kept is not None)}…", text)


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted(value)
    return event


def configure(*, level: str, form: Literal["auto", "pretty", "json"]) -> None:
    """Send every logger of the process to stderr in one form; `auto` is pretty on a terminal."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before the redactor, so that an exception's text passes through it too.
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message") if not pretty else _unchanged,
        _redact,
    ]
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The server's own start-up lines say what ours say; a request is not logged at all by default.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
    # Clients log whole addresses, and a key may stand in one.
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "mcp", "openai"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _unchanged(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
