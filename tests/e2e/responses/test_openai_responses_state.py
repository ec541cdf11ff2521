"""What comes in, what is kept, what is refused, and the socket, with OpenAI's own Python client (FACE-7)."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from landline.testing.faces.openai_responses import check_events

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


pytestmark = pytest.mark.contract("FACE-7")


async def test_images_and_files_come_in(client: AsyncOpenAI) -> None:
    content: Any = [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
        {"type": "input_file", "filename": "a.txt", "file_data": base64.b64encode(b"hello").decode()},
    ]
    made = await client.responses.create(model="model", input=[{"role": "user", "content": content}])
    assert made.output_text == "You said: Look."
    listed = (await client.responses.input_items.list(made.id)).data
    assert [part.type for part in listed[0].content] == ["input_text", "input_image", "input_file"]  # type: ignore[union-attr]  # the client's union has items without content
    fetched: Any = [{"type": "input_image", "image_url": "https://example.com/a.png"}]
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="model", input=[{"role": "user", "content": fetched}])


async def test_input_items_are_paged(client: AsyncOpenAI) -> None:
    given: Any = [{"role": "user", "content": f"number {n}"} for n in range(5)]
    made = await client.responses.create(model="model", input=given)
    pages = client.responses.input_items.list(made.id, limit=2, order="asc")
    said = [item.content[0].text async for item in pages]  # type: ignore[union-attr]  # the client's union has items without content
    assert said == [f"number {n}" for n in range(5)]


async def test_compaction_keeps_what_was_said(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="model", input="one")
    packed = await client.responses.compact(model="model", previous_response_id=first.id)
    (item,) = packed.output
    window: Any = [item.to_dict(), {"role": "user", "content": "history"}]
    after = await client.responses.create(model="model", input=window)
    assert after.output_text == "user: one | assistant: You said: one"
    bad: Any = [{"type": "compaction", "encrypted_content": "AAAA"}, {"role": "user", "content": "x"}]
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="model", input=bad)


async def test_conversations(client: AsyncOpenAI, raw: httpx.AsyncClient) -> None:
    made = await client.conversations.create(metadata={"topic": "x"})
    assert (await client.conversations.retrieve(made.id)).metadata == {"topic": "x"}
    one = await client.responses.create(model="model", input="one", conversation=made.id)
    assert one.conversation is not None
    assert one.conversation.id == made.id
    two = await client.responses.create(model="model", input="history", conversation=made.id)
    assert two.output_text == "user: one | assistant: You said: one"
    items = [item async for item in client.conversations.items.list(made.id, order="asc", limit=1)]
    assert [item.content[0].text for item in items] == [  # type: ignore[union-attr]  # the client's union has items without content
        "one", "You said: one", "history", two.output_text,
    ]  # fmt: skip
    assert (await client.conversations.items.retrieve(str(items[1].id), conversation_id=made.id)) == items[1]
    assert (await client.conversations.update(made.id, metadata={"topic": "y"})).metadata == {"topic": "y"}
    # A response that follows one of a conversation leaves the conversation as it is.
    await client.responses.create(model="model", input="aside", previous_response_id=one.id)
    assert len([item async for item in client.conversations.items.list(made.id)]) == 4
    said: Any = [{"role": "assistant", "content": "I never said that"}]
    with pytest.raises(openai.BadRequestError):
        await client.conversations.items.create(made.id, items=said)
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="model", input=said, conversation=made.id)
    await client.responses.delete(one.id)
    assert (await client.conversations.retrieve(made.id)).id == made.id
    await client.conversations.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="model", input="x", conversation=made.id)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"max_tool_calls": 1}, "max_tool_calls"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"extra_body": {"surprise": 1}}, "surprise"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0"),
        ({"input": []}, "input"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(
    client: AsyncOpenAI, more: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": "model", "input": "x", **more}
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(**asked)
    assert refused.value.param == param


async def test_a_model_must_be_one(client: AsyncOpenAI, raw: httpx.AsyncClient) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await client.responses.create(model="nobody", input="x")
    assert refused.value.code == "model_not_found"
    unnamed = await raw.post("/v1/responses", json={"input": "x"})
    assert (unnamed.status_code, unnamed.json()["error"]["param"]) == (400, "model")


async def test_what_others_share_outlives_a_deletion(client: AsyncOpenAI, raw: httpx.AsyncClient) -> None:
    first = await client.responses.create(model="model", input="one")
    both = await asyncio.gather(
        *(
            client.responses.create(model="model", input="slow", previous_response_id=first.id)
            for _ in range(2)
        )
    )
    threads: dict[str, str] = {}
    for response in (first, *both):
        run = await raw.get(f"/api/v1/runs/{response.id.removeprefix('resp_')}")
        threads[response.id] = run.json()["thread_id"]
    (aside,) = [response for response in both if threads[response.id] != threads[first.id]]
    for response in (first, *both):
        if response is not aside:
            await client.responses.delete(response.id)
    assert (await raw.get(f"/api/v1/threads/{threads[first.id]}")).status_code == 404
    after = await client.responses.create(model="model", input="history", previous_response_id=aside.id)
    assert after.output_text.startswith("user: one | assistant: You said: one | user: slow")


async def test_a_response_that_failed_or_waits_can_be_left_behind(
    client: AsyncOpenAI, raw: httpx.AsyncClient
) -> None:
    failed = await client.responses.create(model="model", input="fail")
    after = await client.responses.create(model="model", input="history", previous_response_id=failed.id)
    assert after.output_text.startswith("user: fail")
    waiting = await client.responses.create(model="model", input="approve")
    await client.responses.delete(waiting.id)
    assert (await raw.get(f"/api/v1/runs/{waiting.id.removeprefix('resp_')}")).status_code == 404


async def test_who_leaves_a_socket_cancels_what_is_not_stored(
    client: AsyncOpenAI, raw: httpx.AsyncClient
) -> None:
    async with client.responses.connect() as opened:
        connection: Any = opened
        await connection.send({"type": "response.create", "model": "model", "input": "wait", "store": False})
        begun = json.loads(await connection.recv_bytes())
    run = f"/api/v1/runs/{begun['response']['id'].removeprefix('resp_')}"
    async with asyncio.timeout(20):
        while (await raw.get(run)).status_code != 404:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)


async def test_the_socket_of_the_client(client: AsyncOpenAI) -> None:
    async with client.responses.connect() as opened:
        connection: Any = opened
        first: Any = {"type": "response.create", "model": "model", "input": "one", "store": False}
        await connection.send(first)
        told = await _turn(connection)
        assert told[-1]["response"]["status"] == "completed"
        await connection.send(
            {**first, "input": "history", "previous_response_id": told[-1]["response"]["id"]}
        )
        follows = await _turn(connection)
        assert (
            follows[-1]["response"]["output"][0]["content"][0]["text"]
            == "user: one | assistant: You said: one"
        )
        stored = {
            **first,
            "store": True,
            "input": "two",
            "previous_response_id": follows[-1]["response"]["id"],
        }
        await connection.send(stored)
        kept = (await _turn(connection))[-1]["response"]["id"]
    later = await client.responses.create(model="model", input="history", previous_response_id=kept)
    assert later.output_text.endswith("user: two | assistant: You said: two")
    async with client.responses.connect() as opened:
        connection = opened
        await connection.send({**first, "previous_response_id": told[-1]["response"]["id"]})
        (refused,) = await _turn(connection)
        assert refused["error"]["code"] == "previous_response_not_found"
        for name, value in {"stream": False, "background": True, "generate": False}.items():
            await connection.send({**first, name: value})
            (refused,) = await _turn(connection)
            assert refused["error"]["param"] == name


async def _turn(connection: Any) -> list[dict[str, Any]]:
    """Return the events of one turn, checked."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while True:
            event = json.loads(await connection.recv_bytes())
            found.append(event)
            if event["type"] == "error":
                return found
            if event["type"] in {"response.completed", "response.failed", "response.incomplete"}:
                check_events(found)
                return found
