"""A flame graph of folded stacks as one SVG, written by hand: width is time, what is above was called by what is below."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

__all__ = ["flame"]

_WIDTH, _ROW, _TOP, _LEAST, _LETTER = 1200, 16, 34, 0.6, 6.2


@dataclass
class _Node:
    count: int = 0
    below: "dict[str, _Node]" = field(default_factory=dict[str, "_Node"])


def flame(stacks: Mapping[tuple[str, ...], int], title: str) -> str:
    """Return the SVG. A frame narrower than a pixel is left out; its full name and share are its tooltip."""
    root, deepest = _Node(), 0
    for frames, count in stacks.items():
        node, deepest = root, max(deepest, len(frames))
        node.count += count
        for frame in frames:
            node = node.below.setdefault(frame, _Node())
            node.count += count
    boxes, height = list[str](), _TOP + _ROW * (deepest + 1)
    _draw(root, "all", 0.0, 0, _Sheet(boxes, root.count or 1, height))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
            '<g font-family="system-ui, sans-serif" font-size="10" fill="#222">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="6" y="20" font-size="14">{escape(title)}: {root.count:,} samples</text>',
            *boxes,
            "</g></svg>",
            "",
        ]
    )


@dataclass(frozen=True)
class _Sheet:
    boxes: list[str]
    every: int
    height: int


def _draw(node: _Node, name: str, x: float, depth: int, sheet: _Sheet) -> None:
    width = node.count / sheet.every * _WIDTH
    if width < _LEAST:
        return
    y = sheet.height - _ROW * (depth + 1)
    shown = escape(name[: max(0, int((width - 4) / _LETTER))])
    label = f'<text x="{x + 2:.1f}" y="{y + 11}">{shown}</text>' if len(shown) > 2 else ""
    hue = crc32(name.rpartition(" (")[2].partition("/")[0].encode()) % 360
    sheet.boxes.append(
        f'<g><title>{escape(name)}, {node.count / sheet.every:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{_ROW - 1}" fill="hsl({hue} 65% 75%)"/>{label}</g>'
    )
    for called, below in sorted(node.below.items()):
        _draw(below, called, x, depth + 1, sheet)
        x += below.count / sheet.every * _WIDTH
