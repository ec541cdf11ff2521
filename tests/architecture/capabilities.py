"""What each adapter declares, as the table in docs/adapters.md. `python -m tests.architecture.capabilities` writes it."""

from __future__ import annotations

from importlib.metadata import entry_points

from landline.ports.adapter import Adapter
from tests.architecture.source import ROOT

DOCUMENT = ROOT / "docs" / "adapters.md"
BEGIN, END = "<!-- capabilities: begin -->\n", "<!-- capabilities: end -->\n"


def own_adapters() -> dict[str, Adapter]:
    """Landline's own adapters by name, through the door that a stranger's come through."""
    found = entry_points(group="landline.adapters")
    return {point.name: point.load() for point in sorted(found) if point.value.startswith("landline.")}


def table() -> str:
    """The Markdown table: a row a capability, a column an adapter."""
    adapters = own_adapters()
    every = sorted({name for adapter in adapters.values() for name in adapter.capabilities})
    lines = [f"| | {' | '.join(adapters)} |", f"|---{'|---' * len(adapters)}|"]
    for capability in every:
        row = ("yes" if capability in adapter.capabilities else "no" for adapter in adapters.values())
        lines.append(f"| `{capability}` | {' | '.join(row)} |")
    return "\n".join([*lines, ""])


def written() -> str:
    """The table as the document has it."""
    return DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(text.replace(written(), table()), encoding="utf-8")
    print(f"{DOCUMENT.name} written")
