"""What runs used: tokens, money, calls and seconds, as they are recorded and as they are told (TRU-9, TRU-10)."""

import msgspec

__all__ = ["Spent", "UsageRow"]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a run used of one model since it was last recorded.

    `model` None: nobody said which. `cost_usd` is the sum of the costs that are known, None when none is; `unpriced_calls` are
    the model calls whose cost nobody knows. `runs` is 1 when the run ended, `seconds` are of running time.
    """

    model: str | None = None
    runs: int = 0
    model_calls: int = 0
    unpriced_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Return the sum of both, under this one's model."""
        costs = [one.cost_usd for one in (self, other) if one.cost_usd is not None]
        return Spent(
            model=self.model,
            runs=self.runs + other.runs,
            model_calls=self.model_calls + other.model_calls,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=sum(costs) if costs else None,
            seconds=self.seconds + other.seconds,
        )


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Usage summed over a group; what it is not grouped by is None, and so is a key or model that nobody knows.

    Days are UTC. `cost_usd` sums the known costs, None when none is; `unpriced_calls` tells how many model calls are missing
    in it. `runs` counts runs on the day they ended.
    """

    day: str | None = None
    agent: str | None = None
    user: str | None = None
    key: str | None = None
    model: str | None = None
    runs: int = 0
    model_calls: int = 0
    unpriced_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
