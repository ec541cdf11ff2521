"""Chat Completions for the clients people use: OpenAI's own, LangChain, Pydantic AI and the OpenAI Agents SDK."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import agents as sdk
import httpx
import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.testing.kill import ServedProcess
from tests.e2e.openai_chat import AGENTS, WEATHER, fixture_server
from tests.e2e.test_openai_chat import PNG

EACH = pytest.mark.parametrize("agent", AGENTS)


class City(BaseModel):
    """What an answer is held to."""

    name: str
    people: int


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    process = fixture_server(tmp_path_factory.mktemp("openai-clients"))
    asyncio.run(process.start(60))
    yield process
    process.kill()


@pytest.fixture
async def client(server: ServedProcess) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's client with its own defaults, its retries included."""
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=30) as found:
        yield found


# --- OpenAI's own


@pytest.mark.contract("FACE-6", "AGT-5")
async def test_openai_lists_models(client: AsyncOpenAI) -> None:
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == [*AGENTS, "fixture_a2a"]
    assert await client.models.retrieve(AGENTS[0]) == listed[0]
    with pytest.raises(openai.NotFoundError) as missing:
        await client.models.retrieve("nobody")
    assert missing.value.code == "model_not_found"


@pytest.mark.contract("FACE-6")
@EACH
async def test_openai_chats_and_streams(client: AsyncOpenAI, agent: str) -> None:
    said: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "think of bread"}]
    answer = await client.chat.completions.with_raw_response.create(model=agent, messages=said)
    run_id = answer.headers["x-landline-run"]
    whole = answer.parse()
    assert run_id in whole.id
    assert whole.choices[0].message.content
    assert whole.choices[0].message.content.endswith("You said: think of bread")
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    content, reasoning, usage = "", "", None
    stream = await client.chat.completions.create(
        model=agent, messages=said, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", "")
    assert content == whole.choices[0].message.content
    assert reasoning == "Let me think. "
    assert usage == whole.usage


@pytest.mark.contract("FACE-6")
@EACH
async def test_openai_carries_out_tools(client: AsyncOpenAI, agent: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "the weather"}]
    tools: Any = [WEATHER]
    async with client.chat.completions.stream(model=agent, messages=messages, tools=tools) as stream:
        async for event in stream:
            if event.type == "tool_calls.function.arguments.done":
                assert event.name == "get_weather"
        first = await stream.get_final_completion()
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    messages += [message, *results]
    answer = await client.chat.completions.create(model=agent, messages=messages, tools=tools)
    assert answer.choices[0].message.content == "The result of get_weather is: sunny."


@pytest.mark.contract("FACE-6")
async def test_openai_sees_errors_and_does_not_repeat_a_run(client: AsyncOpenAI) -> None:
    fails: Any = [{"role": "user", "content": "fail"}]
    before = await _runs(client)
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="fixture_plain", messages=fails)
    assert await _runs(client) == before + 1, "the client would have tried three times"
    stream = await client.chat.completions.create(model="fixture_plain", messages=fails, stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="nobody", messages=fails)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="fixture_plain", messages=fails, n=2)
    assert refused.value.param == "n"
    asks: Any = [{"role": "user", "content": "approve"}]
    with pytest.raises(openai.ConflictError) as waits:
        await client.chat.completions.create(model="fixture_pydantic_ai", messages=asks)
    assert waits.value.code == "run_waiting"
    assert waits.value.response.headers["x-landline-run"] in waits.value.message


async def _runs(client: AsyncOpenAI) -> int:
    url = str(client.base_url).replace("/v1/", "/api/v1/runs?limit=200")
    async with httpx.AsyncClient() as reader:
        return len((await reader.get(url)).json()["items"])


@pytest.mark.contract("FACE-6", "ADP-2")
@EACH
async def test_openai_parses_an_answer_that_fits_a_schema(client: AsyncOpenAI, agent: str) -> None:
    said: Any = [{"role": "user", "content": "tell me of a city"}]
    answer = await client.chat.completions.parse(model=agent, messages=said, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)
    async with client.chat.completions.stream(model=agent, messages=said, response_format=City) as stream:
        final = await stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)
    free = await client.chat.completions.create(
        model=agent, messages=said, response_format={"type": "json_object"}
    )
    assert (free.choices[0].message.content or "").startswith("{")


@pytest.mark.contract("FACE-6", "ADP-2")
@EACH
async def test_openai_demands_a_call(client: AsyncOpenAI, agent: str) -> None:
    said: Any = [{"role": "user", "content": "tell me of a city"}]
    tools: Any = [WEATHER, {"type": "function", "function": {"name": "other"}}]
    chosen: Any = {"type": "function", "function": {"name": "get_weather"}}
    answer = await client.chat.completions.create(model=agent, messages=said, tools=tools, tool_choice=chosen)
    assert answer.choices[0].message.tool_calls
    (call,) = answer.choices[0].message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert '"city":' in call.function.arguments


