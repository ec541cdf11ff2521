"""Settings of limits and budgets (TRU-8..10, RES-6)."""

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from landline.app.settings_words import Words

__all__ = ["LimitSettings"]


class LimitSettings(BaseSettings):
    """Settings of limits and budgets (TRU-8..10, RES-6). Mixed into `Settings`."""

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

    @field_validator("limits")
    @classmethod
    def _rules(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        from landline.gates.limits import RuleError, parse_all

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


def _wrong(said: str, how: str) -> PydanticCustomError:
    return PydanticCustomError("config_invalid_value", "{said}", {"said": said, "how": how})
