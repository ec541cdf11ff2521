"""Files that users attach: what is known of one, without its bytes."""

import msgspec

__all__ = ["FileInfo"]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file; `sha256` names its content, `media_type` is what its bytes show, not what was claimed."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: str
