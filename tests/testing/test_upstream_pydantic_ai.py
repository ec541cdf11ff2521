"""The scripted upstream under Pydantic AI, and what Pydantic AI makes of each fault.

The second half pins behaviour that is not ours: adapters rely on it, and must see a release that changes it.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ModelResponse
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelServerError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
)
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.output import NativeOutput
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from landline.testing.upstream import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    Reasoning,
    Reply,
    Request,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
)

Connect = Callable[..., Model]

_ANSWER = Text("one two three four")
_ADD = ToolCalls([ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})])


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture(params=["chat", "responses"])
def api(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def connect(api: str) -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def make(upstream: ScriptedUpstream, *, timeout_s: float = 5.0, profile: Any = None) -> Model:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="test", max_retries=0, timeout=timeout_s)
        clients.append(client)
        kind = OpenAIChatModel if api == "chat" else OpenAIResponsesModel
        return kind("gpt-4o", provider=OpenAIProvider(openai_client=client), profile=profile)

    yield make
    for client in clients:
        await client.close()


def _agent(model: Model) -> tuple[Agent[None, str], list[int]]:
    agent = Agent(model)
    sums: list[int] = []

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        sums.append(a + b)
        return a + b

    return agent, sums


async def _streamed(agent: Agent[None, Any]) -> tuple[Any, list[ModelResponse]]:
    """Run as an adapter does: node by node, every model request streamed to its end."""
    responses: list[ModelResponse] = []
    async with agent.iter("hi") as run:
        async for node in run:
            if Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    async for _ in stream:
                        pass
                    responses.append(stream.response)
        assert run.result is not None
        return run.result.output, responses


async def test_tools_run_and_the_conversation_goes_on(connect: Connect) -> None:
    with ScriptedUpstream([Reasoning("hm", answer=_ADD), Text("three and seven")]) as upstream:
        agent, sums = _agent(connect(upstream))
        output, responses = await _streamed(agent)
        assert (output, sorted(sums)) == ("three and seven", [3, 7])
        assert [part.part_kind for part in responses[0].parts] == ["thinking", "tool-call", "tool-call"]
        assert (await agent.run("hi")).output == "three and seven"
        assert [request.turn for request in upstream.requests] == [0, 1, 0, 1]
        assert responses[1].usage.output_tokens == 3


async def test_structured_output_comes_by_tool_and_by_response_format(connect: Connect) -> None:
    with ScriptedUpstream([Structured({"city": "Oslo", "people": 7})]) as upstream:
        model = connect(upstream)
        expected = Place(city="Oslo", people=7)
        by_tool: Agent[None, Any] = Agent(model, output_type=Place)
        by_format: Agent[None, Any] = Agent(model, output_type=NativeOutput(Place))
        for agent in (by_tool, by_format):
            assert (await agent.run("hi")).output == expected
            assert (await _streamed(agent))[0] == expected
        async with by_tool.run_stream("hi") as run:
            partial = [seen async for seen in run.stream_output(debounce_by=None)]
        assert partial[-1] == expected


async def test_a_cancelled_run_closes_its_connection(connect: Connect) -> None:
    with ScriptedUpstream([Stall(after_tokens=1)]) as upstream:
        async with Agent(connect(upstream)).iter("hi") as run:
            node = await anext(aiter(run))
            while not Agent.is_model_request_node(node):
                node = await anext(aiter(run))
            async with node.stream(run.ctx) as stream:
                assert await anext(aiter(stream))
        assert (await upstream.wait_disconnected(0, timeout_s=1.0)).tokens_sent == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Status(429), ModelRateLimitError),
        (Status(500), ModelServerError),
        (Stall(after_tokens=2, answer=_ANSWER), ModelTimeoutError),
        (Cut(after_tokens=2, answer=_ANSWER), ModelConnectionError),
        (Malformed(after_tokens=2, answer=_ANSWER), ModelAPIError),
        (StreamError(after_tokens=2, answer=_ANSWER), ModelServerError),
        (Html(), (UnexpectedModelBehavior, ModelAPIError)),
        (CutClean(after_tokens=0, answer=_ANSWER), UnexpectedModelBehavior),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
async def test_a_loud_fault_fails_the_run(connect: Connect, fault: Fault, error: type[Exception]) -> None:
    with ScriptedUpstream(lambda _: fault) as upstream:
        model = connect(upstream, timeout_s=0.3 if isinstance(fault, Stall) else 5.0)
        with pytest.raises(error):
            await _streamed(Agent(model))
        with pytest.raises(error):
            await Agent(model).run("hi")


async def test_bad_arguments_are_sent_back_to_the_model(connect: Connect) -> None:
    with ScriptedUpstream([BadArguments(answer=_ADD), _ADD, Text("done")]) as upstream:
        agent, sums = _agent(connect(upstream))
        assert (await _streamed(agent))[0] == "done"
        assert sorted(sums) == [3, 7]


async def test_a_clean_cut_is_completed_in_silence_and_only_the_details_tell(connect: Connect) -> None:
    """Neither `finish_reason` (chat: "stop") nor `state` ("complete") tells of the loss when streamed."""
    with ScriptedUpstream([CutClean(after_tokens=2, answer=_ANSWER)]) as upstream:
        output, responses = await _streamed(Agent(connect(upstream)))
        assert output == "one two"
        assert responses[0].state == "complete"
        assert responses[0].finish_reason in ("stop", None)
        assert "finish_reason" not in (responses[0].provider_details or {})


async def test_a_whole_answer_keeps_the_raw_reason_in_its_details(connect: Connect) -> None:
    """An honest end, and a length limit, which Pydantic AI completes all the same."""
    raw = {"stop": {"stop", "completed"}, "length": {"length", "max_output_tokens"}}
    for finish in ("stop", "length"):
        with ScriptedUpstream([Text("one two", finish=finish)]) as upstream:
            _, responses = await _streamed(Agent(connect(upstream)))
            assert responses[0].finish_reason == finish
            assert (responses[0].provider_details or {})["finish_reason"] in raw[finish]


async def test_a_clean_cut_tool_call_with_whole_arguments_runs(connect: Connect) -> None:
    def brain(request: Request) -> Reply:
        return Text("done") if request.turn else CutClean(after_tokens=99, answer=_ADD)

    with ScriptedUpstream(brain) as upstream:
        agent, sums = _agent(connect(upstream))
        assert (await _streamed(agent))[0] == "done"
        assert sorted(sums) == [3, 7]


@pytest.mark.parametrize("api", ["chat"])  # Responses has no such setting
async def test_a_profile_setting_turns_a_clean_cut_of_a_chat_stream_into_an_error(connect: Connect) -> None:
    profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    with ScriptedUpstream([CutClean(after_tokens=2, answer=_ANSWER)]) as upstream:
        model = connect(upstream, profile=profile)
        with pytest.raises(ModelAPIError, match="without a `finish_reason`"):
            await _streamed(Agent(model))
        assert (await Agent(model).run("hi")).output == "one two"
