"""Times on the wire and in rows: UTC ISO-8601 with milliseconds and a Z, so that text order is time order."""

from datetime import UTC, datetime

__all__ = ["iso", "parse_iso"]


def iso(moment: datetime) -> str:
    """Return `moment` as `2026-11-21T08:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_iso(text: str) -> datetime:
    """Return the moment that `iso` wrote."""
    return datetime.fromisoformat(text)
