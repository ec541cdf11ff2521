"""Images and documents that come inside a message: kept as the caller's files, and given to the agent by id (THR-9)."""

from collections.abc import Sequence
from typing import Any, Final, cast

from landline.faces.ag_ui.wire import DataSource, FileSource, MediaPart, TextPart, UrlSource
from landline.model.callers import Caller
from landline.model.errors import Invalid, Unsupported
from landline.model.files import FileInfo
from landline.model.messages import FilePart, Part
from landline.model.messages import TextPart as TextOfMessage
from landline.ports.runs import Files
from landline.web.inline_files import Unreadable, from_base64, keep_file, part_of, read_data_url

__all__ = ["check_media", "keep_parts"]

_SAID: Final = {
    "url": "A data URL must hold base64.",
    "base64": "The bytes of a part are no base64.",
    "empty": "A part has no bytes.",
}


def check_media(parts: Sequence[TextPart | MediaPart]) -> None:
    """Refuse what cannot be kept, before anything is.

    Raises:
        Unsupported: The bytes are somewhere else.
        Invalid: They are no base64, or none.
    """
    for part in parts:
        if isinstance(part, MediaPart):
            _bytes_of(part)


async def keep_parts(files: Files, caller: Caller, parts: Sequence[TextPart | MediaPart]) -> list[Part]:
    """Return parts as the agent gets them; bytes are kept as files first.

    Raises:
        Invalid, TooLarge: What the bytes show is no image where one is told, is refused, or is too large.
        NotFound: A file is not the caller's.
        Forbidden: Bytes came along, and the caller may not upload.
    """
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, TextPart):
            if part.text:
                kept.append(TextOfMessage(text=part.text))
            continue
        data = _bytes_of(part)
        if data is None:
            info = await files.info(caller, part.source.value)
        else:
            info = await keep_file(files, caller, _name(part), data)
        kept.append(_part(part, info))
    return kept


def _part(part: MediaPart, info: FileInfo) -> Part:
    if part.type != "image":
        return FilePart(file_id=info.id, name=info.name, media_type=info.media_type)
    if not info.media_type.startswith("image/"):
        raise Invalid("A part is told to be an image, and its bytes are none.", code="not_an_image")
    return part_of(info)


def _bytes_of(part: MediaPart) -> bytes | None:
    """Return the bytes that came along, None for a file of ours."""
    match part.source:
        case FileSource(provider="landline"):
            return None
        case FileSource():
            raise Unsupported(
                "A file at another provider cannot be read here.", code="file_source_unsupported"
            )
        case UrlSource(value=url) if not url.startswith("data:"):
            raise Unsupported("Files are not fetched from URLs; send their bytes.", code="url_unsupported")
        case source:
            try:
                return (
                    from_base64(source.value)
                    if isinstance(source, DataSource)
                    else read_data_url(source.value).data
                )
            except Unreadable as error:
                raise Invalid(_SAID[error.fault], code="malformed_data") from None


def _name(part: MediaPart) -> str:
    metadata: object = part.metadata
    given = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    name = given.get("filename") or given.get("name")
    return name if isinstance(name, str) else part.type
