"""Images and files inside a request: the bytes are kept as files of the caller's, and nothing is ever fetched (THR-9).

Both wires carry them the same way: as data URLs, as plain base64, or as the id of a file that was uploaded before.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from typing import Final

from landline.faces.openai.faults import Loc, fault
from landline.model.callers import Caller
from landline.model.ids import fingerprint
from landline.model.messages import FilePart, ImagePart
from landline.ports.runs import Files
from landline.ports.store import IdempotencyKey
from landline.web.caller import check_scopes
from landline.web.upload import clean_name

__all__ = ["MAX_FILES", "Inputs"]

MAX_FILES: Final = 64
"""Images and files of one request, those of its history included."""

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*)(;base64)?,", re.ASCII)
_HEAD_CHARS: Final = 512
_MAX_ID: Final = 64
_MAX_NAME: Final = 255
_PIECE: Final = 64 * 1024


class Inputs:
    """Keeps the images and files of one request, and returns them as parts.

    These wires send the same history again and again, so what has the same bytes and name is one file of its caller's.
    `data_chars` is how much of the request's body was such data.
    """

    def __init__(self, files: Files, caller: Caller) -> None:
        self._files, self._caller = files, caller
        self._seen = 0
        self.data_chars = 0

    async def image(self, *, at: Loc, url: str | None = None, file_id: str | None = None) -> ImagePart:
        """Return an image that is a data URL or, by `file_id`, a file of the caller's.

        Raises:
            Invalid: It is neither, the URL is one to fetch, or the bytes are no image.
            TooLarge, NotFound, Forbidden: As the files say; uploading takes the scope `files:write`.
        """
        if file_id is not None:
            return ImagePart(file_id=await self._known(file_id, at=at))
        if url is None:
            raise fault(at, "an image needs its URL or a file_id")
        data, claimed = self._decoded(url, at=at, only_url=True)
        ending = (claimed or "image/png").partition("/")[2].partition("+")[0]
        file_id, media_type = await self._kept(data, f"image.{ending}")
        if not media_type.startswith("image/"):
            raise fault(at, f"these bytes are {media_type}, no image that is taken", code="invalid_image")
        return ImagePart(file_id=file_id)

    async def file(
        self, *, at: Loc, data: str | None = None, file_id: str | None = None, name: str | None = None
    ) -> FilePart:
        """Return a file that is base64, plain or as a data URL, or, by `file_id`, a file of the caller's.

        Raises:
            Invalid: It is neither, or a URL to fetch.
            TooLarge, NotFound, Forbidden: As the files say; uploading takes the scope `files:write`.
        """
        if file_id is not None:
            if data is not None:
                raise fault(at, "a file is given by its data or by its file_id, not by both")
            return FilePart(file_id=await self._known(file_id, at=at))
        if data is None:
            raise fault(at, "a file needs its data or a file_id")
        content, _ = self._decoded(data, at=at, only_url=False)
        kept, _ = await self._kept(content, clean_name((name or "file")[:_MAX_NAME]))
        return FilePart(file_id=kept)

    async def _known(self, file_id: str, *, at: Loc) -> str:
        self._count(at)
        if not 0 < len(file_id) <= _MAX_ID:
            raise fault(at, f"a file's id has 1 to {_MAX_ID} characters")
        return (await self._files.info(self._caller, file_id)).id

    async def _kept(self, data: bytes, name: str) -> tuple[str, str]:
        check_scopes(self._caller, ("files:write",))
        key = fingerprint(name.encode() + b"\0" + data)
        once = IdempotencyKey(key=key, route="openai inputs", body_hash=key)
        info, _ = await self._files.upload(self._caller, name, _pieces(data), idempotency=once)
        return info.id, info.media_type

    def _decoded(self, given: str, *, at: Loc, only_url: bool) -> tuple[bytes, str | None]:
        self._count(at)
        # Only the head is looked at: the data may have millions of characters.
        found = _DATA_URL.match(given[:_HEAD_CHARS])
        if found is None and (only_url or "://" in given[:_HEAD_CHARS] or given.startswith("data:")):
            said = "it must be a data URL, as data:image/png;base64,…: this server fetches nothing"
            raise fault(at, said, code="unsupported_url")
        if found is not None and found[3] is None:
            raise fault(at, "the data of a data URL must be base64", code="invalid_base64")
        text = given[found.end() :] if found else given
        self.data_chars += len(text)
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise fault(at, "this is no base64", code="invalid_base64") from None
        if not data:
            raise fault(at, "it is empty")
        return data, found[1] if found else None

    def _count(self, at: Loc) -> None:
        self._seen += 1
        if self._seen > MAX_FILES:
            raise fault(at, f"a request may carry {MAX_FILES} images and files")


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
