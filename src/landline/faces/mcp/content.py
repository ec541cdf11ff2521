"""Files of a run as content blocks: pictures and sound as themselves, text as text, the rest as bytes."""

import base64
from collections.abc import Sequence
from typing import Final

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextResourceContents,
)

from landline.faces.mcp.encode import HeardFile
from landline.model.callers import Caller
from landline.model.errors import NotFound
from landline.model.files import FileInfo
from landline.web.face import FacePorts

__all__ = ["MOST_BYTES", "Blocks", "block_of"]

MOST_BYTES: Final = 4 * 1024 * 1024
"""What one result carries of files; what is over it is named, not carried."""


class Blocks:
    """Reads the caller's files."""

    def __init__(self, ports: FacePorts) -> None:
        self._files = ports.files

    async def of(self, caller: Caller, files: Sequence[HeardFile]) -> list[ContentBlock]:
        """Return a block per file, in order; one that is gone is left out."""
        found: list[ContentBlock] = []
        room = MOST_BYTES
        for file in files:
            try:
                info = await self._files.info(caller, file.file_id)
                if "files:read" not in caller.scopes or info.size > room:
                    found.append(_link(info))
                    continue
                _, data = await self._files.read(caller, file.file_id)
            except NotFound:
                continue
            room -= len(data)
            found.append(block_of(info, data))
        return found


def block_of(info: FileInfo, data: bytes) -> ContentBlock:
    """Return a file as a block of its kind."""
    kind, _, _ = info.media_type.partition("/")
    if kind == "image":
        return ImageContent(type="image", data=_base64(data), mime_type=info.media_type)
    if kind == "audio":
        return AudioContent(type="audio", data=_base64(data), mime_type=info.media_type)
    uri = _uri(info)
    if kind == "text" or info.media_type == "application/json":
        text = data.decode("utf-8", errors="replace")
        return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=info.media_type, text=text))
    return EmbeddedResource(
        resource=BlobResourceContents(uri=uri, mime_type=info.media_type, blob=_base64(data))
    )


def _link(info: FileInfo) -> ResourceLink:
    return ResourceLink(
        uri=_uri(info),
        name=info.name,
        mime_type=info.media_type,
        size=info.size,
        description="A file of the caller's on this server, not carried here.",
    )


def _uri(info: FileInfo) -> str:
    return f"landline://files/{info.id}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
