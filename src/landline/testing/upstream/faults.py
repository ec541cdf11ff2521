"""The ways an upstream fails, as replies: each one spoils the answer it carries.

A fault may be put into a script alone (it then spoils the echo), around an answer, and around another fault:
`Status(429, first=1, answer=Cut(after_tokens=2, first=1, answer=Text("done")))` refuses once, cuts once, then
answers. Attempts are counted per identical request body: one conversation's retries do not use up another's
faults.
"""

from dataclasses import dataclass, field

from landline.testing.upstream.replies import Reply

__all__ = [
    "BadArguments",
    "Cut",
    "CutClean",
    "Fault",
    "Html",
    "Malformed",
    "Partial",
    "Stall",
    "Status",
    "StreamError",
]


@dataclass(frozen=True, kw_only=True)
class Fault(Reply):
    """What all faults share.

    Args:
        first: How many attempts fail before the answer comes through; every attempt when None.
        answer: What is spoilt, and what comes after the failing attempts; the echo when None.
    """

    first: int | None = None
    answer: Reply | None = None


@dataclass(frozen=True)
class Status(Fault):
    """An HTTP error with OpenAI's error body; `retry_after` (seconds) becomes the header of that name."""

    status: int
    retry_after: float | None = field(default=None, kw_only=True)
    code: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Html(Fault):
    """An HTML page with status 200, as captive portals and misrouted proxies send."""

    page: str = "<!doctype html><html><body><h1>Welcome</h1></body></html>"


@dataclass(frozen=True, kw_only=True)
class BadArguments(Fault):
    """The answer's tool calls carry this text for arguments; the answer must call tools."""

    arguments: str = '{"unfinished": '


@dataclass(frozen=True, kw_only=True)
class Partial(Fault):
    """A fault after that many tokens, never later than before the finish reason.

    Asked without streaming, `Stall` never answers, `Cut` breaks off within the body, `CutClean` answers the
    first tokens without a finish reason (Responses: status "in_progress"), `Malformed` ends the JSON half
    way, and `StreamError` is a plain 500.
    """

    after_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Stall(Partial):
    """Falls silent and keeps the socket open until the client, or the server's end, closes it."""


@dataclass(frozen=True, kw_only=True)
class Cut(Partial):
    """Closes the TCP connection; the chunked body is left without its end."""


@dataclass(frozen=True, kw_only=True)
class CutClean(Partial):
    """Ends the HTTP body properly, without finish reason, usage and terminal event: HTTP tells of no loss."""


@dataclass(frozen=True, kw_only=True)
class Malformed(Partial):
    """Sends one chunk of broken JSON, then goes on to a proper end: a client that skips it has a hole."""


@dataclass(frozen=True, kw_only=True)
class StreamError(Partial):
    """Reports an error inside the stream (an `error` object; Responses: `response.failed`), then ends it."""

    message: str = "The model is overloaded."
