"""OpenAI's client with less work to do: what it reads and what it sends are what they are without, and it is put back."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Collection, Generator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, omit
from openai.types import embedding_create_params
from openai.types.beta import response_create_params as beta_params
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as Params
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from landline.upstream.openai_sdk import quicken
from tests.upstream.streams.wires import PIECES, chat, responses

bodies: Any = import_module("openai._utils._transform")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
CHUNK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_790_000_000,
    "model": "gpt-6",
    "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}],
}
EVENT: dict[str, Any] = {
    "type": "response.output_text.delta",
    "content_index": 0,
    "delta": "hi",
    "item_id": "msg_1",
    "logprobs": [],
    "output_index": 0,
    "sequence_number": 3,
    "obfuscation": "x",
}
READS = "_process_response_data"
RESPONSE = httpx2.Response(200, request=httpx2.Request("POST", "http://127.0.0.1:1"))
ODD: dict[str, Any] = {
    "an index as text": {**CHUNK, "choices": [{"index": "0", "delta": {"content": "x"}}]},
    "a time as text": {**CHUNK, "created": "1790000000"},
    "a time with a fraction": {**CHUNK, "created": 1.5},
    "a reason of its own": {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "eos"}]},
    "no choices": {**CHUNK, "choices": None},
    "no delta": {**CHUNK, "choices": [{"index": 0}]},
    "half an emoji": {**CHUNK, "choices": [{"index": 0, "delta": {"content": "\ud83d"}}]},
    "another object": {**CHUNK, "object": ""},
    "fields of its own": {**CHUNK, "x": {"y": [1]}, "choices": [{"index": 0, "delta": {"thought": "t"}}]},
    "nothing": {},
    "an event of its own": {"type": "response.odd", "delta": "x"},
    "an event of no kind": {"type": 7},
    "an event with a number as text": {**EVENT, "output_index": "0"},
    "an event that lacks a field": {key: value for key, value in EVENT.items() if key != "item_id"},
    "probabilities": {
        **CHUNK,
        "choices": [
            {
                "index": 0,
                "delta": {"content": "x"},
                "logprobs": {"content": [{"token": "x", "logprob": 0, "top_logprobs": []}]},
            }
        ],
    },
}


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url="http://127.0.0.1:1/v1", api_key="k") as made:
        yield made


@contextmanager
def quickened(untouched: Collection[int] = ()) -> Generator[None]:
    end = quicken(untouched)
    try:
        yield
    finally:
        end()


def read(client: AsyncOpenAI, data: Any) -> Any:
    kind = ResponseStreamEvent if "type" in data else ChatCompletionChunk
    return getattr(client, READS)(data=data, cast_to=kind, response=RESPONSE)


def seen(model: Any) -> Any:
    """Return everything that can be told of a chunk, but for the names that were set."""
    if isinstance(model, BaseModel):
        return (type(model), seen(vars(model)), seen(model.__pydantic_extra__))
    if isinstance(model, dict):
        return [(key, seen(value)) for key, value in cast("dict[str, Any]", model).items()]
    if isinstance(model, list):
        return [seen(value) for value in cast("list[Any]", model)]
    return (type(model), model)


def outside(work: Callable[[], Any]) -> Any:
    """Return what `work` gives, or how it fails."""
    try:
        return seen(work())
    except Exception as error:  # how it fails is compared
        return type(error), str(error)


def calls_of(work: Callable[[], Any]) -> int:
    count = 0

    def note(_: FrameType, what: str, __: Any) -> None:
        nonlocal count
        count += what in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.contract("PRF-3")
@pytest.mark.parametrize("odd", ODD)
def test_a_chunk_that_is_not_as_openai_sends_it_is_read_as_before(odd: str, client: AsyncOpenAI) -> None:
    before = outside(lambda: read(client, ODD[odd]))
    with quickened():
        assert outside(lambda: read(client, ODD[odd])) == before


@pytest.mark.contract("PRF-3")
@settings(max_examples=60, deadline=None)
@given(wire=st.sampled_from([chat, responses]), text=PIECES, thought=PIECES, arguments=PIECES)
def test_events_are_read_as_before(
    wire: Callable[..., list[bytes]], text: list[str], thought: list[str], arguments: list[str]
) -> None:
    client = AsyncOpenAI(base_url="http://127.0.0.1:1/v1", api_key="k")
    events = [
        json.loads(line[6:])
        for event in wire(text, thought, arguments)
        for line in event.splitlines()
        if line.startswith(b"data: {")
    ]
    before = [read(client, event) for event in events]
    with quickened():
        now = [read(client, event) for event in events]
    assert [seen(one) for one in now] == [seen(one) for one in before]
    for one, other in zip(now, before, strict=True):
        assert one == other
        assert one.model_dump() == other.model_dump()
        assert one.model_dump(exclude_unset=True) == other.model_dump(exclude_unset=True)


@pytest.mark.contract("PRF-3")
@settings(max_examples=100, deadline=None)
@given(place=st.sampled_from(["", "choices", "choice", "delta"]), name=st.text(max_size=3), value=JSON)
def test_whatever_stands_in_a_chunk_is_read_as_before(place: str, name: str, value: Any) -> None:
    client = AsyncOpenAI(base_url="http://127.0.0.1:1/v1", api_key="k")
    chunk = json.loads(json.dumps(CHUNK))
    match place:
        case "":
            chunk[name] = value
        case "choices":
            chunk["choices"] = value
        case "choice":
            chunk["choices"][0]["finish_reason"] = value
        case _:
            chunk["choices"][0]["delta"] = {"content": value, "tool_calls": value, name or "x": value}
    before = outside(lambda: read(client, chunk))
    with quickened():
        assert outside(lambda: read(client, chunk)) == before


@pytest.mark.contract("PRF-3")
@pytest.mark.parametrize("data", [CHUNK, EVENT])
def test_an_event_costs_few_calls(client: AsyncOpenAI, data: dict[str, Any]) -> None:
    def one() -> Any:
        return read(client, data)

    one()
    before = calls_of(one)
    with quickened():
        one()
        now = calls_of(one)
    assert now < 20 < 40 < before


def test_the_streams_of_untouched_clients_are_read_by_the_client_itself(client: AsyncOpenAI) -> None:
    with quickened():
        quick = calls_of(lambda: read(client, CHUNK))
        with quickened([id(vars(client)["_client"])]):
            assert calls_of(lambda: read(client, CHUNK)) > 10 * quick
        assert calls_of(lambda: read(client, CHUNK)) <= quick


def test_it_ends_with_the_last_who_wanted_it() -> None:
    original = bodies.async_transform
    ends = [quicken(), quicken()]
    assert READS in vars(AsyncOpenAI), "the name that is replaced is gone"
    assert bodies.async_transform is not original, "the name that is replaced is gone"
    for end in ends:
        assert READS in vars(AsyncOpenAI)
        end()
    assert READS not in vars(AsyncOpenAI)
    assert bodies.async_transform is original


def body(messages: list[Any]) -> dict[str, Any]:
    return {"model": "m", "messages": messages, "stream": True, "tools": omit, "temperature": 0.5}


MESSAGES = [
    {"role": "system", "content": "x"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}],
    },
    {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": None},
]


@pytest.mark.contract("PRF-5")
@settings(max_examples=60, deadline=None)
@given(extra=st.dictionaries(st.text(max_size=8), JSON, max_size=4))
async def test_bodies_are_written_as_before(extra: dict[str, Any]) -> None:
    data = {**extra, **body([*MESSAGES, extra])}
    before = await bodies.async_maybe_transform(data, Params)
    with quickened():
        now = await bodies.async_maybe_transform(data, Params)
    assert now == before
    assert list(now) == list(before)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        # What is no plain data is put in its form by the client: models, and what was left out deep inside.
        (body([ChatCompletionMessage(role="assistant", content="x")]), Params),
        (body([{"role": "user", "content": "x", "name": omit}]), Params),
        ({**body([]), "messages": ({"role": "user", "content": "x"},)}, Params),
        ({"input": "x", "model": "m"}, embedding_create_params.EmbeddingCreateParams),
        # This one has a field with another name on the wire.
        ({"betas": ["x"], "input": "x"}, beta_params.ResponseCreateParamsStreaming),
    ],
)
async def test_bodies_with_more_than_plain_data_are_written_by_the_client(data: Any, kind: Any) -> None:
    before = await bodies.async_maybe_transform(data, kind)
    with quickened():
        now = await bodies.async_maybe_transform(data, kind)
    assert now == before
    assert "openai-beta" in now or "betas" not in data


@pytest.mark.contract("PRF-5")
async def test_a_message_more_costs_little() -> None:
    def cost(count: int) -> int:
        data = body([{"role": "user", "content": "x"}] * count)

        def write() -> None:
            with pytest.raises(StopIteration):
                bodies.async_maybe_transform(data, Params).send(None)

        write()
        return calls_of(write)

    before = cost(20) - cost(10)
    with quickened():
        now = cost(20) - cost(10)
    assert now < 100 < 1_000 < before
