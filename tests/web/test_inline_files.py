"""Files inside a request are read as strictly by every face (THR-9, TRU-16): nothing is guessed, nothing is fetched."""

import base64
import tracemalloc
from typing import Any, Literal

import msgspec
import pytest

from landline.faces.a2a import decode as a2a
from landline.faces.a2a.wire import Message
from landline.faces.ag_ui.files import check_media
from landline.faces.ag_ui.wire import DataSource, MediaPart
from landline.faces.ai_sdk import decode as ai_sdk
from landline.faces.ai_sdk.wire import ChatBody
from landline.faces.mcp import decode as mcp
from landline.faces.mcp.wire import GivenFile
from landline.faces.openai.inputs import Inputs
from landline.model.agents import AgentInfo
from landline.model.callers import LOCAL
from landline.model.errors import Forbidden, Invalid
from landline.model.messages import FilePart, ImagePart
from landline.web.inline_files import DataUrl, Unreadable, from_base64, keep_file, part_of, read_data_url
from tests.faces.fakes import READER, FakeFiles, World

Fault = Literal["url", "base64", "empty"]
HI = DataUrl(b"hi", "text/plain")


@pytest.mark.contract("THR-9")
@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:text/plain;base64,aGk=", HI),
        ("data:text/plain;charset=utf-8;base64,aGk=", HI),
        ('data:image/svg+xml;x="a b";base64,aGk=', DataUrl(b"hi", "image/svg+xml")),
        ("data:;base64,aGk=", DataUrl(b"hi", None)),
        ("data:;charset=utf-8;base64,aGk=", DataUrl(b"hi", None)),
    ],
)
def test_a_data_url_holds_bytes_and_may_name_a_type(url: str, found: DataUrl) -> None:
    assert read_data_url(url) == found
    assert read_data_url(url, any_form=True) == found


@pytest.mark.contract("THR-9", "TRU-16")
@pytest.mark.parametrize(
    ("url", "fault", "in_any_form"),
    [
        # url, what is wrong with it, and what the whole of RFC 2397 makes of it
        ("data:text/plain;base64,a", "base64", "base64"),
        ("data:text/plain;base64,aGk", "base64", "base64"),
        ("data:text/plain;base64,aGk==", "base64", "base64"),
        ("data:text/plain;base64,aG k=", "base64", "base64"),
        ("data:text/plain;base64,aGk=\n", "base64", "base64"),
        ("data:text/plain;base64,_-8=", "base64", "base64"),
        ("data:text/plain;base64,é", "base64", "base64"),
        ("data:text/plain;base64,aGk%3D", "base64", HI),
        ("data:text/plain;base64,%C3%A9", "base64", "base64"),
        ("data:text/plain,h%69", "base64", HI),
        ("data:,hi", "base64", DataUrl(b"hi", None)),
        ("data:,%FF", "base64", DataUrl(b"\xff", None)),
        ("data:,\ud800", "base64", "url"),
        ("DATA:text/plain;BASE64,aGk=", "url", HI),
        ("data:text/plain;base64,", "empty", "empty"),
        ("data:,", "base64", "empty"),
        ("data:", "url", "url"),
        ("data:text/plain;base64", "url", "url"),
        ("data:text/plain;base64;aGk=", "url", "url"),
        ("data:text;base64,aGk=", "url", "url"),
        ("data:te xt/plain;base64,aGk=", "url", "url"),
        (" data:text/plain;base64,aGk=", "url", "url"),
        ("https://example.org/a.png", "url", "url"),
        ("file:///etc/passwd", "url", "url"),
        ("", "url", "url"),
    ],
)
def test_only_one_form_is_taken_and_the_others_only_where_a_face_asks_for_them(
    url: str, fault: Fault, in_any_form: Fault | DataUrl
) -> None:
    with pytest.raises(Unreadable) as refused:
        read_data_url(url)
    assert refused.value.fault == fault
    if isinstance(in_any_form, DataUrl):
        assert read_data_url(url, any_form=True) == in_any_form
    else:
        with pytest.raises(Unreadable) as refused:
            read_data_url(url, any_form=True)
        assert refused.value.fault == in_any_form


