"""Images and files that arrive inside a request."""

import base64
from typing import Any

import msgspec
import pytest

from landline.faces.openai.inputs import MAX_FILES, Inputs
from landline.model.callers import LOCAL, Caller
from landline.model.errors import Forbidden, Invalid, NotFound
from tests.faces.fakes import OTHER, READER, FakeFiles, World

PNG = b"\x89PNG\r\n\x1a\nrest"
TEXT = base64.b64encode(b"milk, bread").decode()


class Sniffing(FakeFiles):
    """Files whose type is looked at, as the engine does."""

    async def upload(self, *given: Any, **named: Any) -> Any:
        info, again = await super().upload(*given, **named)
        data = self.w.file_rows[info.id][1]
        kind = "image/png" if data.startswith(b"\x89PNG") else "text/plain"
        info = msgspec.structs.replace(info, media_type=kind)
        self.w.file_rows[info.id] = (info, data)
        return info, again


def inputs(world: World, caller: Caller = LOCAL) -> Inputs:
    return Inputs(Sniffing(world), caller)


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.contract("THR-9", "FACE-6", "FACE-7")
async def test_an_image_becomes_a_file_of_the_callers_and_the_same_one_only_once(world: World) -> None:
    first = await inputs(world).image(at=("url",), url=data_url(PNG))
    again = await inputs(world).image(at=("url",), url=data_url(PNG))
    assert first.file_id == again.file_id
    ((info, data),) = world.file_rows.values()
    assert (info.name, data) == ("image.png", PNG)
    other = await inputs(world, OTHER).image(at=("url",), url=data_url(PNG))
    assert other.file_id != first.file_id


@pytest.mark.contract("THR-9", "TRU-16")
@pytest.mark.parametrize("data", [TEXT, TEXT.rstrip("="), f"data:text/csv;charset=utf-8;base64,{TEXT}"])
async def test_a_file_is_plain_base64_or_a_data_url_and_its_name_is_no_path(world: World, data: str) -> None:
    await inputs(world).file(at=("file",), data=data, name="../../list.csv")
    ((info, kept),) = world.file_rows.values()
    assert (info.name, kept) == ("list.csv", b"milk, bread")


@pytest.mark.contract("THR-9", "THR-2")
async def test_a_file_by_its_id_is_the_callers_own(world: World) -> None:
    kept = (await inputs(world).file(at=("file",), data=TEXT)).file_id
    assert (await inputs(world).file(at=("file",), file_id=kept)).file_id == kept
    assert (await inputs(world).image(at=("image",), file_id=kept)).file_id == kept
    for caller, file_id in ((OTHER, kept), (LOCAL, "nothing")):
        with pytest.raises(NotFound):
            await inputs(world, caller).file(at=("file",), file_id=file_id)


@pytest.mark.contract("THR-9", "TRU-14")
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/cat.png", "unsupported_url"),
        ("http://127.0.0.1/cat.png", "unsupported_url"),
        ("file:///etc/passwd", "unsupported_url"),
        ("data:image/png", "unsupported_url"),
        ("cat", "unsupported_url"),
        ("", "unsupported_url"),
        ("data:image/png,abc", "invalid_base64"),
        ("data:image/png;base64,a!bc", "invalid_base64"),
        ("data:image/png;base64,é", "invalid_base64"),
        ("data:image/png;base64,", "invalid_request"),
        (data_url(b"hello"), "invalid_image"),
    ],
)
async def test_what_is_no_image_or_would_have_to_be_fetched_is_refused(
    world: World, url: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await inputs(world).image(at=("messages", 0), url=url)
    assert refused.value.code == code
    assert refused.value.errors[0].loc == ["body", "messages", 0]


@pytest.mark.contract("THR-9", "TRU-14")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"data": "https://example.org/list.csv"},
        {"data": TEXT, "file_id": "a"},
        {"file_id": ""},
        {"file_id": "x" * 65},
    ],
)
async def test_what_is_no_file_is_refused(world: World, given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        await inputs(world).file(at=("file",), **given)
    assert not world.file_rows


@pytest.mark.contract("TRU-5")
async def test_a_file_inside_a_request_needs_the_scope_that_an_upload_needs(world: World) -> None:
    with pytest.raises(Forbidden):
        await inputs(world, READER).file(at=("file",), data=TEXT)


@pytest.mark.contract("THR-9")
async def test_a_request_carries_a_bounded_number_of_them(world: World) -> None:
    many = inputs(world)
    for _ in range(MAX_FILES):
        await many.file(at=("file",), data=TEXT)
    with pytest.raises(Invalid):
        await many.file(at=("file",), data=TEXT)
    assert len(world.file_rows) == 1
