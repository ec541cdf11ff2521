"""Uploads: what is refused leaves nothing, families of types are taken."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from landline.app.sniff import sniff
from landline.backends.local import LocalVault
from landline.backends.memory import MemoryStore
from landline.engine.loop import SystemClock
from landline.engine.threads import EngineFiles
from landline.model.callers import LOCAL
from landline.model.errors import Invalid


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.contract("THR-9", "TRU-16")
async def test_a_refused_file_leaves_nothing_behind_and_a_family_is_taken(tmp_path: Path) -> None:
    files = EngineFiles(
        store=MemoryStore(),
        vault=LocalVault(tmp_path),
        clock=SystemClock(),
        sniff=sniff,
        max_bytes=10_000,
        media_types=("text/*", "image/png"),
    )
    with pytest.raises(Invalid):
        await files.upload(LOCAL, "evil.txt", pieces(b"%PDF-1.4 ", b"x" * 5_000))
    assert kept(tmp_path) == []
    info, _ = await files.upload(LOCAL, "a.csv", pieces(b"a,b\n" * 200, b"1,2\n"))
    assert info.media_type == "text/csv"
    assert (await files.read(LOCAL, info.id))[1] == b"a,b\n" * 200 + b"1,2\n"
    empty, _ = await files.upload(LOCAL, "empty.txt", pieces())
    assert empty.size == 0
