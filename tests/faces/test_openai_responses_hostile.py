"""Whatever is sent as an input is taken, or refused by name: nothing else comes of it (TRU-11)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landline.faces.openai.inputs import Inputs
from landline.faces.openai.responses_items import history_of, packed, read_items
from landline.faces.openai.responses_turn import Responses
from landline.faces.openai.responses_wire import ResponseBody
from landline.model.callers import LOCAL
from landline.model.carried import CarriedMessage
from landline.model.errors import LandlineError
from landline.model.messages import TextPart, ToolCallPart, ToolResultPart
from tests.faces.fakes import World, native_ports

pytestmark = pytest.mark.contract("TRU-11", "FACE-7")

TYPES = (
    "message", "function_call", "function_call_output", "reasoning", "compaction", "mcp_call", "item_reference",
    "mcp_approval_request", "mcp_approval_response", "web_search_call", "input_text", "input_image", "input_file",
    "output_text", "refusal", "", "\ud83d",
)  # fmt: skip
KEYS = (
    "type", "role", "content", "text", "id", "call_id", "name", "arguments", "output", "encrypted_content", "approve",
    "approval_request_id", "reason", "image_url", "file_id", "file_data", "filename", "file_url", "detail", "summary",
)  # fmt: skip
ROLES = ("user", "assistant", "system", "developer", "tool", "root")
LEAVES: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20),
    st.sampled_from((*TYPES, *ROLES, "{}", '{"a":1}', "eJw=", "data:image/png;base64,AAAA", "call_" + "0" * 32 + "_1")),
)  # fmt: skip
VALUES: Any = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
FIELDS: dict[str, Any] = {key: VALUES for key in KEYS if key != "type"} | {"role": st.sampled_from(ROLES)}
KIND: Any = st.sampled_from(TYPES) | LEAVES
ITEM: Any = st.fixed_dictionaries({"type": KIND}, optional=FIELDS)
ITEMS: Any = st.lists(ITEM, max_size=4)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=ITEMS)
async def test_any_items_are_taken_or_refused(items: list[dict[str, Any]]) -> None:
    ports = native_ports(World())
    try:
        found = await read_items(items, Inputs(ports.files, LOCAL))
        history_of(found.entries)
    except LandlineError as refused:
        assert refused.errors or refused.code  # noqa: PT017 - both ways are right
    else:
        assert len(found.shown) == len(items)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=ITEMS, before=st.sampled_from((None, "resp_x", f"resp_{'0' * 8}-0000-0000-0000-{'0' * 12}")))
async def test_any_request_is_planned_or_refused(items: list[dict[str, Any]], before: str | None) -> None:
    world = World()
    body = ResponseBody(model="notes", input=items, previous_response_id=before)
    request: Any = None
    try:
        record = await Responses(native_ports(world)).create(LOCAL, request, body)
    except LandlineError:
        assert not world.started
    else:
        assert record.run_id in world.run_rows


async def test_a_packed_window_is_read_as_it_was() -> None:
    history = [
        CarriedMessage(role="user", parts=[TextPart(text="Häh? \U0001f600")]),
        CarriedMessage(
            role="assistant",
            parts=[
                TextPart(text="Let me see."),
                ToolCallPart(call_id="c", name="look", arguments={"a": 1}),
                ToolResultPart(call_id="c", name="look", result={"seen": True}),
                TextPart(text="It is there."),
            ],
        ),
    ]
    item = {"type": "compaction", "encrypted_content": packed(history)}
    found = await read_items([item], Inputs(native_ports(World()).files, LOCAL))
    again = history_of(found.entries)
    assert [(message.role, [type(part) for part in message.parts]) for message in again] == [
        ("user", [TextPart]),
        ("assistant", [TextPart]),
        ("assistant", [ToolCallPart]),
        ("tool", [ToolResultPart]),
        ("assistant", [TextPart]),
    ]
    assert [part for message in again for part in message.parts] == [
        part for message in history for part in message.parts
    ]


@pytest.mark.contract("TRU-16")
async def test_a_window_that_unpacks_to_too_much_is_refused() -> None:
    bomb = packed([CarriedMessage(role="user", parts=[TextPart(text="x" * 8_000_000)])])
    assert len(bomb) < 20_000
    with pytest.raises(LandlineError):
        await read_items(
            [{"type": "compaction", "encrypted_content": bomb}], Inputs(native_ports(World()).files, LOCAL)
        )


HOSTILE: list[Any] = [
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "[" * 5000 + "]" * 5000},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"\\u0000"}'},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": ["a"]},
    {"type": "message", "role": "user", "content": [{"type": []}]},
    {"type": "message", "role": "user", "content": [{"type": {}}]},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": [], "text": "x"}]},
]


@pytest.mark.parametrize("item", HOSTILE)
async def test_what_no_strict_parser_saw_is_refused_too(item: dict[str, Any]) -> None:
    with pytest.raises(LandlineError):
        await read_items([item], Inputs(native_ports(World()).files, LOCAL))


@pytest.mark.parametrize("text", ["x" * 300_000, "a\0b"])
async def test_a_packed_window_is_held_to_the_rules_of_any_input(text: str) -> None:
    window = packed([CarriedMessage(role="user", parts=[TextPart(text=text)])])
    with pytest.raises(LandlineError):
        await read_items(
            [{"type": "compaction", "encrypted_content": window}], Inputs(native_ports(World()).files, LOCAL)
        )


async def test_all_windows_of_a_request_unpack_to_no_more_than_one_may() -> None:
    message = CarriedMessage(role="user", parts=[TextPart(text="x" * 190_000)])
    item = {"type": "compaction", "encrypted_content": packed([message] * 10)}
    assert len((await read_items([item], Inputs(native_ports(World()).files, LOCAL))).entries) == 10
    with pytest.raises(LandlineError):
        await read_items([item] * 5, Inputs(native_ports(World()).files, LOCAL))
