"""Images and files inside a request: the bytes are kept as files of the caller's, and nothing is ever fetched (THR-9).

Both wires carry them the same way: as data URLs, as plain base64, or as the id of a file that was uploaded before.
"""

from typing import Final

from landline.faces.openai.faults import Loc, fault
from landline.model.callers import Caller
from landline.model.ids import fingerprint
from landline.model.messages import FilePart, ImagePart
from landline.ports.runs import Files
from landline.ports.store import IdempotencyKey
from landline.web.inline_files import Unreadable, from_base64, keep_file, read_data_url
from landline.web.upload import clean_name

__all__ = ["MAX_FILES", "Inputs"]

MAX_FILES: Final = 64
"""Images and files of one request, those of its history included."""

_SCHEME_CHARS: Final = 512
"""How far into what was given a URL's scheme is looked for; base64 has no `:`."""

_MAX_ID: Final = 64
_MAX_NAME: Final = 255
_SAID: Final = {
    "url": (
        "it must be a data URL, as data:image/png;base64,…: this server fetches nothing",
        "unsupported_url",
    ),
    "base64": ("its data must be base64", "invalid_base64"),
    "empty": ("it is empty", "invalid_request"),
}


class Inputs:
    """Keeps the images and files of one request, and returns them as parts.

    These wires send the same history again and again, so what has the same bytes and name is one file of its caller's.
    """

    def __init__(self, files: Files, caller: Caller) -> None:
        self._files, self._caller = files, caller
        self._seen = 0

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
        key = fingerprint(name.encode() + b"\0" + data)
        once = IdempotencyKey(key=key, route="openai inputs", body_hash=key)
        info = await keep_file(self._files, self._caller, name, data, idempotency=once)
        return info.id, info.media_type

    def _decoded(self, given: str, *, at: Loc, only_url: bool) -> tuple[bytes, str | None]:
        self._count(at)
        try:
            if only_url or given.startswith("data:") or "://" in given[:_SCHEME_CHARS]:
                found = read_data_url(given, padded=False)
                return found.data, found.claimed
            return from_base64(given, padded=False), None
        except Unreadable as error:
            said, code = _SAID[error.fault]
            raise fault(at, said, code=code) from None

    def _count(self, at: Loc) -> None:
        self._seen += 1
        if self._seen > MAX_FILES:
            raise fault(at, f"a request may carry {MAX_FILES} images and files")
