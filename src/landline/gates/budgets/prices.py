"""What a model call costs: the owner's own prices first, then the table that genai-prices keeps, without a network.

The table takes about 32 MB, and its import took 2.5 to 3 s on a busy machine of two cores (2026), so it is read beside the
loop when the first call of a model is to be priced that nobody else has priced.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from landline.model.events import UsageReported

__all__ = ["Prices"]

logger = logging.getLogger(__name__)

ANY: Final = "*"
MILLION: Final = 1_000_000

Table = Callable[[UsageReported], float | None]


def _read_table() -> Table:
    from genai_prices import Usage, calc_price

    def cost(event: UsageReported) -> float | None:
        assert event.model is not None
        usage = Usage(input_tokens=event.input_tokens, output_tokens=event.output_tokens)
        try:
            return float(calc_price(usage, model_ref=event.model).total_price)
        except LookupError:
            return None

    cost(
        UsageReported(input_tokens=0, output_tokens=0, total_tokens=0, model="gpt-4o")
    )  # its data loads late
    return cost


class Prices:
    """Fills in `cost_usd`. `own` are US dollars for a million tokens in and out, by model; `*` is every other model."""

    def __init__(self, own: Mapping[str, Sequence[float]]) -> None:
        self._own = dict(own)
        self._table: Table | None = None
        self._reading = asyncio.Lock()
        self._unknown: set[str] = set()

    async def __call__(self, event: UsageReported) -> UsageReported:
        """Return the event with its cost: by the owner's price, as the framework said, or by the table; else without."""
        price = self._own.get(event.model or "")
        if price is None and event.cost_usd is None:
            price = self._own.get(ANY)
        if price is not None:
            cost = (event.input_tokens * price[0] + event.output_tokens * price[1]) / MILLION
            return msgspec.structs.replace(event, cost_usd=cost)
        if event.cost_usd is not None or event.model is None:
            return event
        return msgspec.structs.replace(event, cost_usd=self._known((await self._ready())(event), event.model))

    async def _ready(self) -> Table:
        if self._table is None:
            async with self._reading:
                if self._table is None:
                    self._table = await asyncio.to_thread(_read_table)
        return self._table

    def _known(self, cost: float | None, model: str) -> float | None:
        if cost is None and model not in self._unknown and len(self._unknown) < 1_000:
            self._unknown.add(model)
            logger.warning("the price of %s is unknown; give it in the setting `prices`", model)
        return cost
