"""Files that come inside a request, as base64 or as data URLs: read, and kept as the caller's own (THR-9, TRU-16).

Every face that takes them reads them here, so that all are equally strict. Each says in its own words what is wrong.
Nothing is ever fetched.
"""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, unquote_to_bytes

from landline.model.callers import Caller
from landline.model.files import FileInfo
from landline.model.messages import FilePart, ImagePart
from landline.ports.runs import Files
from landline.ports.store import IdempotencyKey
from landline.web.caller import check_scopes
from landline.web.upload import clean_name

__all__ = ["DataUrl", "Unreadable", "from_base64", "keep_file", "part_of", "read_data_url"]

_HEAD: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*(;base64)?,", re.ASCII)
_ANY_CASE: Final = re.compile(_HEAD.pattern, re.ASCII | re.IGNORECASE)
_HEAD_CHARS: Final = 512
_PIECE: Final = 64 * 1024


class Unreadable(Exception):
    """What was given is no file: `fault` says whether it is no data URL, not in base64, or empty."""

    def __init__(self, fault: Literal["url", "base64", "empty"]) -> None:
        super().__init__(fault)
        self.fault: Literal["url", "base64", "empty"] = fault


@dataclass(frozen=True, slots=True)
class DataUrl:
    """What a data URL holds; `claimed` is the media type it names, which nobody should believe."""

    data: bytes
    claimed: str | None


def read_data_url(url: str, *, padded: bool = True, any_form: bool = False) -> DataUrl:
    """Return what a data URL holds.

    Args:
        padded: As `from_base64` has it.
        any_form: Take every form RFC 2397 knows, as a browser does: in capitals, percent-encoded, without base64.
            Otherwise only the one that programs write: `data:TYPE;base64,DATA`.

    Raises:
        Unreadable: It is no data URL, what it holds is not base64, or it holds nothing.
    """
    # Only the head is looked at: the data may have millions of characters.
    found = (_ANY_CASE if any_form else _HEAD).match(url[:_HEAD_CHARS])
    if found is None:
        raise Unreadable("url")
    text = url[found.end() :]
    if found[2] is not None:
        # Latin-1 keeps each byte one character, and whatever is not ASCII is refused below.
        text = unquote(text, encoding="latin-1") if any_form else text
        return DataUrl(from_base64(text, padded=padded), found[1])
    if not any_form:
        raise Unreadable("base64")
    try:
        data = unquote_to_bytes(text)
    except UnicodeEncodeError:  # half a surrogate pair, which no encoding has
        raise Unreadable("url") from None
    return DataUrl(_not_empty(data), found[1])


def from_base64(text: str, *, padded: bool = True) -> bytes:
    """Return the bytes that `text` holds; without `padded` the `=` at its end may be missing.

    Raises:
        Unreadable: It is not base64 from end to end, or it is empty.
    """
    try:
        data = base64.b64decode(text if padded else text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Unreadable("base64") from None
    return _not_empty(data)


async def keep_file(
    files: Files, caller: Caller, name: str, data: bytes, *, idempotency: IdempotencyKey | None = None
) -> FileInfo:
    """Keep what came inside a request, as an upload would be kept.

    Raises:
        Forbidden: The caller may not upload.
        Invalid, TooLarge: As the files say.
    """
    check_scopes(caller, ("files:write",))
    info, _ = await files.upload(caller, clean_name(name), _pieces(data), idempotency=idempotency)
    return info


def part_of(info: FileInfo) -> FilePart | ImagePart:
    """Return a kept file as a part of a message: an image if its bytes are one, whatever was claimed."""
    kind = ImagePart if info.media_type.startswith("image/") else FilePart
    return kind(file_id=info.id, name=info.name, media_type=info.media_type)


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise Unreadable("empty")
    return data


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
