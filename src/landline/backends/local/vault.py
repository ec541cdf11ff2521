"""A folder of files named by the SHA-256 of their bytes: `ab/cdef…`. The same content is kept once.

A file appears under its name whole and on disk, or not at all: it is written beside, synced, and renamed.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from landline.model.errors import NotFound, StorageFailed, TooLarge

__all__ = ["LocalVault"]

P = ParamSpec("P")
T = TypeVar("T")

HEAD_BYTES = 512
_NAME = re.compile(r"[0-9a-f]{64}")


class LocalVault:
    """`ports.Vault` in a folder. Disk work is done in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, chunks: AsyncIterator[bytes], *, max_bytes: int) -> tuple[str, int, bytes]:
        """Keep the bytes and return (sha256, size, first 512 bytes).

        Raises:
            TooLarge: More than `max_bytes` came; nothing is kept.
            StorageFailed: The disk refuses; nothing is kept.
        """
        upload = await _on_disk(_Upload, self._folder, max_bytes)
        try:
            async for chunk in chunks:
                await _on_disk(upload.feed, chunk)
            name = await _on_disk(upload.keep)
        except BaseException:  # also a client that goes away: nothing may be left of half a file
            upload.drop()
            raise
        return name, upload.size, upload.head

    async def read(self, sha256: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFound: Nothing with this content is kept.
        """
        # What is no hash cannot be a name, and never becomes part of a path.
        place = _place(self._folder, sha256) if _NAME.fullmatch(sha256) else None
        try:
            if place is not None:
                return await _on_disk(place.read_bytes)
        except StorageFailed as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
        raise NotFound("The content of this file is not kept.", code="file_not_found")


def _place(folder: Path, name: str) -> Path:
    return folder / name[:2] / name[2:]


class _Upload:
    """A file that is not whole yet."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="upload-", dir=folder)
        self._folder, self._path, self._max_bytes = folder, Path(name), max_bytes
        self._file = os.fdopen(descriptor, "wb")
        self._digest = hashlib.sha256()
        self.size, self.head = 0, b""

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise TooLarge(f"The file has more than {self._max_bytes} bytes.", code="file_too_large")
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._digest.update(chunk)
        self._file.write(chunk)

    def keep(self) -> str:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = self._digest.hexdigest()
        place = _place(self._folder, name)
        place.parent.mkdir(exist_ok=True)
        self._path.replace(place)
        # The rename is on disk only when the folders are.
        for folder in (place.parent, self._folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return name

    def drop(self) -> None:
        # On a full disk closing may fail too, because it flushes.
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


async def _on_disk(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do disk work in a thread; a disk that refuses is the store's failure, not a bug."""
    try:
        return await asyncio.to_thread(work, *arguments, **named)
    except OSError as error:
        raise StorageFailed("The files cannot be written or read now.", retry_after_s=5) from error
