"""Budgets as owners write them, and prices."""

import pytest

from landline.app.settings import load_settings
from landline.app.settings_sources import ConfigError
from landline.gates.budgets import Prices, Rule
from landline.model.events import UsageReported


@pytest.mark.contract("TRU-9")
@pytest.mark.parametrize(
    ("text", "scope", "name", "amount", "unit", "daily", "code"),
    [
        ("run: 50 tool calls", "run", None, 50, "tool_calls", False, "budget_run_tool_calls"),
        ("run 300 seconds", "run", None, 300, "seconds", False, "budget_run_seconds"),
        ("user: 2 usd/day", "user", None, 2, "usd", True, "budget_user_usd_day"),
        ("user:a:b: 2.50 usd / day", "user", "a:b", 2.5, "usd", True, "budget_user_usd_day"),
        ("agent:notes 1000 model calls/day", "agent", "notes", 1000, "model_calls", True, "budget_agent_model_calls_day"),
        ("thread:  100_000  tokens", "thread", None, 100_000, "tokens", False, "budget_thread_tokens"),
        ("tenant:acme: 1 token", "tenant", "acme", 1, "tokens", False, "budget_tenant_tokens"),
        ("key: 0 usd", "key", None, 0, "usd", False, "budget_key_usd"),
    ],
)  # fmt: skip
def test_a_rule_is_read(
    text: str, scope: str, name: str | None, amount: float, unit: str, daily: bool, code: str
) -> None:
    rule = Rule.of(text)
    assert (rule.scope, rule.name, rule.amount, rule.unit, rule.daily) == (scope, name, amount, unit, daily)
    assert rule.code == code


@pytest.mark.contract("TRU-9", "CLI-3")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("much", "is not a budget"),
        ("user: -1 usd", "is not a budget"),
        ("user: 1e3 usd", "is not a budget"),
        ("team: 1 usd", "'team' has no budget"),
        ("user: 1 eur", "nothing is counted in 'eur'"),
        ("user: 1.5 tokens", "counted in whole numbers"),
        ("run: 1 usd/day", "a run has one budget"),
        ("thread:abc: 1 usd", "cannot be named"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings(budgets=[text])
    assert said in str(refusal.value)
    assert refusal.value.code == "config_invalid_value"


@pytest.mark.contract("TRU-9", "CLI-3")
def test_settings_come_from_a_variable_and_refuse_what_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDLINE_BUDGETS", "run: 3 tool calls, user: 2 usd/day")
    monkeypatch.setenv("LANDLINE_PRICES", '{"mine": [1, 2.5]}')
    settings = load_settings()
    assert settings.budgets == ("run: 3 tool calls", "user: 2 usd/day")
    assert settings.prices == {"mine": (1.0, 2.5)}
    with pytest.raises(ConfigError) as refusal:
        load_settings(budgets_reached="wait")
    assert refusal.value.code == "config_not_built"
    with pytest.raises(ConfigError):
        load_settings(prices={"mine": (-1, 2)})


def told(model: str | None, *, cost: float | None = None) -> UsageReported:
    return UsageReported(
        input_tokens=1_000_000, output_tokens=2_000_000, total_tokens=3_000_000, model=model, cost_usd=cost
    )


@pytest.mark.contract("TRU-9")
async def test_a_call_costs_what_the_owner_says_then_the_framework_then_the_table() -> None:
    prices = Prices({"mine": (1, 2), "gpt-4o-mini": (5, 0)})
    assert (await prices(told("mine"))).cost_usd == 5
    assert (await prices(told("gpt-4o-mini", cost=9))).cost_usd == 5
    assert (await prices(told("other", cost=9))).cost_usd == 9
    priced = (await prices(told("gpt-4o"))).cost_usd
    assert priced is not None
    assert priced > 1
    for unknown in ("nobody's model", None):
        assert (await prices(told(unknown))).cost_usd is None
    assert (await Prices({"*": (0, 1)})(told("nobody's model"))).cost_usd == 2
    assert (await Prices({"*": (0, 1)})(told("other", cost=9))).cost_usd == 9
