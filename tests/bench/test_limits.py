"""What limits may cost a request (PRF-9)."""

import pytest

from bench.limits import cost_us

MOST_US = 30


@pytest.mark.contract("PRF-9", "TRU-8")
async def test_limits_take_at_most_thirty_microseconds_of_a_request() -> None:
    without, having = await cost_us()
    assert having - without <= MOST_US
