"""What a model has said so far, and whether that is all of it."""

import msgspec

from landline.adapters.remote.failures import failed
from landline.model.errors import AgentFailed
from landline.model.events import UsageReported

__all__ = ["Spoken", "Tokens"]

MAX_TEXT = 16 * 1024 * 1024


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of one answer."""

    input: int
    output: int

    def event(self, model: str | None) -> UsageReported:
        """Return them as an event."""
        return UsageReported(
            input_tokens=self.input,
            output_tokens=self.output,
            total_tokens=self.input + self.output,
            model=model,
        )


class Spoken(msgspec.Struct):
    """An answer as it comes in. `finished`: the endpoint said why it ended; `ended`: nothing more comes."""

    text: str = ""
    reasoning: str = ""
    model: str | None = None
    usage: Tokens | None = None
    reason: str | None = None
    ended: bool = False

    @property
    def finished(self) -> bool:
        """Whether the answer proved its end."""
        return self.reason is not None

    def say(self, text: str) -> tuple[str, str] | None:
        """Add text."""
        self.text += text
        return self._told("text", text)

    def think(self, text: str) -> tuple[str, str] | None:
        """Add reasoning."""
        self.reasoning += text
        return self._told("reasoning", text)

    def _told(self, kind: str, text: str) -> tuple[str, str] | None:
        if len(self.text) + len(self.reasoning) > MAX_TEXT:
            raise failed("invalid_response", model=True)
        return (kind, text) if text else None

    def check(self) -> None:
        """Refuse an answer that is not whole (RES-5).

        Raises:
            AgentFailed: It broke off, was cut at its length, was filtered, or asks for tools nobody offered.
        """
        match self.reason:
            case "stop":
                return
            case None:
                raise failed("truncated", model=True)
            case "length":
                raise AgentFailed(
                    "The model's answer reached its length limit before its end.", code="model_truncated"
                )
            case "content_filter" | "refusal":
                raise AgentFailed(
                    "The model provider's content filter stopped the answer.", code="model_refused"
                )
            case _:
                raise failed("invalid_response", model=True)
