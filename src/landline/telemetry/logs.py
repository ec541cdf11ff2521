"""Logs: one line an event, JSON for machines and colours for people; no message content, no secrets (OBS-3, TRU-17)."""

import contextlib
import logging
import sys
import threading
from collections.abc import MutableMapping
from functools import cached_property
from types import TracebackType
from typing import Any, Literal

from landline.model.redaction import redacted, redacted_data

__all__ = ["configure", "redacted"]

QUIET = (
    "httpx", "httpx2", "httpcore", "httpcore2", "mcp", "openai", "anthropic", "websockets", "python_multipart",
    "urllib3", "aiohttp", "h2", "hpack", "sse_starlette",
)  # fmt: skip
"""Clients and parsers that log whole addresses, headers or bodies when asked for detail."""


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if not name.startswith("_"):  # the formatter's own, which it takes out again
            event[name] = redacted_data(value)
    return event


class _SafeHandler(logging.StreamHandler[Any]):
    """Says that a line could not be written, without the line: the library's own way prints its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        kind = sys.exc_info()[0]
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            self.stream.write(
                f"a line of {record.name} could not be logged: {kind.__name__ if kind else 'error'}\n"
            )


class _LateFormatter(logging.Formatter):
    """Makes the real formatter for the first line: its library brings Rich along, and a quiet start writes nothing."""

    def __init__(self, *, pretty: bool) -> None:
        super().__init__()
        self._pretty = pretty

    @cached_property
    def _made(self) -> logging.Formatter:
        return _formatter(pretty=self._pretty)

    def format(self, record: logging.LogRecord) -> str:
        return self._made.format(record)


def _formatter(*, pretty: bool) -> logging.Formatter:
    import structlog

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
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def configure(*, level: str, form: Literal["auto", "pretty", "json"]) -> None:
    """Send every logger of the process to stderr in one form; `auto` is pretty on a terminal."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    handler = _SafeHandler(sys.stderr)
    handler.setFormatter(_LateFormatter(pretty=pretty))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The server's own start-up lines say what ours say; a request is not logged at all by default.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    _catch_the_rest()


def _catch_the_rest() -> None:
    """Send what Python would print to stderr by itself through the log: warnings, and errors that nobody caught."""
    logging.captureWarnings(True)
    uncaught = logging.getLogger("landline.uncaught")

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            uncaught.error("the process failed", exc_info=(kind, error, trace))

    def of_thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
            uncaught.error("a thread failed", exc_info=found.exc_value)

    def of_nobody(found: Any) -> None:
        if found.exc_value is not None:
            uncaught.error("an error could not be raised", exc_info=found.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = of_process, of_thread, of_nobody


def _unchanged(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
