"""The ratios that a short run is held against, and how far one may be off before it counts as a regression.

A ratio has regressed when the median of the rounds is worse than the baseline by more than the metric's tolerance, and
even its best round is worse than the baseline: the first keeps small changes out, the second a single disturbed round.
A run that finds one measures once more, and only what is worse again counts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.metrics import METRICS
from bench.report import Row, Value

__all__ = ["PATH", "TOLERANCES", "Baseline", "regressions"]

PATH = Path(__file__).with_name("baseline.json")

TOLERANCES: Mapping[str, float] = {"turn_cpu_ms": 0.35, "cpu_ms_1k": 0.45}
"""What is compared, and how much worse a ratio may be.

CPU time only: how long something waits hangs on what else the machine does, which in CI nobody knows. Four short runs
beside other work (loads of 8 to 15 on two cores) lay 19 % apart in CPU a turn and 28 % in CPU a token, from the lowest to
the highest: a server that is late takes more tokens at once, which makes each cheaper. So a baseline is to be taken on a
machine that has nothing else to do: the ratio of a turn was 3.1 when little else ran, and 2.0 to 2.5 beside more.
"""

Ratios = dict[str, dict[str, dict[str, float]]]
"""scenario -> metric -> target -> ratio to its yardstick."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Ratios of an earlier run, with the tolerances they are to be read with."""

    ratios: Ratios
    tolerances: Mapping[str, float]
    about: Mapping[str, object]

    @classmethod
    def of(cls, found: Sequence[Row], about: Mapping[str, object]) -> "Baseline":
        """Return what a run gives as a baseline for later ones."""
        ratios: Ratios = {}
        for row in found:
            if row.metric in TOLERANCES and row.ratios:
                by_target = {target: round(ratio.median, 3) for target, ratio in row.ratios.items()}
                ratios.setdefault(row.scenario, {})[row.metric] = by_target
        return cls(ratios=ratios, tolerances=TOLERANCES, about=about)

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        """Return the baseline of a file."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(ratios=told["ratios"], tolerances=told["tolerances"], about=told["about"])

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        told = {"about": self.about, "tolerances": self.tolerances, "ratios": self.ratios}
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def regressions(found: Sequence[Row], baseline: Baseline) -> list[str]:
    """Say what has become worse than the baseline beyond noise, and what of it was not measured at all."""
    now = {(row.scenario, row.metric): row for row in found}
    said = list[str]()
    for scenario, by_metric in baseline.ratios.items():
        for metric, by_target in by_metric.items():
            row = now.get((scenario, metric))
            for target, before in by_target.items():
                what = f"{scenario}, {METRICS[metric].title}, {target}"
                ratio = row.ratios.get(target) if row else None
                if ratio is None:
                    said.append(f"{what}: not measured")
                elif _worse(ratio, before, baseline.tolerances[metric], METRICS[metric].higher):
                    said.append(
                        f"{what}: {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) of bare's, "
                        f"and {before:.2f} in the baseline; {baseline.tolerances[metric]:.0%} are tolerated"
                    )
    return said


def _worse(ratio: Value, before: float, tolerance: float, higher: bool) -> bool:
    if higher:
        return ratio.median < before / (1 + tolerance) and ratio.high < before
    return ratio.median > before * (1 + tolerance) and ratio.low > before
