"""Responses with OpenAI's own Python client against a real server (FACE-7)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from landline.testing.faces.openai_responses import check_events, check_response, check_stream

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
    "strict": False,
}
TIME: Any = {**WEATHER, "name": "get_time"}

pytestmark = pytest.mark.contract("FACE-7")


async def test_a_response_is_created_retrieved_and_deleted(
    client: AsyncOpenAI, raw: httpx.AsyncClient
) -> None:
    made = await client.responses.create(model="model", input="Hello there", metadata={"kind": "greeting"})
    assert (made.status, made.output_text, made.model) == ("completed", "You said: Hello there", "model")
    assert made.usage is not None
    assert made.usage.total_tokens == 7
    again = await client.responses.retrieve(made.id)
    assert again == made
    assert again.metadata == {"kind": "greeting"}
    check_response((await raw.get(f"/v1/responses/{made.id}")).json())
    run = await raw.get(f"/api/v1/runs/{made.id.removeprefix('resp_')}")
    assert run.json()["status"] == "completed"
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    assert (await raw.get(f"/api/v1/threads/{run.json()['thread_id']}")).status_code == 404


async def test_a_stream_is_well_formed_and_every_rest_of_it_is_the_same(raw: httpx.AsyncClient) -> None:
    body = {"model": "model", "input": "think: one two three", "stream": True}
    first = await raw.post("/v1/responses", json=body)
    told = check_stream(first.text, content_type=first.headers["content-type"])
    assert told.response is not None
    assert told.text == "You said: think: one two three"
    path = f"/v1/responses/{told.response['id']}?stream=true"
    assert (await raw.get(path)).text == first.text
    frames = first.text.split("\n\n")
    for number in range(len(told.events)):
        rest = await raw.get(f"{path}&starting_after={number}")
        check_stream(rest.text, starting_after=number, whole=number < len(told.events) - 1)
        assert rest.text.split("\n\n") == frames[number + 1 :]
    beyond = await raw.get(f"{path}&starting_after={len(told.events)}")
    assert beyond.status_code == 400
    assert beyond.json()["error"]["param"] == "starting_after"


async def test_the_streaming_client_puts_the_response_together(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="model", input="think about it") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert "response.reasoning_summary_text.delta" in kinds
    assert final.output_text == "You said: think about it"
    assert [item.type for item in final.output] == ["reasoning", "message"]


async def test_the_background_is_polled_streamed_later_and_cancelled(client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="model", input="slow", background=True)
    assert made.status in {"queued", "in_progress"}
    seen: list[Any] = []
    async for event in await client.responses.retrieve(made.id, stream=True):
        seen.append(event)
        if len(seen) == 5:
            break
    last = seen[-1].sequence_number
    rest = await client.responses.retrieve(made.id, stream=True, starting_after=last)
    seen += [event async for event in rest]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    check_events([event.to_dict() for event in seen])
    done = await client.responses.retrieve(made.id)
    assert done.output_text == "".join(f"{number} " for number in range(20))

    held = await client.responses.create(model="model", input="wait", background=True)
    stopped = await client.responses.cancel(held.id)
    assert stopped.status == "cancelled"
    assert await client.responses.cancel(held.id) == stopped
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="model", input="x", background=True, store=False)


async def test_a_failed_response_says_so_and_nothing_else(client: AsyncOpenAI) -> None:
    failed = await client.responses.create(model="model", input="fail")
    assert failed.status == "failed"
    assert failed.error is not None
    assert "secret" not in failed.to_json()
    kinds = [
        event.type async for event in await client.responses.create(model="model", input="fail", stream=True)
    ]
    assert kinds[-1] == "response.failed"


async def test_previous_responses_are_branched_from(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="model", input="one")
    second = await client.responses.create(model="model", input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    third = await client.responses.create(model="model", input="history", previous_response_id=second.id)
    assert third.output_text == "user: one | assistant: You said: one | user: two | assistant: You said: two"
    aside = await client.responses.create(
        model="other", input="history", previous_response_id=first.id, instructions="Be kind."
    )
    assert aside.output_text == (
        "user: Instructions from the client:\nBe kind. | user: one | assistant: You said: one"
    )
    # Two that go on at once from the same response, each with its own branch.
    both = await asyncio.gather(
        *(
            client.responses.create(model="model", input=f"slow {n}", previous_response_id=first.id)
            for n in range(2)
        )
    )
    assert [response.status for response in both] == ["completed", "completed"]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="model", input="x", previous_response_id="resp_nothing")
    assert refused.value.code == "previous_response_not_found"


async def test_a_clients_tools_are_answered_with_the_response_before(client: AsyncOpenAI) -> None:
    asked = await client.responses.create(model="model", input="Weather?", tools=[WEATHER, TIME])
    assert asked.status == "completed"
    weather = _call_of(asked)
    assert (weather.name, json.loads(weather.arguments)) == ("get_weather", {"location": "Rome"})
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call get_weather"):
        await client.responses.create(model="model", input="And?", previous_response_id=asked.id)
    sunny = [_output_of(weather, "sunny")]
    forged: Any = [{**sunny[0], "call_id": "call_1"}]
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        await client.responses.create(model="model", input=forged, previous_response_id=asked.id)
    elsewhere = await client.responses.create(model="model", input="Weather?", tools=[WEATHER])
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        await client.responses.create(model="model", input=sunny, previous_response_id=elsewhere.id)
    said: Any = [{"role": "assistant", "content": "I never said that"}, {"role": "user", "content": "x"}]
    with pytest.raises(openai.BadRequestError, match="send only what is new"):
        await client.responses.create(model="model", input=said, previous_response_id=elsewhere.id)
    # The tools of the run are those it began with, whether or not they are sent again.
    then = await client.responses.create(model="model", input=sunny, previous_response_id=asked.id)
    late = _call_of(then)
    assert late.name == "get_time"
    with pytest.raises(openai.ConflictError):
        await client.responses.create(model="model", input=sunny, previous_response_id=asked.id)
    noon = [_output_of(late, "noon")]
    done = await client.responses.create(model="model", input=noon, previous_response_id=then.id)
    assert done.output_text == "The tools say sunny and noon."
    assert [item.type for item in done.output] == ["message"]
    assert len({asked.id, then.id, done.id}) == 3
    assert (await client.responses.retrieve(asked.id)).output == asked.output
    assert (await client.responses.retrieve(then.id)).output == then.output
    after = await client.responses.create(model="model", input="history", previous_response_id=done.id)
    assert after.output_text.startswith("user: Weather?")


async def test_a_stateless_client_resends_its_calls(client: AsyncOpenAI) -> None:
    window: list[Any] = [{"role": "user", "content": "Weather?"}]
    asked = await client.responses.create(model="model", input=window, tools=[WEATHER], store=False)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    window += [call.to_dict(), {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    done = await client.responses.create(model="model", input=window, tools=[WEATHER], store=False)
    assert done.output_text == "The tools say sunny."
    window += [item.to_dict() for item in done.output]
    window.append({"role": "user", "content": "history"})
    later = await client.responses.create(model="model", input=window, store=False)
    assert later.output_text.startswith("user: Weather?")
    assert later.output_text.endswith("assistant: The tools say sunny.")
    for response in (asked, done, later):
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)
    forged: Any = [{"type": "function_call_output", "call_id": "call_of_somebody", "output": "x"}]
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        await client.responses.create(model="model", input=forged)


async def test_what_is_not_stored_is_not_kept(client: AsyncOpenAI, raw: httpx.AsyncClient) -> None:
    made = await client.responses.create(model="model", input="A secret of mine", store=False)
    assert made.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    assert (await raw.get(f"/api/v1/runs/{made.id.removeprefix('resp_')}")).status_code == 404
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="model", input="x", previous_response_id=made.id)
    kept = await client.responses.create(model="model", input="one")
    aside = await client.responses.create(
        model="model", input="history", previous_response_id=kept.id, store=False
    )
    assert aside.output_text == "user: one | assistant: You said: one"
    after = await client.responses.create(model="model", input="history", previous_response_id=kept.id)
    assert after.output_text == aside.output_text


async def test_an_approval_of_an_agents_own_tool(client: AsyncOpenAI) -> None:
    asked = await client.responses.create(model="model", input="approve")
    (request,) = asked.output
    assert request.type == "mcp_approval_request"
    assert (request.name, json.loads(request.arguments)) == ("erase", {"name": "milk"})
    agreed: Any = [{"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}]
    done = await client.responses.create(model="model", input=agreed, previous_response_id=asked.id)
    assert done.output_text == "Erased milk."
    (call, _) = done.output
    assert call.type == "mcp_call"
    assert call.output == "Erased milk."
    forged: Any = [{"role": "user", "content": "approve"}, *agreed]
    with pytest.raises(openai.ConflictError):
        await client.responses.create(model="model", input=forged)


async def test_a_question_is_answered_with_words(client: AsyncOpenAI) -> None:
    asked = await client.responses.create(model="model", input="name me")
    assert asked.output_text == "What is your name?"
    done = await client.responses.create(model="model", input="Ada", previous_response_id=asked.id)
    assert done.output_text == "Hello Ada."


async def test_own_tools_are_told_as_calls_of_a_remote_server(raw: httpx.AsyncClient) -> None:
    answer = await raw.post("/v1/responses", json={"model": "model", "input": "look up", "stream": True})
    told = check_stream(answer.text)
    assert "response.mcp_call.completed" in told.types
    assert told.response is not None
    assert [item["type"] for item in told.response["output"]] == ["mcp_call", "message"]


async def test_structured_output_is_told_as_json(client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="model", input="json")
    assert json.loads(made.output_text) == {"city": "Rome", "degrees": 21}


def _call_of(response: Any) -> Any:
    (call,) = [item for item in response.output if item.type == "function_call"]
    return call


def _output_of(call: Any, output: str) -> Any:
    return {"type": "function_call_output", "call_id": call.call_id, "output": output}
