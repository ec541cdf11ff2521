"""What a file is, from its first bytes and never from its name or what a client says (TRU-16).

Only types that Landline gives a meaning to are told apart; everything else is text or unknown bytes.
"""

import codecs

__all__ = ["sniff"]

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_MARKUP = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script")
_ACTIVE = (*_MARKUP[:3], b"<script", b"<iframe", b"<body", b"javascript:", b"onload=", b"onerror=")
"""What has no place in the head of a picture or a PDF: such a file is two at once, and the other one is a page."""

_GIF_SIZE = slice(6, 10)
_TEXT_ENDINGS = {".csv": "text/csv", ".md": "text/markdown", ".json": "application/json"}
"""Kinds of text that bytes cannot show; their names may tell them apart, they are harmless either way."""


def sniff(head: bytes, name: str) -> str:
    """Return the media type of a file that begins with `head`."""
    media_type = _known(head)
    if media_type is not None:
        return "application/octet-stream" if _is_two_at_once(head, media_type) else media_type
    if head.lstrip().lower().startswith(_MARKUP):
        return "application/octet-stream"
    if b"\0" in head or not _is_utf8(head):
        return "application/octet-stream"
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    return _TEXT_ENDINGS.get(ending, "text/plain")


def _known(head: bytes) -> str | None:
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    return None


def _is_two_at_once(head: bytes, media_type: str) -> bool:
    lower = head.lower()
    if any(word in lower for word in _ACTIVE):
        return True
    # As a script `GIF89a` is a name, and what follows begins a comment or an assignment.
    return media_type == "image/gif" and head[_GIF_SIZE].lstrip().startswith((b"/*", b"//", b"=", b";"))


def _is_utf8(head: bytes) -> bool:
    try:
        # The head may end within a character: only a fault before its end counts.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
