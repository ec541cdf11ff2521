"""Guards on content (TRU-21): what looks at text on its way to an agent, from it, and to and from its tools.

A guard sees text and says what is wrong with it and where. Holding a stream back until a guard can judge it, taking
text out of it and stopping a run are done once for all guards, in `landline.gates.guards`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["Action", "Guard", "Span", "Stage", "Verdict"]

Action = Literal["allow", "flag", "redact", "block"]

Stage = Literal["input", "output", "tool_input", "tool_output"]
"""`input`: what users and clients say. `output`: what the agent brings to its log. `tool_input`, `tool_output`: the
arguments and results of its tools.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A place in a text, from `start` up to `end` in characters; `label` says what is there, never its words."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a guard says of a text. `redact` without `spans` is of the whole text.

    `info` is JSON that everybody who follows the run may read; it holds nothing of the text.
    """

    action: Action = "allow"
    spans: Sequence[Span] = ()
    info: Any = None


class Guard(Protocol):
    """One guard; shared by all runs, it keeps nothing of one on itself."""

    @property
    def name(self) -> str:
        """The name, as `guard.tripped` tells it."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """Where it looks when the rule that names it does not say."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it judges text as a whole: it is asked about finished pieces only, each once, and gives no spans."""
        ...

    def settled(self, text: str, start: int) -> int:
        """Return up to where `text`, of which more will come, can be judged now: at least `start`.

        Nothing that it would find begins before this place and ends behind it, or could with any text that comes.
        """
        ...

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text` from `start`; what is before that is only told as its context. Spans begin at or after `start`.

        Raises:
            Unavailable: It cannot judge now.
        """
        ...
