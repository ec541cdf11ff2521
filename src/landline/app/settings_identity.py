"""Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7)."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from landline.app.settings_words import Words

__all__ = ["IdentitySettings"]

LEAST_SECRET_BYTES: Final = 32
"""What HS256 hashes to (RFC 7518, 3.2)."""
SHARED: Final = ("HS256", "HS384", "HS512")
PUBLIC: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
_CLAIM: Final = r"^[\x21-\x7e]{1,200}$"


class IdentitySettings(BaseSettings):
    """Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7). Mixed into `Settings`."""

    model_config = SettingsConfigDict(defer_build=True)  # for `Settings`, once

    roles: dict[str, tuple[str, ...]] = Field(
        {},
        description="Roles of your own beside user, premium and admin: the scopes of each",
    )

    jwt_secret: SecretStr | None = Field(
        None, description="Secret of at least 32 bytes that JWTs of another issuer are signed with"
    )
    jwt_public_key: str | None = Field(
        None, description="Public key in PEM that JWTs of another issuer are checked with"
    )
    jwt_jwks_url: str | None = Field(
        None, description="Where the public keys of an issuer of JWTs are; https, or a name inside"
    )
    jwt_issuer: str | None = Field(None, min_length=1, description="The `iss` that JWTs must have")
    jwt_audience: Words = Field((), description="The `aud` that JWTs must have: one of these")
    jwt_algorithms: Words = Field(
        (),
        validate_default=True,
        description="Algorithms of JWTs; default: HS256 with a secret, RS256, ES256 and EdDSA with jwt_jwks_url",
    )
    jwt_leeway_s: float = Field(
        30, ge=0, le=60, description="Seconds by which clocks of issuers may be wrong"
    )
    jwt_tenant: str = Field("local", min_length=1, max_length=200, description="The tenant of JWT callers")
    jwt_tenant_claim: str | None = Field(
        None, pattern=_CLAIM, description="Path of the claim with the tenant; a JWT without one does not hold"
    )
    jwt_roles_claim: str | None = Field(
        None, pattern=_CLAIM, description="Path of the claim with the roles, as realm_access.roles"
    )
    jwt_scopes_claim: str | None = Field(
        None, pattern=_CLAIM, description="Path of the claim with the scopes; default: those of a plain key"
    )

    sign_in: bool = Field(True, description="Whether users with a password may sign in at /api/v1/token")
    sign_in_tenant: str = Field(
        "local",
        min_length=1,
        max_length=200,
        description="The tenant of those who sign in without naming one",
    )
    token_secret: SecretStr | None = Field(
        None,
        description="Secret of at least 32 bytes that this server signs its own tokens with; default: made in the data folder",
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

    oidc_issuer: str | None = Field(
        None, description="OpenID provider through which people sign in to the pages, as it names itself"
    )
    oidc_client_id: str | None = Field(
        None, min_length=1, max_length=200, description="What the provider knows this server as"
    )
    oidc_client_secret: SecretStr | None = Field(
        None, validate_default=True, description="The secret that the provider gave this server"
    )

    @field_validator("oidc_client_secret")
    @classmethod
    def _all_of_oidc(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        given = (info.data.get("oidc_issuer"), info.data.get("oidc_client_id"), secret)
        if any(given) and not all(given):
            raise _wrong(
                "a part is missing", "give oidc_issuer, oidc_client_id and oidc_client_secret, or none"
            )
        return secret

    @field_validator("jwt_secret", "token_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < LEAST_SECRET_BYTES:
            raise _wrong(
                f"it has fewer than {LEAST_SECRET_BYTES} bytes",
                "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
            )
        return secret

    @field_validator("jwt_public_key")
    @classmethod
    def _public(cls, key: str | None) -> str | None:
        if key is not None and ("PRIVATE" in key or "BEGIN PUBLIC KEY" not in key):
            raise _wrong(
                "it is no public key in PEM",
                "give the text that begins with -----BEGIN PUBLIC KEY-----, or its file as LANDLINE_JWT_PUBLIC_KEY_FILE",
            )
        return key

    @field_validator("jwt_jwks_url", "oidc_issuer")
    @classmethod
    def _safe_to_ask(cls, url: str | None) -> str | None:
        if url is not None and not _may_be_asked(url):
            raise _wrong(
                "whoever is on the way could put keys of their own there",
                "write an https URL; http is for loopback and for names without a dot",
            )
        return url

    @field_validator("jwt_algorithms")
    @classmethod
    def _of_one_family(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        given = {name for name in ("jwt_secret", "jwt_public_key", "jwt_jwks_url") if info.data.get(name)}
        if len(given) > 1:
            raise _wrong(
                f"{' and '.join(sorted(given))} cannot both be used", "keep one: a token has one issuer"
            )
        if not given:
            if names:
                raise _wrong(
                    "there is no key to go with it", "give jwt_secret, jwt_public_key or jwt_jwks_url"
                )
            return names
        known = SHARED if given == {"jwt_secret"} else PUBLIC
        if refused := [name for name in names if name not in known]:
            raise _wrong(f"{refused[0]} is not for that kind of key", f"use one of: {', '.join(known)}")
        if given == {"jwt_jwks_url"} and not (info.data.get("jwt_issuer") and info.data.get("jwt_audience")):
            # An issuer's keys sign for all of its clients: without a name on it, anyone's token would be ours.
            raise _wrong(
                "jwt_jwks_url needs jwt_issuer and jwt_audience", "say whose tokens hold, and for whom"
            )
        if names or given != {"jwt_public_key"}:
            return names or (("HS256",) if given == {"jwt_secret"} else ("RS256", "ES256", "EdDSA"))
        raise _wrong("jwt_public_key needs them named", f"use one of: {', '.join(PUBLIC)}")

    @property
    def signs_in(self) -> bool:
        """Whether callers can sign in without an API key of ours (TRU-6)."""
        return bool(self.jwt_algorithms) or self.oidc_client_secret is not None


def _wrong(said: str, how: str) -> PydanticCustomError:
    context: dict[str, Any] = {"said": said, "how": how}
    return PydanticCustomError("config_invalid_value", "{said}", context)


def _may_be_asked(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or re.search(r"[\s\\]", url):
        return False
    near = host in {"127.0.0.1", "::1"} or "." not in host
    return parts.scheme == "https" or (parts.scheme == "http" and near)
