"""Rules as an owner writes them, and what is said of one that cannot be read."""

import pytest

from landline.gates.limits import Rule, RuleError, parse, parse_all, parse_rate
from landline.gates.limits.rules import key_rule

pytestmark = pytest.mark.contract("TRU-8")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("user: 60/minute requests", Rule("user", None, "requests", 60, 60, "user-requests-60")),
        ("caller: 60 / 2 minutes requests", Rule("user", None, "requests", 60, 120, "user-requests-120")),
        ("key: 10/minute runs", Rule("key", None, "runs", 10, 60, "key-runs-60")),
        ("tier:premium: 600/minute requests", Rule("tier", "premium", "requests", 600, 60, "tier.premium-requests-60")),
        ("tenant: 100 concurrent runs", Rule("tenant", None, "concurrent runs", 100, None, "tenant-concurrent-runs")),
        ("ip: 600/minute requests", Rule("ip", None, "requests", 600, 60, "ip-requests-60")),
        ("user: 20 streams", Rule("user", None, "streams", 20, None, "user-streams")),
        ("user: 1 stream", Rule("user", None, "streams", 1, None, "user-streams")),
        ("user: 30/hour uploads", Rule("user", None, "uploads", 30, 3600, "user-uploads-3600")),
        ("agent:bank: 5 concurrent runs", Rule("agent", "bank", "concurrent runs", 5, None, "agent.bank-concurrent-runs")),
        ("agent: 1000/day runs", Rule("agent", None, "runs", 1000, 86400, "agent-runs-86400")),
    ],
)  # fmt: skip
def test_a_rule_says_whose_doings_are_counted_how_many_and_over_how_long(text: str, rule: Rule) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    ("text", "what", "how"),
    [
        ("60/minute requests", "names no scope", "'user: 60/minute requests'"),
        ("usr: 60/minute requests", "no scope", "did you mean user?"),
        ("planet: 60/minute requests", "no scope", "user, key, tier"),
        ("user: 60/minute reqests", "nothing that is counted", "did you mean requests?"),
        ("user: 60/minute bananas", "nothing that is counted", "requests, runs"),
        ("user: 60/minut requests", "no window", "did you mean minute?"),
        ("user: 60/fortnight requests", "no window", "second, minute, hour, day"),
        ("user: 60/2 days requests", "between a second and a day", "1000/day"),
        ("user: 60 requests", "has no window", "user: 60/minute requests"),
        ("user: 5/minute streams", "at once", "user: 5 streams"),
        ("user: 0/minute requests", "between 1 and", "scopes"),
        ("user: 1000000/day requests", "between 1 and", "shorter window"),
        ("user: many requests", "cannot be read", "user: 60/minute requests"),
        ("user: -1/minute requests", "cannot be read", "user: 60/minute requests"),
        ("tier: 60/minute requests", "names no tier", "tier:premium"),
        ("user:ann: 60/minute requests", "names one user", "'user: …'"),
        ("tier:a b: 60/minute requests", "no name", "letters"),
        ("agent: 60/minute requests", "runs only", "agent: 60/minute runs"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_nearest_that_can(
    text: str, what: str, how: str
) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert what in str(caught.value)
    assert how in caught.value.how


def test_two_rules_for_the_same_thing_are_refused_and_two_windows_are_not() -> None:
    """Which of the two would hold, nobody could tell."""
    assert len(parse_all(["user: 5/second requests", "user: 60/minute requests"])) == 2
    with pytest.raises(RuleError, match="another rule"):
        parse_all(["user: 5/minute requests", "user: 60/minute requests"])


def test_a_rate_alone_has_no_kind() -> None:
    assert parse_rate("300/minute") == (300, 60)
    with pytest.raises(RuleError, match="no rate"):
        parse_rate("300")


def test_a_keys_own_rules_need_no_scope() -> None:
    assert key_rule("runs", "10/minute") == Rule("key", None, "runs", 10, 60, "key-runs-60")
    assert key_rule("concurrent-runs", "2") == parse("key: 2 concurrent runs")
    assert key_rule("money", "5 EUR") is None
    with pytest.raises(RuleError):
        key_rule("runs", "ten a minute")
