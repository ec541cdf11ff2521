"""The scripted upstream's Chat Completions wire, as the real `openai` client reads it."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from landline.testing.upstream import (
    Defaults,
    Reasoning,
    Reply,
    Request,
    ScriptedUpstream,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
    Usage,
)

Connect = Callable[[ScriptedUpstream], AsyncOpenAI]

_HI: Any = [{"role": "user", "content": "hi"}]
_ADD: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def make(upstream: ScriptedUpstream) -> AsyncOpenAI:
        clients.append(AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0, timeout=5.0))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def _chunks(client: AsyncOpenAI, **more: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(model="m", messages=_HI, stream=True, **more)
    chunks = [chunk async for chunk in stream]
    for chunk in chunks:  # the client builds its models without validating; the wire has to hold to the types
        ChatCompletionChunk.model_validate(chunk.to_dict())
    return chunks


async def _whole(client: AsyncOpenAI, **more: Any) -> ChatCompletion:
    answer = await client.chat.completions.create(model="m", messages=_HI, stream=False, **more)
    return ChatCompletion.model_validate(answer.to_dict())


def _text(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_a_text_streams_word_by_word_and_ends_with_its_finish_reason(connect: Connect) -> None:
    with ScriptedUpstream([Text("one two  three\n")]) as upstream:
        chunks = await _chunks(connect(upstream))
        words = [c.choices[0].delta.content for c in chunks]
        assert words == ["", "one", " two", "  three", "\n", None]
        assert [c.choices[0].finish_reason for c in chunks] == [None] * 5 + ["stop"]
        assert upstream.exchange(0).outcome == "completed"
        assert upstream.exchange(0).tokens_sent == 4


async def test_usage_comes_in_a_last_chunk_only_when_asked_for(connect: Connect) -> None:
    with ScriptedUpstream(
        [Text("a b", usage=Usage(input_tokens=7, output_tokens=9, cached_tokens=3))]
    ) as upstream:
        client = connect(upstream)
        assert [c.usage for c in await _chunks(client)] == [None] * 4
        *before, last = await _chunks(client, stream_options={"include_usage": True})
        assert last.choices == []
        assert last.usage is not None
        assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (7, 9, 16)
        assert all("usage" in c.model_fields_set and c.usage is None for c in before)


async def test_a_text_is_cut_into_as_many_tokens_as_asked_for(connect: Connect) -> None:
    with ScriptedUpstream([Text("abcdefgh", tokens=3, model="other")]) as upstream:
        chunks = await _chunks(connect(upstream))
        assert [c.choices[0].delta.content for c in chunks[1:-1]] == ["ab", "cde", "fgh"]
        assert {c.model for c in chunks} == {"other"}


async def test_parallel_tool_calls_stream_their_arguments_in_fragments(connect: Connect) -> None:
    calls = [ToolCall("add", {"a": 1, "b": [2, 3]}), ToolCall("say", {"text": 'a "quoted" ☃'}, id="mine")]
    with ScriptedUpstream([ToolCalls(calls, text="let me see")]) as upstream:
        chunks = await _chunks(connect(upstream))
    arguments, names, ids = ["", ""], ["", ""], ["", ""]
    for part in (t for c in chunks for t in c.choices[0].delta.tool_calls or []):
        assert part.function is not None
        names[part.index] += part.function.name or ""
        ids[part.index] += part.id or ""
        arguments[part.index] += part.function.arguments or ""
    assert [json.loads(text) for text in arguments] == [
        dict(c.arguments) for c in calls if not isinstance(c.arguments, str)
    ]
    assert (names, ids[1]) == (["add", "say"], "mine")
    assert ids[0]
    assert _text(chunks) == "let me see"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_an_answer_that_is_not_streamed_says_the_same(connect: Connect) -> None:
    script = [ToolCalls([ToolCall("add", {"a": 1})]), Text("done", finish="length")]
    with ScriptedUpstream(lambda request: script[request.index]) as upstream:
        client = connect(upstream)
        first, second = await _whole(client), await _whole(client)
    call = (first.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1})
    assert (first.choices[0].finish_reason, first.choices[0].message.content) == ("tool_calls", None)
    assert (second.choices[0].finish_reason, second.choices[0].message.content) == ("length", "done")
    assert second.usage is not None
    assert (second.usage.prompt_tokens, second.usage.completion_tokens) == (1, 1)


async def test_reasoning_comes_before_the_answer_in_a_field_of_its_own(connect: Connect) -> None:
    with ScriptedUpstream([Reasoning("hm hm", answer=Text("so"))]) as upstream:
        client = connect(upstream)
        deltas = [c.choices[0].delta.to_dict() for c in await _chunks(client)]
        whole = (await _whole(client)).choices[0].message.to_dict()
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["hm", " hm"]
    assert [d["content"] for d in deltas if d.get("content")] == ["so"]
    assert (whole["reasoning_content"], whole["content"]) == ("hm hm", "so")


async def test_an_object_comes_in_the_form_the_client_asked_for(connect: Connect) -> None:
    value = {"city": "Oslo"}
    schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": {"type": "object"}}}
    named = {"type": "function", "function": {"name": "add"}}
    with ScriptedUpstream([Structured(value)]) as upstream:
        client = connect(upstream)
        assert json.loads(_text(await _chunks(client, response_format=schema, tools=[_ADD]))) == value
        assert json.loads(_text(await _chunks(client))) == value
        for choice in ("required", named):
            calls = (await _whole(client, tools=[_ADD], tool_choice=choice)).choices[
                0
            ].message.tool_calls or []
            assert calls[0].type == "function"
            assert json.loads(calls[0].function.arguments) == value


async def test_a_list_answers_by_the_turns_of_each_conversation(connect: Connect) -> None:
    with ScriptedUpstream(
        [ToolCalls([ToolCall("add"), ToolCall("add")]), Text("done"), Text("again")]
    ) as upstream:
        client = connect(upstream)
        history = list(_HI)
        for expected in (None, "done", "again"):
            answer = await client.chat.completions.create(model="m", messages=history)
            other = await client.chat.completions.create(model="m", messages=_HI)
            assert other.choices[0].finish_reason == "tool_calls"
            message = answer.choices[0].message
            assert message.content == expected
            history.append(message.to_dict())
            history += [
                {"role": "tool", "tool_call_id": call.id, "content": "1"} for call in message.tool_calls or []
            ] or _HI
        assert [request.turn for request in upstream.requests] == [0, 0, 1, 0, 2, 0]
        with pytest.raises(BadRequestError, match="turn 4 of a conversation scripted for 3"):
            await client.chat.completions.create(model="m", messages=history)


async def test_a_callable_sees_the_request_and_its_failure_reaches_the_client(connect: Connect) -> None:
    def brain(request: Request) -> Reply:
        if request.text == "hi":
            return Text(f"{request.model} {request.api} {request.headers['authorization']}")
        raise LookupError("not scripted")

    with ScriptedUpstream(brain) as upstream:
        client = connect(upstream)
        assert (await _whole(client)).choices[0].message.content == "m chat Bearer test"
        with pytest.raises(InternalServerError, match="not scripted"):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "ho"}])


@pytest.mark.parametrize("text", ["canary-7", "zwei Wörter ☃\n", ""])
async def test_without_a_script_the_last_user_text_comes_back(connect: Connect, text: str) -> None:
    parts: Any = [
        {"role": "user", "content": "before"},
        {"role": "user", "content": [{"type": "text", "text": text}]},
    ]
    with ScriptedUpstream() as upstream:
        answer = await connect(upstream).chat.completions.create(model="m", messages=parts)
        assert answer.choices[0].message.content == f"echo: {text}"


async def test_models_are_listed_and_nonsense_is_refused(connect: Connect) -> None:
    with ScriptedUpstream(defaults=Defaults(model="house")) as upstream:
        client = connect(upstream)
        assert [model.id async for model in client.models.list()] == ["house"]
        bad: Any = "no list"
        with pytest.raises(BadRequestError, match="must be a list"):
            await client.chat.completions.create(model="m", messages=bad)
        assert upstream.requests == []
