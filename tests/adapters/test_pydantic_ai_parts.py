"""The small parts of the Pydantic AI unit on their own: threads, failures, what providers do by themselves."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from pydantic_ai import Agent, exceptions
from pydantic_ai.capabilities import UseThreadExecutor
from pydantic_ai.messages import (
    Citation,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    WebCitationSource,
)

from landline.adapters.pydantic_ai import adapter, threads
from landline.adapters.pydantic_ai.events import Speech
from landline.adapters.pydantic_ai.failures import agent_failed
from landline.adapters.pydantic_ai.partial import Outputs
from landline.adapters.pydantic_ai.records import provider_tools
from landline.model import events as log
from landline.ports.adapter import AgentSpec
from landline.testing.line import MemoryLine, drive, turn_of
from tests.adapters.test_pydantic_ai_tools import telling


@pytest.mark.contract("ADP-8")
def test_sync_tools_share_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST", 2)
    pool, gate, names = threads.ToolThreads(), threading.Event(), set[str]()

    def work(number: int) -> int:
        names.add(threading.current_thread().name)
        gate.wait(5)
        return number

    futures: list[Future[int]] = [pool.submit(work, number) for number in range(5)]
    assert pool.running
    assert futures[4].cancel()
    gate.set()
    assert [future.result(5) for future in futures[:4]] == [0, 1, 2, 3]
    failing = pool.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    assert not pool.running
    assert names == {"landline-tool"}


@pytest.mark.contract("ADP-8")
async def test_an_agents_own_thread_pool_is_used() -> None:
    with ThreadPoolExecutor(thread_name_prefix="mine") as pool:
        agent = Agent(telling(("where", {})), capabilities=[UseThreadExecutor(pool)])

        @agent.tool_plain
        def where() -> str:
            return threading.current_thread().name

        line = MemoryLine()
        async with asyncio.timeout(5):
            finished = await drive(adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi"))
        assert finished.output.startswith("where: mine")


@pytest.mark.contract("EVT-8")
@pytest.mark.parametrize(
    ("error", "speaking", "code"),
    [
        (exceptions.UsageLimitExceeded("tokens"), False, "usage_limit"),
        (exceptions.IncompleteToolCall("cut"), False, "model_truncated"),
        (exceptions.ContentFilterError("no"), False, "model_refused"),
        (exceptions.ModelQuotaExceededError("m", "pay"), False, "model_rate_limited"),
        (exceptions.ModelOverloadedError("m", "busy"), False, "model_unavailable"),
        (exceptions.ModelContextWindowExceededError("m", "long"), False, "context_window"),
        (exceptions.ModelRequestTimeout("m", 3.0), True, "model_timeout"),
        (exceptions.ModelConnectionError("m", "gone"), False, "model_unavailable"),
        (exceptions.ModelConnectionError("m", "gone"), True, "model_truncated"),
        (exceptions.UserError("wrong"), False, "agent_error"),
        (KeyError("secret"), False, "agent_error"),
        (
            exceptions.FallbackExceptionGroup(
                "all failed",
                [exceptions.ModelServerError("a", "x"), exceptions.ModelAuthenticationError("b", "y")],
            ),
            False,
            "model_auth",
        ),
    ],
)
def test_failures_have_stable_codes_and_safe_words(error: Exception, speaking: bool, code: str) -> None:
    failed = agent_failed(error, speaking=speaking)
    assert failed.code == code
    assert "secret" not in failed.detail


@pytest.mark.contract("ADP-2")
def test_tools_that_the_provider_runs_are_shown_with_their_results() -> None:
    call = NativeToolCallPart(tool_name="web_search", args={"q": "x"}, tool_call_id="n1")
    result = NativeToolReturnPart(tool_name="web_search", content={"hits": 1}, tool_call_id="n1")
    unanswered = NativeToolCallPart(tool_name="web_search", args={}, tool_call_id="n2")
    assert provider_tools(ModelResponse(parts=[call, result, unanswered])) == [
        log.ToolCalled(call_id="n1", name="web_search", arguments={"q": "x"}),
        log.ToolCompleted(call_id="n1", result={"hits": 1}),
    ]


@pytest.mark.contract("EVT-3")
def test_citations_become_sources_of_their_message() -> None:
    source = WebCitationSource("https://example.com/a", title="A", excerpts=["so it says"])
    response = ModelResponse(parts=[TextPart("said", citations=[Citation([source]), Citation([source])])])
    speech = Speech(lambda _: None, Outputs(None))
    started, delta, cited, completed = speech.settle(response, replayed=True)
    assert isinstance(started, log.MessageStarted)
    assert isinstance(delta, log.TextDelta)
    assert isinstance(completed, log.MessageCompleted)
    expected = {"title": "A", "url": "https://example.com/a", "quote": "so it says"}
    assert cited == log.SourceAdded(message_id=started.message_id, **expected)


@pytest.mark.contract("EVT-6")
def test_what_an_earlier_segment_had_no_time_to_say_is_said_on_replay() -> None:
    response = ModelResponse(parts=[TextPart("one two")])
    said = list(Speech(lambda _: ("m", "one", False), Outputs(None)).settle(response, replayed=True))
    assert said == [
        log.TextDelta(message_id="m", delta=" two"),
        log.MessageCompleted(message_id="m", text="one two"),
    ]
    assert list(Speech(lambda _: ("m", "one two", True), Outputs(None)).settle(response, replayed=True)) == []
