"""What the real `openai` client makes of every fault: the ground that adapters stand on."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncOpenAI,
    InternalServerError,
    RateLimitError,
)

from landline.testing.upstream import (
    BadArguments,
    Cut,
    CutClean,
    Fault,
    Html,
    Malformed,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Text,
    ToolCall,
    ToolCalls,
)

Connect = Callable[..., AsyncOpenAI]

_ANSWER = Text("one two three four")


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[AsyncOpenAI] = []

    def make(upstream: ScriptedUpstream, *, retries: int = 0, timeout_s: float = 5.0) -> AsyncOpenAI:
        client = AsyncOpenAI(
            base_url=upstream.base_url, api_key="test", max_retries=retries, timeout=timeout_s
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture(params=["chat", "responses"])
def api(request: pytest.FixtureRequest) -> str:
    return request.param


async def _read(client: AsyncOpenAI, api: str, *, stream: bool, heard: list[str]) -> str | None:
    """Read an answer to its end; the finish reason or final status, None without one."""
    finish: str | None = None
    if api == "chat":
        messages: Any = [{"role": "user", "content": "hi"}]
        answer: Any = await client.chat.completions.create(model="m", messages=messages, stream=stream)
        if not stream:
            heard.append(answer.choices[0].message.content)
            return answer.choices[0].finish_reason
        async for chunk in answer:
            heard.append(chunk.choices[0].delta.content or "")
            finish = chunk.choices[0].finish_reason or finish
        return finish
    answer = await client.responses.create(model="m", input="hi", stream=stream)
    if not stream:
        heard.append(answer.output_text)
        return answer.status
    async for event in answer:
        if event.type == "response.output_text.delta":
            heard.append(event.delta)
        if event.type in ("response.completed", "response.failed", "response.incomplete"):
            finish = event.response.status
    return finish


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Status(429), RateLimitError),
        (Status(500), InternalServerError),
        (Cut(answer=_ANSWER), APIConnectionError),
        (Cut(after_tokens=2, answer=_ANSWER), APIConnectionError),
        (Cut(after_tokens=99, answer=_ANSWER), APIConnectionError),
        (Malformed(after_tokens=2, answer=_ANSWER), json.JSONDecodeError),
        (Stall(after_tokens=2, answer=_ANSWER), APITimeoutError),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{getattr(value, 'after_tokens', '')}" if isinstance(value, Fault) else ""
    ),
)
async def test_a_loud_fault_raises(
    connect: Connect, api: str, fault: Fault, error: type[Exception], *, stream: bool
) -> None:
    heard: list[str] = []
    with ScriptedUpstream([fault]) as upstream:
        client = connect(upstream, timeout_s=0.2 if isinstance(fault, Stall) else 5.0)
        with pytest.raises(error):
            await _read(client, api, stream=stream, heard=heard)
        await upstream.wait_idle()
        expected = "disconnected" if isinstance(fault, Stall) else "faulted"
        assert upstream.exchange(0).outcome == expected
    after = getattr(fault, "after_tokens", 0) if stream else 0
    assert "".join(heard) == "".join(["one", " two", " three", " four"][:after])


@pytest.mark.parametrize(("after", "expected"), [(0, ""), (2, "one two"), (99, "one two three four")])
async def test_a_clean_cut_passes_the_client_unnoticed_but_for_its_missing_end(
    connect: Connect, api: str, after: int, expected: str
) -> None:
    for stream in (True, False):
        heard: list[str] = []
        with ScriptedUpstream([CutClean(after_tokens=after, answer=_ANSWER)]) as upstream:
            finish = await _read(connect(upstream), api, stream=stream, heard=heard)
            assert upstream.exchange(0).outcome == "faulted"
        assert "".join(heard) == expected
        assert finish == ("in_progress" if api == "responses" and not stream else None)


async def test_html_reads_as_an_empty_stream_or_as_a_string(connect: Connect, api: str) -> None:
    heard: list[str] = []
    with ScriptedUpstream([Html()]) as upstream:
        client = connect(upstream)
        assert await _read(client, api, stream=True, heard=heard) is None
        assert heard == []
        with pytest.raises(AttributeError, match="'str' object"):
            await _read(client, api, stream=False, heard=heard)


async def test_an_error_in_the_stream_is_raised_by_chat_and_an_event_in_responses(
    connect: Connect, api: str
) -> None:
    heard: list[str] = []
    with ScriptedUpstream([StreamError(after_tokens=2, answer=_ANSWER)]) as upstream:
        client = connect(upstream)
        if api == "chat":
            with pytest.raises(APIError, match="overloaded"):
                await _read(client, api, stream=True, heard=heard)
        else:
            assert await _read(client, api, stream=True, heard=heard) == "failed"
        with pytest.raises(InternalServerError, match="overloaded"):
            await _read(client, api, stream=False, heard=[])
    assert "".join(heard) == "one two"


async def test_the_first_attempts_fail_and_then_the_answer_comes(connect: Connect, api: str) -> None:
    """The client's own retries, with the server's Retry-After; then a second fault under the first."""
    flaky = Status(429, retry_after=0.01, first=2, answer=Cut(after_tokens=1, first=1, answer=Text("done")))
    heard: list[str] = []
    with ScriptedUpstream([flaky]) as upstream:
        client = connect(upstream, retries=3)
        with pytest.raises(APIConnectionError):
            await _read(client, api, stream=True, heard=heard)
        assert await _read(client, api, stream=True, heard=heard)
        assert [request.attempt for request in upstream.requests] == [0, 1, 2, 3]
        assert [upstream.exchange(i).outcome for i in range(4)] == ["faulted"] * 3 + ["completed"]
    assert "".join(heard) == "donedone"


async def test_bad_arguments_are_no_json_and_need_a_tool_call(connect: Connect) -> None:
    script = [
        BadArguments(answer=ToolCalls([ToolCall("add", {"a": 1})])),
        BadArguments(answer=Text("no call")),
    ]
    with ScriptedUpstream(lambda request: script[request.index]) as upstream:
        client = connect(upstream)
        answer = await client.responses.create(model="m", input="hi")
        assert answer.output[0].type == "function_call"
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.output[0].arguments)
        with pytest.raises(InternalServerError, match="needs an answer that calls tools"):
            await client.responses.create(model="m", input="hi")


async def test_a_fault_alone_spoils_an_echo_long_enough_for_it(connect: Connect) -> None:
    heard: list[str] = []
    with ScriptedUpstream([CutClean(after_tokens=5)]) as upstream:
        await _read(connect(upstream), "chat", stream=True, heard=heard)
        assert upstream.exchange(0).tokens_sent == 5
    assert "".join(heard).startswith("echo: hi t0")
