"""What the real SDKs and frameworks put together from a stream is the same with our wire under them and without."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx2
import pytest
from agents import ModelSettings, ModelTracing, OpenAIChatCompletionsModel, OpenAIResponsesModel
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from openai.lib.streaming._deltas import accumulate_delta
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.openai import OpenAIResponsesModel as PydanticResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.upstream.streams import clients_of, fit
from tests.upstream.streams.provider import provider, say_all
from tests.upstream.streams.wires import chat, responses

TEXTS: list[tuple[list[str], list[str], list[str]]] = [
    (["Hel", "lo", " wor", "ld"], [], ['{"a"', ":1", "}"]),
    (["\n\n", "Hi", " ", "there", "\n"], ["think", "ing", " hard"], ['{"k":"', "é", '"}']),
    (["日", "本", "語", " 😀", '"q"', "\\", "\t"], ["a", "", "b"], ["{", "}"]),
    (["<think>", "hm", " hm", "</think>", "so", " yes"], [], ['{"t":[', "1,", "2", "]}"]),
    (["a <", "b", "> c", "<", "think", ">", "d"], ["x"], ["{}"]),
    ([], ["only", " thought"], ['{"x":', "null", "}"]),
    ([" ", "  ", "after", " blanks"], [], []),
    (["one"], ["two"], ['{"three":3}']),
]

Put = Callable[[AsyncOpenAI], Awaitable[Any]]


async def _openai_chat(client: AsyncOpenAI) -> Any:
    stream: Any = await client.chat.completions.create(model="m", messages=[], stream=True)
    whole: dict[object, object] = {}
    async for chunk in stream:
        plain = chunk.model_dump(exclude={"choices"}) | {"obfuscation": None}
        for choice in chunk.choices:
            whole = accumulate_delta(
                whole, {"delta": choice.delta.model_dump(), "finish_reason": choice.finish_reason}
            )
        whole["usage"], whole["id"] = plain["usage"], plain["id"]
    return whole


async def _openai_helper(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(model="m", messages=[]) as stream:
        return (await stream.get_final_completion()).model_dump()


async def _openai_responses(client: AsyncOpenAI) -> Any:
    async with client.responses.stream(model="m", input="x") as stream:
        text, last = "", 0
        async for event in stream:
            assert event.sequence_number >= last
            last = event.sequence_number
            if event.type == "response.output_text.delta":
                text += event.delta
        return text, last, (await stream.get_final_response()).model_dump()


async def _pydantic(model: Any) -> Any:
    async with model_request_stream(model, [ModelRequest.user_text_prompt("x")]) as stream:
        async for _ in stream:
            pass
        answer = stream.get()
    return [(type(part).__name__, _facts(part)) for part in answer.parts], answer.usage, answer.finish_reason


def _facts(part: Any) -> dict[str, Any]:
    return {
        name: getattr(part, name, None)
        for name in ("content", "tool_name", "args", "tool_call_id", "id", "signature")
    }


async def _pydantic_chat(client: AsyncOpenAI) -> Any:
    return await _pydantic(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)))


async def _pydantic_responses(client: AsyncOpenAI) -> Any:
    return await _pydantic(PydanticResponsesModel("m", provider=OpenAIProvider(openai_client=client)))


async def _langchain(client: AsyncOpenAI, **more: Any) -> Any:
    own: Any = {
        "base_url": str(client.base_url),
        "api_key": "k",
        "http_async_client": vars(client)["_client"],
    }
    model = ChatOpenAI(model="m", **own, **more)
    whole: AIMessageChunk | None = None
    async for chunk in model.astream("x"):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    facts = whole.model_dump(exclude={"id", "content"})
    return facts, whole.text, whole.content_blocks


async def _langchain_chat(client: AsyncOpenAI) -> Any:
    return await _langchain(client)


async def _langchain_responses(client: AsyncOpenAI) -> Any:
    return await _langchain(client, use_responses_api=True)


async def _agents(model: Any) -> Any:
    settings: dict[str, Any] = {
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
    }
    settings |= {"previous_response_id": None, "conversation_id": None, "prompt": None}
    final: Any = None
    async for event in model.stream_response(None, "x", ModelSettings(), **settings):
        if event.type == "response.completed":
            final = event.response.model_dump(exclude={"id", "created_at"})
    return final


async def _agents_chat(client: AsyncOpenAI) -> Any:
    return await _agents(OpenAIChatCompletionsModel("m", client))


async def _agents_responses(client: AsyncOpenAI) -> Any:
    return await _agents(OpenAIResponsesModel("m", client))


CHAT = {
    "openai": _openai_chat,
    "openai-helper": _openai_helper,
    "pydantic_ai": _pydantic_chat,
    "langchain": _langchain_chat,
    "openai_agents": _agents_chat,
}
RESPONSES = {
    "openai": _openai_responses,
    "pydantic_ai": _pydantic_responses,
    "langchain": _langchain_responses,
    "openai_agents": _agents_responses,
}


async def both(put: Put, whole: Sequence[bytes]) -> tuple[Any, Any]:
    """Return what is put together token by token from the bare client, and from all that waits, merged."""
    told: list[Any] = []
    for fitted in (False, True):
        async with (
            provider(say_all(whole)) as upstream,
            httpx2.AsyncClient(trust_env=False) as http,
            AsyncOpenAI(base_url=upstream.url, api_key="k", http_client=http, max_retries=0) as client,
        ):
            if fitted:
                assert clients_of(client) == [http]
                assert fit(http).fitted
            told.append(await put(client))
    return told[0], told[1]


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize(
    "texts", TEXTS, ids=lambda texts: "".join(texts[0])[:8].encode("unicode_escape").decode()
)
async def test_chat_completions_add_up_to_the_same(name: str, texts: tuple[list[str], ...]) -> None:
    for ascii_only in (True, False):
        bare, merged = await both(CHAT[name], chat(*texts, ascii_only=ascii_only))
        assert bare == merged


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize(
    "texts", TEXTS, ids=lambda texts: "".join(texts[0])[:8].encode("unicode_escape").decode()
)
async def test_responses_add_up_to_the_same(name: str, texts: tuple[list[str], ...]) -> None:
    for ascii_only in (True, False):
        bare, merged = await both(RESPONSES[name], responses(*texts, ascii_only=ascii_only))
        assert bare == merged


async def test_an_error_in_mid_stream_comes_after_the_same_text() -> None:
    failed = b'data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":"x"}}\n\n'

    async def put(client: AsyncOpenAI) -> Any:
        stream: Any = await client.chat.completions.create(model="m", messages=[], stream=True)
        text = ""
        try:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
        except Exception as error:  # whatever the SDK makes of it, it is the same twice
            return text, type(error), str(error)
        return None

    bare, merged = await both(put, [*chat(["a", "b", "c"], [], [])[:4], failed, *chat(["d"], [], [])[1:]])
    assert bare == merged
    assert bare[0] == "abc"


async def test_logprobs_and_refusals_are_all_there() -> None:
    logprobs = {
        "content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}],
        "refusal": None,
    }
    whole = [
        event.replace(b'"logprobs":null', b'"logprobs":' + json.dumps(logprobs).encode())
        for event in chat(["a"] * 6, [], [])
    ]
    refusals = [event.replace(b'"content":"n', b'"refusal":"n') for event in chat(["no", "nope"], [], [])]
    for events in (whole, refusals):
        bare, merged = await both(_openai_helper, events)
        assert bare == merged


async def test_fewer_chunks_reach_the_sdk() -> None:
    async def count(client: AsyncOpenAI) -> int:
        stream: Any = await client.chat.completions.create(model="m", messages=[], stream=True)
        return len([chunk async for chunk in stream])

    bare, merged = await both(count, chat(["w"] * 100, [], []))
    assert bare - merged >= 99
