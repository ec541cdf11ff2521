"""Spans of time as people write them on the command line: `30m`, `12h`, `2w`, or a date to come."""

import re
from datetime import UTC, datetime, timedelta

from landline.cli.exits import Exit
from landline.cli.stops import Stop

__all__ = ["span", "span_or_date"]

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str, option: str) -> timedelta:
    """Return the span that `text` names. Raises Stop."""
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    raise Stop(
        f"{text!r} is no span of time",
        where=f"option {option}",
        how="give a span such as 30m, 12h or 2w",
        code="bad_span",
        exit_code=Exit.USAGE,
    )


def span_or_date(text: str, option: str) -> timedelta:
    """Return how long from now a span or a date is.

    Raises:
        Stop: It is neither, or lies in the past.
    """
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - only says that it is no date
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    left = moment - datetime.now(UTC)
    if left <= timedelta():
        raise Stop(
            f"{text!r} is no time to come",
            where=f"option {option}",
            how="give a span such as 12h, 30d or 2w, or a date such as 2030-01-31",
            code="bad_expiry",
            exit_code=Exit.USAGE,
        )
    return left
