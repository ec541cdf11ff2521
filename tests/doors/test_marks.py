"""Marks that units set on the same routes mean one thing each."""

from __future__ import annotations

import pytest

from landline.app.settings import ConfigError, load_settings
from tests.doors.served import routes


@pytest.mark.contract("TRU-7", "TRU-8")
def test_a_stream_token_opens_no_route_but_the_events_of_a_run() -> None:
    """Limits mark routes that stream, answers to POST among them; a token in a URL opens none of those."""
    marked = {door for door, endpoint in routes() if hasattr(endpoint, "__landline_stream_tokens__")}
    streaming = {door for door, endpoint in routes() if hasattr(endpoint, "__landline_streams__")}
    assert marked == {"GET /api/v1/runs/{run_id}/events"}
    assert any(door.startswith("POST ") for door in streaming)


@pytest.mark.contract("TRU-8", "TRU-9", "TRU-21", "CLI-3")
@pytest.mark.parametrize("name", ["limits", "guards", "budgets"])
def test_rules_of_every_kind_are_checked(name: str) -> None:
    """Settings are mixed from several classes; a validator of one must not stand in the way of another's."""
    with pytest.raises(ConfigError, match=name):
        load_settings({name: "no rule at all"})
