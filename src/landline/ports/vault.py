"""Where the bytes of files live, by content (THR-9). The store keeps who owns them; the vault only keeps bytes."""

from collections.abc import AsyncIterator
from typing import Protocol

__all__ = ["Vault"]


class Vault(Protocol):
    """Content-addressed bytes."""

    async def put(self, chunks: AsyncIterator[bytes], *, max_bytes: int) -> tuple[str, int, bytes]:
        """Keep the bytes and return (sha256 in hex, size, first 512 bytes).

        Raises:
            TooLarge: More than `max_bytes` came; nothing is kept.
        """
        ...

    async def read(self, sha256: str) -> bytes:
        """Return the bytes. Raises NotFound."""
        ...
