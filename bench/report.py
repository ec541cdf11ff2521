"""What the rounds give: medians, ratios to the yardstick of the same round, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.scenarios import METRICS, Figures

__all__ = ["Round", "Row", "as_json", "rows", "table"]

Round = dict[str, dict[str, Figures]]
"""scenario -> target -> figures."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric of one scenario; `ratios` are to the yardstick, medians over the rounds."""

    scenario: str
    metric: str
    figures: dict[str, float]
    ratios: dict[str, float]


def rows(rounds: Sequence[Round], targets: Sequence[str]) -> list[Row]:
    """Return every metric that was measured, in the order of the scenarios."""
    yardstick, found = targets[0], list[Row]()
    for scenario in dict.fromkeys(name for one in rounds for name in one):
        by_target = [one.get(scenario, {}) for one in rounds]
        for metric in METRICS:
            figures = {
                target: median(values)
                for target in targets
                if (values := [one[target][metric] for one in by_target if metric in one.get(target, {})])
            }
            ratios = {
                target: median(pairs)
                for target in targets[1:]
                if (pairs := _ratios(by_target, target, yardstick, metric))
            }
            if figures:
                found.append(Row(scenario=scenario, metric=metric, figures=figures, ratios=ratios))
    return found


def _ratios(by_target: Sequence[dict[str, Figures]], target: str, yardstick: str, metric: str) -> list[float]:
    """Return the ratio of each round that has both."""
    pairs = [(one.get(target, {}).get(metric), one.get(yardstick, {}).get(metric)) for one in by_target]
    return [mine / other for mine, other in pairs if mine is not None and other]


def table(found: Sequence[Row], targets: Sequence[str]) -> str:
    """Return the rows as text; a ratio with a star is on the better side."""
    others = targets[1:]
    head = ["scenario", "figure", *targets, *(f"{target}/{targets[0]}" for target in others)]
    cells = [head]
    for place, row in enumerate(found):
        again = place > 0 and found[place - 1].scenario == row.scenario
        metric = METRICS[row.metric]
        title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
        shown = [f"{row.figures[t]:,.{metric.digits}f}" if t in row.figures else "-" for t in targets]
        ratios = [_shown_ratio(row.ratios.get(target), metric.higher) for target in others]
        cells.append(["" if again else row.scenario, title, *shown, *ratios])
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * sum(widths, 2 * len(widths) - 2), *lines[1:]])


def _shown_ratio(ratio: float | None, higher: bool) -> str:
    if ratio is None:
        return "-  "
    return f"{ratio:.2f} {'*' if (ratio > 1) is higher and ratio != 1 else ' '}"


def as_json(found: Sequence[Row], rounds: Sequence[Round], about: dict[str, object]) -> dict[str, object]:
    """Return all there is: how it was measured, medians and ratios, and every round."""
    return {
        "about": about,
        "rows": [
            {"scenario": row.scenario, "metric": row.metric, "figures": row.figures, "ratios": row.ratios}
            for row in found
        ],
        "rounds": rounds,
    }
