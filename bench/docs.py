"""Puts the tables of a run into docs/performance.md, between markers, so that nobody copies a figure by hand."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.metrics import METRICS
from bench.process import ROOT
from bench.report import Row
from bench.verdicts import NOT_HERE, Verdict, bound

__all__ = ["PATH", "put", "write_profiles", "write_tables"]

PATH = ROOT / "docs" / "performance.md"
_SHOWN = (
    "turns_s",
    "turn_cpu_ms",
    "ideal",
    "cpu_ms_1k",
    "delay_p50_ms",
    "delay_p99_ms",
    "first_p50_ms",
    "first_p99_ms",
)
_SHOWN_ALSO = ("stream_kb", "idle_mb", "ready_s")


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands between the two markers `bench:NAME`.

    Raises:
        ValueError: They are not there exactly once.
    """
    before = path.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.DOTALL)
    if len(marks.findall(before)) != 1:
        raise ValueError(f"{path.name} has no markers bench:{name}")
    path.write_text(
        marks.sub(lambda found: f"{found[1]}{text.rstrip()}\n{found[2]}", before), encoding="utf-8"
    )


def write_tables(
    path: Path, found: Sequence[Row], states: Sequence[Verdict], about: Mapping[str, Any]
) -> None:
    """Write what became of the contract's lines, and the figures of all targets."""
    put(path, "lines", f"{_machine(about)}\n\n{_lines(states)}")
    put(path, "figures", _figures(found, about))


def write_profiles(path: Path, profiles: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Write where the time went."""
    parts = [_machine(about)]
    for one in profiles:
        parts.append(f"{one['scenario']}, {one['target']}, {one['samples']:,} samples:")
        parts.append("```\n" + one["text"] + "\n```")
    put(path, "profile", "\n\n".join(parts))


def _machine(about: Mapping[str, Any]) -> str:
    said = f"{about['machine']}, CPython {about['python']}, {about['at'][:10]}; one fsync {about['fsync_ms']:.2f} ms"
    said += f", load before the run {about['load']:.1f}"
    rounds = about["rounds"]
    return f"{said}; medians of {rounds} round{'s' if rounds > 1 else ''}."


def _lines(states: Sequence[Verdict]) -> str:
    said = ["| line | figure | measured | bound | state |", "|---|---|---|---|---|"]
    for one in states:
        value = "" if one.value is None else f"{one.value:,.2f}"
        said.append(f"| {one.line.id} | {one.line.says} | {value} | {bound(one)} | {one.state} |")
    said += [f"| {name} | {why} | | | not measured |" for name, why in NOT_HERE.items()]
    return "\n".join(said)


def _figures(found: Sequence[Row], about: Mapping[str, Any]) -> str:
    targets = about["targets"]
    said = [f"| | {' | '.join(targets)} |", "|---" * (len(targets) + 1) + "|"]
    for row in found:
        if row.metric not in _SHOWN + _SHOWN_ALSO:
            continue
        metric = METRICS[row.metric]
        title = f"{row.scenario}: {metric.title}{', ' + metric.unit if metric.unit else ''}"
        cells = [_cell(row, target, metric.digits) for target in targets]
        said.append(f"| {title} | {' | '.join(cells)} |")
    missing = ", ".join(about["not_installed"])
    return "\n".join(
        [
            *said,
            "",
            f"Not installed, so not measured: {missing}." if missing else "All targets were installed.",
        ]
    )


def _cell(row: Row, target: str, digits: int) -> str:
    if target not in row.figures:
        return ""
    figure = f"{row.figures[target].median:,.{digits}f}"
    ratio = row.ratios.get(target)
    return f"{figure} ({ratio.median:.2f})" if ratio else figure
