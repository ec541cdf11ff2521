"""The table's main rows as a picture: small bar charts in one SVG, written by hand."""

from collections.abc import Sequence
from html import escape

from bench.metrics import METRICS
from bench.report import Row

__all__ = ["chart"]

_SHOWN = (
    "turns_s",
    "ideal",
    "cpu_ms_1k",
    "delay_p99_ms",
    "first_p99_ms",
    "stream_kb",
    "reader_kb",
    "idle_mb",
    "ready_s",
)
_COLOURS = (
    "#8a8f98",
    "#2f6fde",
    "#2a9d6a",
    "#c2762b",
    "#b9bec6",
    "#7aa5ee",
    "#d3d6db",
    "#a9c5f5",
    "#9457c9",
    "#c94f7c",
    "#5b8c8c",
)
_PANEL_W, _BAR_H, _GAP, _LEFT, _TOP, _COLUMNS = 400, 13, 8, 120, 60, 2


def chart(found: Sequence[Row], targets: Sequence[str]) -> str:
    """Return the SVG; every panel has its own scale, and every bar its figure."""
    panels = [
        (metric, rows)
        for metric in _SHOWN
        if (rows := [row for row in found if row.metric == metric and len(row.figures) > 1])
    ]
    heights = [34 + len(rows) * (len(targets) * _BAR_H + _GAP) for _, rows in panels]
    lines, y = list[str](), _TOP
    for start in range(0, len(panels), _COLUMNS):
        for column, (metric, rows) in enumerate(panels[start : start + _COLUMNS]):
            lines += _panel(metric, rows, targets, 10 + column * (_PANEL_W + 20), y)
        y += max(heights[start : start + _COLUMNS]) + 16
    width = _COLUMNS * (_PANEL_W + 20)
    key = [
        f'<rect x="{10 + 110 * n}" y="30" width="11" height="11" fill="{_colour(n)}"/>'
        f'<text x="{26 + 110 * n}" y="40">{escape(target)}</text>'
        for n, target in enumerate(targets)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">',
            '<g font-family="system-ui, sans-serif" font-size="11" fill="#333">',
            f'<rect width="{width}" height="{y}" fill="#fff"/>',
            '<text x="10" y="20" font-size="14">One core, one scripted model, all servers in one run</text>',
            *key,
            *lines,
            "</g></svg>",
            "",
        ]
    )


def _panel(metric: str, rows: Sequence[Row], targets: Sequence[str], x: int, y: int) -> list[str]:
    told = METRICS[metric]
    largest = max(value.median for row in rows for value in row.figures.values()) or 1.0
    way = "higher is better" if told.higher else "lower is better"
    title = f"{told.title}{', ' + told.unit if told.unit else ''} ({way})"
    lines, y = [f'<text x="{x}" y="{y + 12}" font-weight="600">{escape(title)}</text>'], y + 22
    for row in rows:
        middle = y + len(targets) * _BAR_H / 2 + 4
        lines.append(
            f'<text x="{x + _LEFT - 6}" y="{middle:g}" text-anchor="end">{escape(row.scenario)}</text>'
        )
        for place, target in enumerate(targets):
            if target in row.figures:
                value = row.figures[target].median
                length = max(1.0, value / largest * (_PANEL_W - _LEFT - 60))
                lines.append(
                    f'<rect x="{x + _LEFT}" y="{y}" width="{length:.1f}" height="{_BAR_H - 2}" '
                    f'fill="{_colour(place)}"/>'
                    f'<text x="{x + _LEFT + length + 4:.1f}" y="{y + _BAR_H - 3}" font-size="10">'
                    f"{value:,.{told.digits}f}</text>"
                )
            y += _BAR_H
        y += _GAP
    return lines


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]