@pytest.mark.contract("THR-9")
def test_padding_may_be_missing_only_where_a_face_says_so() -> None:
    assert from_base64("aGk", padded=False) == from_base64("aGk=") == b"hi"
    assert read_data_url("data:;base64,aGk", padded=False).data == b"hi"
    for text, fault in (("a", "base64"), ("aGk==", "base64"), ("", "empty")):
        with pytest.raises(Unreadable) as refused:
            from_base64(text, padded=False)
        assert refused.value.fault == fault


@pytest.mark.contract("TRU-16")
def test_a_huge_one_is_read_whole_and_a_huge_wrong_one_costs_nothing() -> None:
    data = bytes(range(256)) * 65_536
    url = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
    assert read_data_url(url).data == data
    wrong = ("data:" + "x" * 16_000_000, "data:text/plain" + ";a=b" * 4_000_000 + ";base64,aGk=")
    tracemalloc.start()
    try:
        for each in wrong:
            with pytest.raises(Unreadable) as refused:
                read_data_url(each, any_form=True)
            assert refused.value.fault == "url"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.contract("TRU-5", "TRU-16")
async def test_what_is_kept_has_a_name_that_is_no_path_and_needs_the_scope_of_an_upload() -> None:
    world = World()
    data = b"x" * 200_000
    info = await keep_file(FakeFiles(world), LOCAL, "../../etc/pass\x00wd", data)
    assert (info.name, info.size) == ("passwd", len(data))
    assert world.file_rows[info.id][1] == data
    with pytest.raises(Forbidden):
        await keep_file(FakeFiles(world), READER, "a", data)
    assert len(world.file_rows) == 1


@pytest.mark.contract("THR-9")
async def test_a_part_is_an_image_only_if_its_bytes_are() -> None:
    info = await keep_file(FakeFiles(World()), LOCAL, "a.png", b"x")
    shown = {"file_id": info.id, "name": "a.png"}
    assert part_of(msgspec.structs.replace(info, media_type="text/plain")) == FilePart(
        **shown, media_type="text/plain"
    )
    assert part_of(msgspec.structs.replace(info, media_type="image/png")) == ImagePart(
        **shown, media_type="image/png"
    )


BOTH = AgentInfo(name="a", title="A", framework="plain", version="1", capabilities=("files", "images"))


async def _openai(text: str) -> Any:
    return await Inputs(FakeFiles(World()), LOCAL).file(at=("file",), data=text)


async def _ag_ui(text: str) -> Any:
    return check_media([MediaPart(type="document", source=DataSource(type="data", value=text))])


async def _ai_sdk(text: str) -> Any:
    part = {"type": "file", "mediaType": "text/plain", "url": f"data:text/plain;base64,{text}"}
    return ai_sdk.turn(
        ChatBody.model_validate({"id": "c", "messages": [{"id": "m", "role": "user", "parts": [part]}]})
    )


async def _a2a(text: str) -> Any:
    sent = {"messageId": "m", "role": "ROLE_USER", "parts": [{"raw": text}]}
    return a2a.inputs(Message.model_validate(sent), BOTH)


async def _mcp(text: str) -> Any:
    return mcp.file_bytes(GivenFile(name="a", data=text))


@pytest.mark.contract("THR-9", "TRU-16")
@pytest.mark.parametrize("face", [_openai, _ag_ui, _ai_sdk, _a2a, _mcp])
async def test_every_face_refuses_what_is_no_file_in_its_own_words(face: Any) -> None:
    await face("aGk=")
    for text in ("a", "a!bc", "aGk=\n", "é", ""):
        with pytest.raises(Invalid):
            await face(text)
