"""Settings of limits and budgets (TRU-8..10, RES-6)."""

from pydantic_settings import BaseSettings

__all__ = ["LimitSettings"]


class LimitSettings(BaseSettings):
    """Settings of limits and budgets (TRU-8..10, RES-6). Mixed into `Settings`."""
