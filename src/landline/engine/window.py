"""The part of a thread that an agent is given (THR-7): the last messages, or the last turns within a budget of tokens.

Tokens are estimated. A count would need each model's own tokenizer, and what an agent is given must not hang on whether
one is installed. The estimate is a quarter of a message's UTF-8 bytes: OpenAI's rule of thumb is four characters of
English for a token, and bytes rather than characters, because a script of three bytes a character has far fewer than four
characters in a token. It is right within a factor, not within a percent: code, numbers and JSON take more than it says. A
file or image counts 1,000: for one image providers take from 85 tokens (OpenAI, low detail) to about 1,600 (Anthropic,
the largest it does not shrink), and its size is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from landline.model.events import encode
from landline.model.messages import FilePart, ImagePart, Message, TextPart

__all__ = ["Window", "estimated_tokens"]

BYTES_PER_TOKEN = 4
FILE_TOKENS = 1_000
FIRST_READ = 64
MORE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """How much of a branch is given; None is all of it. `besides`: its last messages, which are given in any case."""

    messages: int | None = None
    tokens: int | None = None
    besides: int = 0

    @property
    def most(self) -> int | None:
        """How many messages there can be at most, None when that depends on what is in them."""
        if self.messages is not None:
            return self.messages + self.besides
        return None if self.tokens is None else self.tokens + self.besides

    def reads(self) -> "list[int | None]":
        """How many messages to read, at the first try and at each further one while `filled` says no.

        A budget of tokens may be filled by few messages, so it begins with few: what is read is bounded by what is
        given, not by the length of the thread.
        """
        if self.tokens is None or self.most is None:
            return [self.most]
        sizes: list[int | None] = []
        size = FIRST_READ
        while size < self.most:
            sizes.append(size)
            size *= MORE
        return [*sizes, self.most]

    def filled(self, branch: Sequence[Message]) -> bool:
        """Tell whether messages before these cannot be in the window."""
        if self.tokens is None:
            return True
        return sum(map(estimated_tokens, self._before(branch))) > self.tokens

    def of(self, branch: Sequence[Message]) -> Sequence[Message]:
        """Return the end of `branch` that is in the window."""
        end = start = len(branch) - min(self.besides, len(branch))
        oldest = 0 if self.messages is None else max(0, end - self.messages)
        if self.tokens is None:
            return branch[oldest:]
        left = self.tokens
        for at in range(end - 1, oldest - 1, -1):
            left -= estimated_tokens(branch[at])
            if left < 0:
                break
            if _begins_a_turn(branch, at):
                start = at
        return branch[start:]

    def _before(self, branch: Sequence[Message]) -> Sequence[Message]:
        return branch[: max(0, len(branch) - self.besides)]


def _begins_a_turn(branch: Sequence[Message], at: int) -> bool:
    # A user's message within a run was given to it while it ran: calls before it belong to the same turn.
    if branch[at].role != "user":
        return False
    return at == 0 or branch[at].run_id is None or branch[at - 1].run_id != branch[at].run_id


def estimated_tokens(message: Message) -> int:
    """Return about how many tokens a model takes for `message`, at least 1; see this module for how that is found."""
    size, files = 0, 0
    for part in message.parts:
        if isinstance(part, TextPart):
            size += len(part.text) if part.text.isascii() else len(part.text.encode(errors="replace"))
        elif isinstance(part, FilePart | ImagePart):
            files += 1
        else:
            size += len(encode(part))
    return max(1, -(-size // BYTES_PER_TOKEN)) + files * FILE_TOKENS
