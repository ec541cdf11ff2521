"""What is uploaded is data: told by its bytes, kept under our own name, and never a page or a script of ours (TRU-16)."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.app.sniff import sniff
from landline.web.upload import clean_name

pytestmark = pytest.mark.contract("TRU-16", "THR-9")

RUN = b"<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
GIF = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"


async def echo(run: Any) -> str:
    """Say the message back."""
    return str(run.input)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    instance = Landline(
        [landline.agent(echo, name="echo")], open=True, data=tmp_path / "data", upload_types="*"
    )
    transport = httpx.ASGITransport(instance.app, raise_app_exceptions=False)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as made,
    ):
        yield made


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (JPEG, "image/jpeg"),
        (PDF, "application/pdf"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_pictures_and_documents_are_known_by_their_bytes(head: bytes, media_type: str) -> None:
    assert sniff(head, "anything.html") == media_type


POLYGLOTS = {
    "a page in a gif": GIF + b"<html>" + RUN,
    "a script in a gif": b"GIF89a/*\0\x01*/=1;alert(1)//",
    "an assignment in a gif": b"GIF89a=1;alert(1)",
    "a page in a png": PNG + b"\0\0\0\x30tEXtComment\0" + RUN,
    "a page in a jpeg": JPEG + b"\xff\xfe\0\x30<BODY ONLOAD=alert(1)>",
    "a page in a pdf": PDF + b"<HTML>" + RUN,
    "an action in a pdf": b"%PDF-1.4\n1 0 obj<</OpenAction<</S/URI/URI(javascript:alert(1))>>>>",
    "a picture with an action": GIF + b'x" onerror=alert(1) ',
    "a page": b"<!DOCTYPE html>" + RUN,
    "a page after spaces": b"\n\n   \t<html>" + RUN,
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg">' + RUN + b"</svg>",
    "a drawing in xml": b'<?xml version="1.0"?><svg onload="alert(1)"/>',
    "a page in utf-16": "<html><script>alert(1)</script>".encode("utf-16"),
    "a page behind a byte order mark": b"\xfe\xff" + "<html>".encode("utf-16-be"),
}  # fmt: skip


@pytest.mark.parametrize("what", POLYGLOTS)
async def test_what_is_two_things_at_once_is_neither(client: httpx.AsyncClient, what: str) -> None:
    """Whatever name and type it says it has; it comes back as bytes that nothing runs."""
    for name, kind in (
        ("a.png", "image/png"),
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.js", "text/javascript"),
    ):
        answer = await client.post("/api/v1/files", files={"file": (name, POLYGLOTS[what], kind)})
        assert answer.status_code == 201, answer.text
        assert answer.json()["media_type"] == "application/octet-stream", what
    content = await client.get(f"/api/v1/files/{answer.json()['id']}/content")
    _is_harmless(content)
    assert content.content == POLYGLOTS[what]


def _is_harmless(content: httpx.Response) -> None:
    assert content.headers["content-type"].partition(";")[0] not in (
        "text/html",
        "image/svg+xml",
        "text/javascript",
    )
    assert content.headers["content-disposition"].startswith("attachment; ")
    assert content.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in content.headers["content-security-policy"]
    assert "default-src 'none'" in content.headers["content-security-policy"]
    assert content.headers["cross-origin-resource-policy"] == "same-origin"


async def test_by_default_no_page_and_no_polyglot_is_taken(tmp_path: Path) -> None:
    instance = Landline([landline.agent(echo, name="echo")], open=True, data=tmp_path / "data")
    transport = httpx.ASGITransport(instance.app, raise_app_exceptions=False)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for what, data in POLYGLOTS.items():
            answer = await client.post("/api/v1/files", files={"file": ("a.png", data, "image/png")})
            assert (answer.status_code, answer.json()["code"]) == (422, "file_type_refused"), what
    assert not [path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]


async def test_an_archive_is_bytes_and_is_never_opened(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """A bomb of 100 MB stays the few kilobytes that it is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.txt", b"\0" * 100_000_000)
    for name, data in (("a.zip", packed.getvalue()), ("a.txt.gz", gzip.compress(b" " * 100_000_000))):
        info = (await client.post("/api/v1/files", files={"file": (name, data)})).json()
        assert (info["size"], info["media_type"]) == (len(data), "application/octet-stream")
        content = await client.get(f"/api/v1/files/{info['id']}/content")
        assert content.content == data
        _is_harmless(content)
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in kept if "evil" in path.name]


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\win.ini": "win.ini",
    "/abs/olute": "olute",
    "C:\\x\\y.txt": "y.txt",
    "C:evil.txt": "C_evil.txt",
    "..": "file",
    "...": "file",
    "": "file",
    ".htaccess": "htaccess",
    "a\0b\r\nX-Evil: 1.txt": "abX-Evil_ 1.txt",
    "photo\u202egpj.exe": "photogpj.exe",
    "a\u200bb\u2066c\u00ad\ufeffd.txt": "abcd.txt",
    "\ud800x.txt": "x.txt",
    "CON": "_CON",
    "con.txt": "_con.txt",
    "nul .tar.gz": "_nul .tar.gz",
    "COM1": "_COM1",
    "lpt\u00b9.txt": "_lpt\u00b9.txt",
    "console.txt": "console.txt",
    "a.txt:stream": "a.txt_stream",
    'a"; filename="b.html': "a_; filename=_b.html",
    "what?*.txt": "what__.txt",
    "trailing. . .": "trailing",
    "x" * 300: "x" * 255,
    "x" * 254 + ". y": "x" * 254,
    "\u7c73\u996d.txt": "\u7c73\u996d.txt",
}  # fmt: skip


@pytest.mark.parametrize("given", NAMES, ids=range(len(NAMES)))
def test_a_name_is_made_one_that_every_system_can_keep(given: str) -> None:
    assert clean_name(given) == NAMES[given]
    assert clean_name(clean_name(given)) == clean_name(given)


async def test_no_name_leaves_its_header_or_our_folder(client: httpx.AsyncClient, tmp_path: Path) -> None:
    for given, cleaned in NAMES.items():
        if not given or len(given) > 255 or any("\ud800" <= letter <= "\udfff" for letter in given):
            continue  # refused by the query's own bounds, or not to be sent at all
        answer = await client.post("/api/v1/files", params={"name": given}, content=b"hello")
        if answer.status_code == 422:  # NUL is refused at the edge
            assert "\0" in given
            continue
        content = await client.get(f"/api/v1/files/{answer.json()['id']}/content")
        _is_harmless(content)
        told = content.headers["content-disposition"]
        assert unquote(told.partition("''")[2]) == cleaned
        assert not {"\r", "\n", '"', ";"} & set(told.partition("''")[2])
    kept = {path.name for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()}
    assert len(kept) == 1, "named by its content alone"
    assert all(len(name) == 62 for name in kept)
