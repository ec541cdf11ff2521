"""Settings that are several words: `a, b` in a variable or an option, a list in a file."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

__all__ = ["Words"]


def _words(value: Any) -> Any:
    """Take `a, b` from a variable or an option as two words; lists pass as they are."""
    return (
        tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value
    )


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
