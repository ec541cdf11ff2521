"""Settings of guards, audit and what is kept of them (TRU-18..21)."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["GuardSettings"]


def _entries(value: Any) -> Any:
    """Take `a, b` from a variable or an option as two entries; lists pass as they are."""
    return tuple(one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else value


_Entries = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_entries)]
_URL = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"


class GuardSettings(BaseSettings):
    """Settings of guards, audit and what is kept of them (TRU-18..21). Mixed into `Settings`."""

    model_config = SettingsConfigDict(defer_build=True)  # for `Settings`, once

    audit: Literal["acts", "all", "off"] = Field(
        "acts",
        description="What the audit log notes: acts and sign-ins; all for new runs, threads and files too; or off",
    )
    audit_content: bool = Field(
        False, description="Whether audit entries carry content too: inputs, answers, arguments, titles"
    )
    guards: _Entries = Field(
        (), description="Guards of every agent, such as pii:redact, words:block, secrets@output:redact"
    )
    guard_words: _Entries = Field(
        (), description="What the guard `words` finds: word, word*, two words, /expression/"
    )
    guard_words_file: Path | None = Field(None, description="A file of more of them, one a line")
    guard_fail: Literal["closed", "open"] = Field(
        "closed",
        description="What happens to text that a guard cannot judge: closed stops it, open lets it pass",
    )
    guard_timeout_s: float = Field(
        10, gt=0, description="Seconds that a guard may take over one piece of text"
    )
    guard_file_bytes: int = Field(
        256_000, ge=0, description="Bytes that a text file may have for guards to look into it"
    )
    guard_unreadable: Literal["allow", "block"] = Field(
        "allow",
        description="What happens to files that guards cannot look into (images, PDF, too large): allow or block",
    )
    guard_moderation_url: str | None = Field(
        None,
        pattern=_URL,
        description="Base URL (…/v1) of the moderation API that the guard `moderation` asks",
    )
    guard_moderation_model: str | None = Field(None, description="The model to name there")
    guard_moderation_key: SecretStr | None = Field(None, description="The key to show there")
    guard_llamaguard_url: str | None = Field(
        None, pattern=_URL, description="Base URL (…/v1) of the chat API where the guard `llamaguard` is"
    )
    guard_llamaguard_model: str = Field("llama-guard-4", description="The model to name there")
    guard_llamaguard_key: SecretStr | None = Field(None, description="The key to show there")

    @field_validator("guards")
    @classmethod
    def _guards_are_rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if not rules:
            return rules
        from landline.gates.guards import read_rule

        for rule in rules:
            try:
                read_rule(rule)
            except ValueError as error:
                raise PydanticCustomError(
                    "config_invalid_value", "{said}", {"said": str(error), "how": "write pii:redact"}
                ) from None
        return rules

    @field_validator("guard_words")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if words:
            from landline.gates.guards import WordGuard

            try:
                WordGuard(words)
            except ValueError as error:
                raise PydanticCustomError(
                    "config_invalid_value", "{said}", {"said": str(error), "how": "write word or word*"}
                ) from None
        return words
