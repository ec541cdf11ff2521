"""Settings of the edge: origins, cookies, headers, proxies (TRU-11..16)."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from landline.app.settings_words import Words
from landline.web.cors import Origins

__all__ = ["EdgeSettings"]


class EdgeSettings(BaseSettings):
    """Settings of the edge: origins, cookies, headers, proxies (TRU-11..16). Mixed into `Settings`."""

    model_config = SettingsConfigDict(defer_build=True)  # for `Settings`, once

    cors_origins: Words = Field(
        (),
        description="Origins whose pages may call this server, each exactly as a browser sends it: https://app.example; "
        "* for all, without credentials only",
    )
    cors_credentials: bool = Field(
        False, description="Whether pages of cors_origins may send cookies along; never together with *"
    )
    tls: bool | None = Field(
        None,
        description="Whether clients reach this server over TLS, through a proxy that ends it; "
        "default: whether public_url begins with https",
    )

    @field_validator("cors_origins")
    @classmethod
    def _exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(origins, credentials=False)

    @field_validator("cors_credentials")
    @classmethod
    def _named(cls, credentials: bool, info: ValidationInfo) -> bool:
        _checked(info.data.get("cors_origins", ()), credentials=credentials)
        return credentials


def _checked(origins: tuple[str, ...], *, credentials: bool) -> tuple[str, ...]:
    try:
        Origins(origins, credentials=credentials)
    except ValueError as error:
        raise PydanticCustomError(
            "config_invalid_value", "{said}", {"said": str(error), "how": "write https://app.example:8443"}
        ) from None
    return origins
