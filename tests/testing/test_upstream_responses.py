"""The scripted upstream's Responses wire, as the real `openai` client reads it."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from landline.testing.upstream import (
    Reasoning,
    ScriptedUpstream,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
    Usage,
)

Connect = Callable[[ScriptedUpstream], AsyncOpenAI]

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def make(upstream: ScriptedUpstream) -> AsyncOpenAI:
        clients.append(AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0, timeout=5.0))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def _events(client: AsyncOpenAI, **more: Any) -> list[Any]:
    stream = await client.responses.create(model="m", input="hi", stream=True, **more)
    events: list[Any] = [event async for event in stream]
    for event in events:  # the client builds its models without validating; the wire has to hold to the types
        _EVENT.validate_python(event.to_dict())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def _kinds(events: list[Any]) -> list[str]:
    return [event.type.removeprefix("response.") for event in events]


async def test_a_text_comes_as_the_full_sequence_of_events(connect: Connect) -> None:
    with ScriptedUpstream([Text("one two", usage=Usage(input_tokens=2, output_tokens=3))]) as upstream:
        events = await _events(connect(upstream))
    assert _kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    final = events[-1].response
    assert (final.output_text, final.status, final.usage.total_tokens) == ("one two", "completed", 5)
    assert events[0].response.status == "in_progress"


async def test_parallel_calls_and_reasoning_are_items_of_their_own(connect: Connect) -> None:
    calls = ToolCalls([ToolCall("add", {"a": 1}), ToolCall("add", {"a": 2})])
    with ScriptedUpstream([Reasoning("hm", answer=calls)]) as upstream:
        events = await _events(connect(upstream))
    assert [item.type for item in events[-1].response.output] == [
        "reasoning",
        "function_call",
        "function_call",
    ]
    assert [json.loads(item.arguments)["a"] for item in events[-1].response.output[1:]] == [1, 2]
    deltas = [
        e.delta for e in events if e.type == "response.function_call_arguments.delta" and e.output_index == 2
    ]
    assert json.loads("".join(deltas)) == {"a": 2}
    assert [e.delta for e in events if e.type == "response.reasoning_summary_text.delta"] == ["hm"]


async def test_the_client_assembles_a_stream_into_its_final_response(connect: Connect) -> None:
    script = [Reasoning("hm", answer=ToolCalls([ToolCall("add", {"a": 1})], text="let me see"))]
    with ScriptedUpstream(script) as upstream:
        async with connect(upstream).responses.stream(model="m", input="hi") as stream:
            final = await stream.get_final_response()
    assert final.output_text == "let me see"


async def test_an_answer_that_is_not_streamed_says_the_same(connect: Connect) -> None:
    with ScriptedUpstream([Text("so", finish="length")]) as upstream:
        client = connect(upstream)
        answer = Response.model_validate((await client.responses.create(model="m", input="hi")).to_dict())
        assert (answer.output_text, answer.status) == ("so", "incomplete")
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == "max_output_tokens"
        assert _kinds(await _events(client))[-1] == "incomplete"


async def test_turns_are_counted_in_the_input_and_across_stored_responses(connect: Connect) -> None:
    with ScriptedUpstream(
        [ToolCalls([ToolCall("add"), ToolCall("add")]), Text("done"), Text("again")]
    ) as upstream:
        client = connect(upstream)
        first = await client.responses.create(model="m", input="hi")
        results: Any = [
            {"type": "function_call_output", "call_id": item.call_id, "output": "1"}
            for item in first.output
            if item.type == "function_call"
        ]
        stored = await client.responses.create(model="m", input=results, previous_response_id=first.id)
        sent: Any = [{"role": "user", "content": "hi"}, *(item.to_dict() for item in first.output), *results]
        resent = await client.responses.create(model="m", input=sent)
        third = await client.responses.create(model="m", input="more", previous_response_id=stored.id)
    assert (stored.output_text, resent.output_text, third.output_text) == ("done", "done", "again")


async def test_an_object_comes_in_the_form_the_client_asked_for(connect: Connect) -> None:
    value = {"city": "Oslo"}
    text: Any = {"format": {"type": "json_schema", "name": "place", "schema": {"type": "object"}}}
    tool: Any = {
        "type": "function",
        "name": "final_result",
        "parameters": {"type": "object"},
        "strict": False,
    }
    with ScriptedUpstream([Structured(value)]) as upstream:
        client = connect(upstream)
        assert (
            json.loads((await client.responses.create(model="m", input="hi", text=text)).output_text) == value
        )
        for more in ({}, {"tool_choice": {"type": "function", "name": "final_result"}}):
            answer = (await _events(client, tools=[tool], **more))[-1].response
            assert json.loads(answer.output[0].arguments) == value


async def test_without_a_script_the_last_user_text_comes_back(connect: Connect) -> None:
    with ScriptedUpstream() as upstream:
        answer = await connect(upstream).responses.create(model="m", input="canary")
        assert answer.output_text == "echo: canary"
