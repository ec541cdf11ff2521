"""The secret that this server signs its own tokens with: the owner's, or one of its own making in the data folder (TRU-6)."""

import contextlib
import logging
import os
import secrets
from pathlib import Path
from typing import Final

from landline.app.settings import ConfigError, Settings

__all__ = ["token_secret"]

FILE: Final = "token.secret"
_LEAST_BYTES: Final = 32

logger = logging.getLogger(__name__)


def token_secret(settings: Settings) -> str:
    """Return it; without a setting it is made once, for its owner's eyes only, and kept from start to start.

    Raises:
        ConfigError: The file is there and holds no secret, or cannot be read.
    """
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value()
    path = settings.data / FILE
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            logger.warning(
                "%s could be read by others of this machine; it is its owner's alone from now on", path
            )
            path.chmod(0o600)
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, "it cannot be read") from error
    if len(found) < _LEAST_BYTES:
        raise _bad(path, f"it has fewer than {_LEAST_BYTES} characters")
    return found


def _make(path: Path) -> None:
    """Write the file whole or not at all: two that start at once end with one secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = path.with_name(f".{FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(ours, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its secret is the one
            os.link(ours, path)
    finally:
        ours.unlink()


def _bad(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"the secret of tokens is no good: {what}",
        where=str(path),
        how="remove the file: another is made, and everybody signs in again; or set token_secret",
        code="config_unreadable",
    )
