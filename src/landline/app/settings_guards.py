"""Settings of guards, audit and what is kept of them (TRU-18..21)."""

from pydantic_settings import BaseSettings

__all__ = ["GuardSettings"]


class GuardSettings(BaseSettings):
    """Settings of guards, audit and what is kept of them (TRU-18..21). Mixed into `Settings`."""