# --- LangChain


def langchain(server: ServedProcess, agent: str, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=agent, base_url=f"{server.url}/v1", api_key=SecretStr("none"), **more)


@pytest.mark.contract("FACE-6")
@EACH
def test_langchain_chats_and_streams(server: ServedProcess, agent: str) -> None:
    model = langchain(server, agent, stream_usage=True)
    history = [HumanMessage("one"), AIMessage("Yes?"), HumanMessage("two")]
    assert model.invoke(history).content == "Before: one. You said: two"
    content, total = "", 0
    for chunk in model.stream([SystemMessage("Be kind."), HumanMessage("bread")]):
        content += str(chunk.content)
        total += (chunk.usage_metadata or {"total_tokens": 0})["total_tokens"]
    assert content.endswith("You said: bread")
    assert total > 0 or agent == "fixture_plain"


@pytest.mark.contract("FACE-6")
@EACH
def test_langchain_carries_out_tools(server: ServedProcess, agent: str) -> None:
    model = cast("Any", langchain(server, agent)).bind_tools([WEATHER])
    asked = HumanMessage("the weather")
    called = model.invoke([asked])
    (call,) = called.tool_calls
    result = ToolMessage("sunny", tool_call_id=call["id"])
    assert model.invoke([asked, called, result]).content == "The result of get_weather is: sunny."


@pytest.mark.contract("FACE-6", "ADP-2")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_structured_answers(server: ServedProcess, method: str) -> None:
    model = cast("Any", langchain(server, "fixture_pydantic_ai")).with_structured_output(City, method=method)
    assert isinstance(model.invoke("tell me of a city"), City)


# --- Pydantic AI


def pydantic_ai(client: AsyncOpenAI, agent: str, **more: Any) -> Agent[None, Any]:
    model = OpenAIChatModel(agent, provider=OpenAIProvider(openai_client=client))
    return cast("Agent[None, Any]", Agent(model, **more))


@pytest.mark.contract("FACE-6")
@EACH
async def test_pydantic_ai_chats_streams_and_shows_images(client: AsyncOpenAI, agent: str) -> None:
    asker = pydantic_ai(client, agent, instructions="Be kind.")
    first = await asker.run("one")
    assert first.output.endswith("You said: one")
    async with asker.run_stream("two", message_history=first.all_messages()) as stream:
        pieces = [text async for text in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces).endswith("Before: one. You said: two")
    assert len(pieces) > 1
    image = BinaryContent(base64.b64decode(PNG), media_type="image/png")
    assert "I see image/png of" in (await asker.run(["which image?", image])).output


@pytest.mark.contract("FACE-6")
@EACH
async def test_pydantic_ai_carries_out_tools(client: AsyncOpenAI, agent: str) -> None:
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    answer = await pydantic_ai(client, agent, tools=[get_weather]).run("the weather")
    assert answer.output == "The result of get_weather is: sunny."
    assert len(asked) == 1


@pytest.mark.contract("FACE-6", "ADP-2")
async def test_pydantic_ai_gets_structured_answers(client: AsyncOpenAI) -> None:
    for output in (NativeOutput(City), City):  # by a schema, and by a tool that must be called
        answer = await pydantic_ai(client, "fixture_pydantic_ai", output_type=output).run("a city")
        assert isinstance(answer.output, City)


# --- The OpenAI Agents SDK


def agents_sdk(client: AsyncOpenAI, agent: str, **more: Any) -> sdk.Agent[None]:
    model = sdk.OpenAIChatCompletionsModel(agent, client)
    return sdk.Agent(name="asker", model=model, **more)


UNTRACED = sdk.RunConfig(tracing_disabled=True)


@pytest.mark.contract("FACE-6")
@EACH
async def test_the_agents_sdk_chats_and_carries_out_tools(client: AsyncOpenAI, agent: str) -> None:
    asked: list[str] = []

    @sdk.function_tool
    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    plain = await sdk.Runner.run(agents_sdk(client, agent), "bread", run_config=UNTRACED)
    assert plain.final_output == "You said: bread"
    teller = agents_sdk(client, agent, tools=[get_weather], instructions="Be kind.")
    answer = await sdk.Runner.run(teller, "the weather", run_config=UNTRACED)
    assert answer.final_output == "The result of get_weather is: sunny."
    streamed = sdk.Runner.run_streamed(teller, "the weather", run_config=UNTRACED)
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output == answer.final_output
    assert len(asked) == 2


@pytest.mark.contract("FACE-6", "ADP-2")
async def test_the_agents_sdk_gets_structured_answers(client: AsyncOpenAI) -> None:
    asker = agents_sdk(client, "fixture_openai_agents", output_type=City)
    answer = await sdk.Runner.run(asker, "a city", run_config=UNTRACED)
    assert isinstance(answer.final_output, City)
