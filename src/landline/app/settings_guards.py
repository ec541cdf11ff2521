"""Settings of guards, audit and what is kept of them (TRU-18..21)."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

__all__ = ["GuardSettings"]


class GuardSettings(BaseSettings):
    """Settings of guards, audit and what is kept of them (TRU-18..21). Mixed into `Settings`."""

    audit: Literal["acts", "all", "off"] = Field(
        "acts",
        description="What the audit log notes: acts and sign-ins; all for new runs, threads and files too; or off",
    )
    audit_content: bool = Field(
        False, description="Whether audit entries carry content too: inputs, answers, arguments, titles"
    )
