"""Uploads as streams: a raw body, or the one file of a multipart form, handed on in pieces and never held whole (TRU-16)."""

import re
import unicodedata
from collections.abc import AsyncIterator
from typing import Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from landline.model.errors import Invalid

__all__ = ["clean_name", "open_upload"]

_MAX_NAME: Final = 255
_MAX_PART_HEADERS: Final = 8192
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks that turn the direction of what follows, halves of pairs: nobody sees them in a name."""

_NOT_IN_NAMES: Final = re.compile(r'[<>:"|?*]')
_DEVICES: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\.|$)", re.IGNORECASE
)
"""Names that some systems open as a device, whatever their ending."""


async def open_upload(request: Request, *, name: str | None) -> tuple[str, AsyncIterator[bytes]]:
    """Return the name and the bytes of the file that `request` brings.

    Raises:
        Invalid: The form is malformed, or holds anything but one file; also while the bytes are read.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return clean_name(name or ""), request.stream()
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 70:
        raise _malformed("it names no boundary")
    form = _OneFile(request.stream(), boundary)
    found = await form.open()
    return clean_name(name or found), form.pieces()


def clean_name(given: str) -> str:
    """Return a file name that any system can keep: no folders, nothing invisible, no device; it names nothing on our disk."""
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    seen = "".join(letter for letter in last if unicodedata.category(letter) not in _INVISIBLE)
    name = _NOT_IN_NAMES.sub("_", seen).strip(" .")[:_MAX_NAME].strip(" .")
    if _DEVICES.match(name):
        name = f"_{name}"[:_MAX_NAME]
    return name or "file"


class _OneFile:
    """A form with one file in it, parsed as it comes in."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._field = b""
        self._value = b""
        self._disposition = b""
        self._header_bytes = 0
        self._name: str | None = None
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    async def open(self) -> str:
        """Read up to the file's first bytes and return its name."""
        async for chunk in self._body:
            self._feed(chunk)
            if self._name is not None:
                return self._name
        raise _malformed("it holds no file")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes."""
        while self._pieces:
            yield self._pieces.pop(0)
        async for chunk in self._body:
            self._feed(chunk)
            while self._pieces:
                yield self._pieces.pop(0)
        if not self._ended:
            raise _malformed("it ends before its last boundary")

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise _malformed("its parts cannot be told apart") from error

    def _on_part_begin(self) -> None:
        if self._name is not None:
            raise _malformed("it holds more than one part")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._count(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        if name is None:
            raise _malformed("its part is not a file")
        self._name = name.decode("utf-8", "replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > _MAX_PART_HEADERS:
            raise _malformed("the headers of its part are too large")


def _malformed(why: str) -> Invalid:
    return Invalid(f"The form is malformed: {why}.", code="malformed_body")
