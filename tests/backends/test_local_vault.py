"""The folder of files: whole or absent, by content, never outside itself."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from landline.backends.local import LocalVault
from landline.model.errors import NotFound, StorageFailed, TooLarge


async def pieces(*chunks: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.contract("THR-9")
async def test_bytes_come_back_under_their_hash_and_are_kept_once(tmp_path: Path) -> None:
    vault = LocalVault(tmp_path / "files")
    data = bytes(range(256)) * 5
    expected = (hashlib.sha256(data).hexdigest(), len(data), data[:512])
    assert await vault.put(pieces(data[:300], b"", data[300:]), max_bytes=len(data)) == expected
    assert await vault.put(pieces(data), max_bytes=len(data)) == expected
    assert await vault.read(expected[0]) == data
    assert len(kept(tmp_path)) == 1
    assert await vault.put(pieces(), max_bytes=0) == (hashlib.sha256().hexdigest(), 0, b"")


@pytest.mark.contract("THR-9")
async def test_nothing_is_left_of_a_file_that_is_too_large_or_cut(tmp_path: Path) -> None:
    vault = LocalVault(tmp_path)
    with pytest.raises(TooLarge):
        await vault.put(pieces(b"abc", b"d"), max_bytes=3)
    with pytest.raises(ConnectionError):
        await vault.put(pieces(b"abc", then=ConnectionError()), max_bytes=9)
    assert kept(tmp_path) == []


async def test_a_name_that_is_no_hash_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    vault = LocalVault(tmp_path / "files")
    for name in ("0" * 64, "../secret", "", "A" * 64, "..", "0" * 63 + "/"):
        with pytest.raises(NotFound):
            await vault.read(name)


@pytest.mark.contract("REL-8")
async def test_a_folder_that_cannot_be_written_is_a_storage_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed):
        await LocalVault(tmp_path / "file" / "folder").put(pieces(b"a"), max_bytes=9)
