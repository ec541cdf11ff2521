"""Times on the wire: text order is time order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from landline.model.times import iso, parse_iso


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 8, 0, 0, 123_999, tzinfo=UTC), "2026-11-21T08:00:00.123Z"),
        (datetime(2026, 11, 21, 8, tzinfo=UTC), "2026-11-21T08:00:00.000Z"),
        (datetime(987, 1, 2, 3, 4, 5, 6_000, tzinfo=UTC), "0987-01-02T03:04:05.006Z"),
        (
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2025-12-31T19:30:00.000Z",
        ),
    ],
)
def test_a_moment_is_cut_to_milliseconds_in_utc(moment: datetime, text: str) -> None:
    assert iso(moment) == text
    assert iso(parse_iso(text)) == text
