"""What one run uses, from its events to the batch that they are written with (TRU-10)."""

from collections.abc import Sequence

import msgspec

from landline.model.events import Event, UsageReported
from landline.model.usage import Spent
from landline.ports.clock import Clock

__all__ = ["Meter", "spent_of"]


def spent_of(event: Event) -> Spent:
    """Return what an event tells of use: one model call, or one call of a tool."""
    if not isinstance(event, UsageReported):
        return Spent(tool_calls=1)
    return Spent(
        model=event.model,
        model_calls=1,
        unpriced_calls=int(event.cost_usd is None),
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cost_usd=event.cost_usd,
    )


class Meter:
    """One segment's meter: what was used since the last batch that told of any.

    Calls of tools, seconds and the run itself are counted under the model that answered last.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._since = clock, clock.steady()
        self._model: str | None = None
        self._used: dict[str | None, Spent] = {}

    def note(self, event: Event) -> None:
        """Take in a model call or a call of a tool."""
        spent = spent_of(event)
        self._model = spent.model or self._model
        self._add(spent)

    def _add(self, spent: Spent) -> None:
        spent = msgspec.structs.replace(spent, model=spent.model or self._model)
        before = self._used.get(spent.model)
        self._used[spent.model] = before.plus(spent) if before else spent

    def take(self) -> Sequence[Spent]:
        """Return what was used since the last time, with the seconds that went by; nothing when nothing was."""
        return self._taken(Spent()) if self._used else ()

    def end(self, model: str | None, *, runs: int) -> Sequence[Spent]:
        """As `take`, at the end of a segment; `model` is the one the agent names, `runs` 1 when its run has ended."""
        return self._taken(Spent(model=self._model or model, runs=runs))

    def _taken(self, more: Spent) -> Sequence[Spent]:
        now, since = self._clock.steady(), self._since
        self._add(msgspec.structs.replace(more, seconds=now - since))
        used, self._since, self._used = self._used, now, {}
        return list(used.values())
