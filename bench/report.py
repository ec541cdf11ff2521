"""What the rounds give: medians with their spread, ratios to the yardstick of the same round, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from bench.metrics import METRICS, Figures

__all__ = ["SCHEMA", "Round", "Row", "Value", "as_json", "pairs", "rows", "table"]

SCHEMA = 2
"""The version of the JSON; bench/report.schema.json describes it."""

Round = dict[str, dict[str, Figures]]
"""scenario -> target -> figures."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One figure over all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Value":
        """Return the middle and the ends of what the rounds gave."""
        return cls(median=median(values), low=min(values), high=max(values))

    @property
    def spread(self) -> float:
        """Half the distance of the ends."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric of one scenario; a ratio is to the target's own yardstick."""

    scenario: str
    metric: str
    figures: dict[str, Value]
    ratios: dict[str, Value] = field(default_factory=dict[str, Value])


def rows(rounds: Sequence[Round], yardsticks: Mapping[str, str]) -> list[Row]:
    """Return every metric that was measured, in the order of the scenarios; `yardsticks` has one for each target."""
    found = list[Row]()
    for scenario in dict.fromkeys(name for one in rounds for name in one):
        for metric in METRICS:
            figures = {t: Value.of(had) for t in yardsticks if (had := _values(rounds, scenario, metric, t))}
            ratios = {
                target: Value.of([mine / other for mine, other in both])
                for target, yardstick in yardsticks.items()
                if target != yardstick and (both := _comparable(rounds, scenario, metric, target, yardstick))
            }
            if figures:
                found.append(Row(scenario=scenario, metric=metric, figures=figures, ratios=ratios))
    return found


def _values(rounds: Sequence[Round], scenario: str, metric: str, target: str) -> list[float]:
    had = (one.get(scenario, {}).get(target, {}).get(metric) for one in rounds)
    return [value for value in had if value is not None]


def pairs(
    rounds: Sequence[Round], scenario: str, metric: str, target: str, other: str
) -> list[tuple[float, float]]:
    """Return the figure of a target and that of another in each round that has both."""
    found = list[tuple[float, float]]()
    for one in rounds:
        by_target = one.get(scenario, {})
        mine, others = by_target.get(target, {}).get(metric), by_target.get(other, {}).get(metric)
        if mine is not None and others is not None:
            found.append((mine, others))
    return found


def _comparable(
    rounds: Sequence[Round], scenario: str, metric: str, target: str, other: str
) -> list[tuple[float, float]]:
    return [both for both in pairs(rounds, scenario, metric, target, other) if both[1]]


def table(found: Sequence[Row], yardsticks: Mapping[str, str]) -> str:
    """Return one table for each yardstick: its targets, and their ratios to it with half their spread over the rounds.

    A ratio with a star is on the better side.
    """
    return "\n\n".join(
        text
        for yardstick in dict.fromkeys(yardsticks.values())
        if (text := _table(found, yardstick, [name for name, its in yardsticks.items() if its == yardstick]))
    )


def _table(found: Sequence[Row], yardstick: str, targets: Sequence[str]) -> str:
    others = [target for target in targets if target != yardstick and yardstick in targets]
    head = ["scenario", "figure", *targets, *(f"{target}/{yardstick}" for target in others)]
    cells, last = [head], ""
    for row in found:
        if not any(target in row.figures for target in targets):
            continue
        metric = METRICS[row.metric]
        title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
        shown = [f"{row.figures[t].median:,.{metric.digits}f}" if t in row.figures else "-" for t in targets]
        ratios = [_shown_ratio(row.ratios.get(target), metric.higher) for target in others]
        cells.append(["" if row.scenario == last else row.scenario, title, *shown, *ratios])
        last = row.scenario
    if len(cells) == 1:
        return ""
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * sum(widths, 2 * len(widths) - 2), *lines[1:]])


def _shown_ratio(ratio: Value | None, higher: bool) -> str:
    if ratio is None:
        return "-  "
    better = (ratio.median > 1) is higher and ratio.median != 1
    spread = f" ±{ratio.spread:.2f}" if ratio.high > ratio.low else ""
    return f"{ratio.median:.2f}{spread} {'*' if better else ' '}"


def as_json(found: Sequence[Row], rounds: Sequence[Round], about: Mapping[str, object]) -> dict[str, object]:
    """Return how it was measured, medians and ratios, and every round."""
    return {
        "schema": SCHEMA,
        "about": dict(about),
        "rows": [asdict(row) for row in found],
        "rounds": list(rounds),
    }
