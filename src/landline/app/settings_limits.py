"""Settings of limits and budgets (TRU-8..10, RES-6)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from landline.app.settings_words import Words

__all__ = ["LimitSettings"]


def _rules(value: Any) -> Any:
    """Take `a, b` from a variable or an option as two rules; lists pass as they are."""
    return (
        tuple(rule.strip() for rule in value.split(",") if rule.strip()) if isinstance(value, str) else value
    )


class LimitSettings(BaseSettings):
    """Settings of limits and budgets (TRU-8..10, RES-6). Mixed into `Settings`."""

    model_config = SettingsConfigDict(defer_build=True)  # for `Settings`, once

    limits: Words = Field(
        (),
        description="How often and how much at once, such as `user: 60/minute requests`; see docs/limits.md",
    )
    failed_sign_ins: str = Field(
        "300/minute",
        description="How often an address may come with a credential that does not hold; `off` for no limit",
    )
    trusted_proxies: Words = Field(
        (), description="Addresses and networks of proxies in front, whose X-Forwarded-For is believed"
    )
    bulkheads: Words = Field(
        (),
        description="How many runs go on at once while others wait: `upstream:openai: 20 runs`, `tenant: 10 runs`; "
        "see docs/limits.md",
    )
    bulkhead_queue: int = Field(
        100, ge=0, le=100_000, description="Runs of one tenant that wait at a bulkhead; more are refused"
    )
    bulkhead_wait_s: float = Field(
        60, gt=0, description="Seconds that a run waits at a bulkhead before it fails as `bulkhead_busy`"
    )
    budgets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_rules)] = Field(
        (),
        description="What may be used: `run: 50 tool calls`, `user: 2 usd/day`, `agent:notes: 100000 tokens/day`; "
        "of a run, thread, user, key, agent or tenant, in tokens, usd, tool calls, model calls or seconds",
    )
    budgets_reached: Literal["end", "wait"] = Field(
        "end", description="What a run does that has used a budget up: end; `wait` is not built yet"
    )
    prices: dict[str, tuple[float, float]] = Field(
        default_factory=dict[str, tuple[float, float]],
        description="Your own prices by model, `*` for all others: US dollars for a million tokens in, and out",
    )

    @field_validator("limits")
    @classmethod
    def _limits_are_rules(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        from landline.gates.limits import RuleError, parse_all

        try:
            parse_all(texts)
        except RuleError as error:
            raise _wrong(str(error), error.how) from None
        return texts

    @field_validator("bulkheads")
    @classmethod
    def _bulkheads_are_rules(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not texts:
            return texts
        from landline.gates.bulkheads import RuleError, parse_all

        try:
            parse_all(texts)
        except RuleError as error:
            raise _wrong(str(error), error.how) from None
        return texts

    @field_validator("failed_sign_ins")
    @classmethod
    def _rate(cls, text: str) -> str:
        from landline.gates.limits import RuleError, parse_rate

        if text == "off":
            return text
        try:
            parse_rate(text)
        except RuleError as error:
            raise _wrong(str(error), f"{error.how}, or off") from None
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        from landline.web.client import Proxies

        try:
            Proxies(networks)
        except ValueError as error:
            raise _wrong(str(error), "write 10.0.0.0/8 or 192.0.2.1") from None
        return networks

    @field_validator("budgets")
    @classmethod
    def _budgets_are_rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if not rules:
            return rules
        from landline.gates.budgets.rules import Rule

        for rule in rules:
            try:
                Rule.of(rule)
            except ValueError as error:
                raise PydanticCustomError(
                    "config_invalid_value",
                    "{said}",
                    {
                        "said": str(error),
                        "how": "write for example `run: 50 tool calls` or `user: 2 usd/day`",
                    },
                ) from None
        return rules

    @field_validator("budgets_reached")
    @classmethod
    def _ends(cls, how: str) -> str:
        if how == "wait":
            raise PydanticCustomError(
                "config_not_built",
                "not built yet: runs that wait for a new budget",
                {"how": "leave it at `end`: the run ends with the budget's code and can be started again"},
            )
        return how

    @field_validator("prices")
    @classmethod
    def _no_negative_price(cls, prices: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for model, price in prices.items():
            if not all(0 <= side < float("inf") for side in price):
                raise PydanticCustomError(
                    "config_invalid_value",
                    "the price of {model} is not two amounts of dollars",
                    {"model": model, "how": "write for example prices = {{ my-model = [0.5, 1.5] }}"},
                )
        return prices


def _wrong(said: str, how: str) -> PydanticCustomError:
    return PydanticCustomError("config_invalid_value", "{said}", {"said": said, "how": how})
