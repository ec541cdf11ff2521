"""Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7)."""

from pydantic_settings import BaseSettings

__all__ = ["IdentitySettings"]


class IdentitySettings(BaseSettings):
    """Settings of identity: tokens, sign-in and who may act for whom (TRU-1..7). Mixed into `Settings`."""
