"""The limit on uploads, around the files that every face keeps: inline images and attachments count as well (TRU-8)."""

from collections.abc import AsyncIterator

from landline.gates.limits.limiter import Limiter
from landline.model.callers import Caller
from landline.model.files import FileInfo
from landline.ports.runs import Files
from landline.ports.store import IdempotencyKey

__all__ = ["CountedFiles"]


class CountedFiles:
    """Files whose uploads are counted; all else is theirs."""

    def __init__(self, files: Files, limiter: Limiter) -> None:
        self._files, self._limiter = files, limiter

    async def upload(
        self,
        caller: Caller,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> tuple[FileInfo, bool]:
        """Keep a file. Raises RateLimited before anything of it is read."""
        await self._limiter.uploaded(caller)
        return await self._files.upload(caller, name, chunks, idempotency=idempotency)

    async def info(self, caller: Caller, file_id: str) -> FileInfo:
        return await self._files.info(caller, file_id)

    async def read(self, caller: Caller, file_id: str) -> tuple[FileInfo, bytes]:
        return await self._files.read(caller, file_id)
