"""What a scripted model says: the replies a script is made of, as frozen data.

Knows no wire and no clock. `plan` turns a reply into parts, `chat` and `responses` into bytes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Finish",
    "Reasoning",
    "Reply",
    "Structured",
    "Text",
    "ToolCall",
    "ToolCalls",
    "Usage",
    "filler",
    "split",
]

Finish = Literal["stop", "length", "content_filter"]

_WORD = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The token figures a reply reports, in place of the counted ones."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What every reply may set; a field left None takes the server's default.

    Args:
        interval_s: Pause between two tokens.
        first_token_after_s: Pause between the head of the response and its first token.
        usage: Figures to report; counted from the words sent and received when None.
        model: Model name to report; the one asked for when None.
        finish: Why the model stopped. Tool calls that "stop" report `tool_calls`, as the real API does;
            the Responses API says "incomplete" for the other two.
    """

    interval_s: float | None = None
    first_token_after_s: float | None = None
    usage: Usage | None = None
    model: str | None = None
    finish: Finish = "stop"


@dataclass(frozen=True)
class Text(Reply):
    """A text answer, streamed word by word, or in exactly `tokens` pieces."""

    text: str
    tokens: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool. Arguments given as a string go out as they are, JSON or not."""

    name: str
    arguments: Mapping[str, object] | str = field(default_factory=dict[str, object])
    id: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ToolCalls(Reply):
    """Tool calls, parallel when several, streamed in fragments of their arguments, after `text` if any."""

    calls: Sequence[ToolCall]
    text: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Reasoning(Reply):
    """Thinking, then the answer. What is set here overrides the answer's timing, usage and finish."""

    text: str
    answer: Reply = field(kw_only=True)


@dataclass(frozen=True)
class Structured(Reply):
    """An object, in the form the client asked for.

    JSON text when the request has a JSON response format; otherwise a call of the output tool: `tool` if
    named here, else the one `tool_choice` forces, else the only tool when a call is required, else a
    `final_result` tool. JSON text when none of these is offered.
    """

    value: Mapping[str, object]
    tool: str | None = field(default=None, kw_only=True)


def split(text: str, tokens: int | None = None) -> tuple[str, ...]:
    """Cut a text into the pieces that are streamed; joined they are the text again.

    Raises:
        ValueError: The text has fewer characters than pieces were asked for.
    """
    if tokens is None:
        return tuple(_WORD.findall(text))
    if not 0 < tokens <= len(text):
        raise ValueError(f"a text of {len(text)} characters cannot be cut into {tokens} tokens")
    return tuple(text[i * len(text) // tokens : (i + 1) * len(text) // tokens] for i in range(tokens))


def filler(tokens: int) -> str:
    """A text of that many words, the same on every call; each word tells its place."""
    return " ".join(f"t{i}" for i in range(tokens))
