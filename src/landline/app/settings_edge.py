"""Settings of the edge: origins, cookies, headers, proxies (TRU-11..16)."""

from pydantic_settings import BaseSettings

__all__ = ["EdgeSettings"]


class EdgeSettings(BaseSettings):
    """Settings of the edge: origins, cookies, headers, proxies (TRU-11..16). Mixed into `Settings`."""
