"""Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7)."""

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

__all__ = ["IdentitySettings"]


class IdentitySettings(BaseSettings):
    """Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7). Mixed into `Settings`."""

    roles: dict[str, tuple[str, ...]] = Field(
        {},
        description="Roles of your own beside user, premium and admin: the scopes of each",
    )

    @field_validator("roles")
    @classmethod
    def _known_scopes(cls, roles: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        from landline.gates.auth.roles import check_roles

        try:
            check_roles(roles)
        except ValueError as error:
            how = 'write them as auditor = ["runs:read"] under [roles]'
            raise PydanticCustomError(
                "config_invalid_value", "{said}", {"said": str(error), "how": how}
            ) from None
        return roles
