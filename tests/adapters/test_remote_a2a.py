"""A2A agents on a real server of the SDK: tasks followed, questions answered, cancels passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
import pytest

import landline
from landline.adapters.remote import RemoteAdapter
from landline.adapters.remote.a2a_wire import card_of, news_of
from landline.model.errors import AgentFailed
from landline.model.events import MessageCompleted, MessageRetracted, OutputPartial, TextDelta, encode
from landline.ports.adapter import AgentSpec, Finished, Suspended
from landline.testing.adapters import AdapterConformance, AdapterKit, ToolBox
from landline.testing.adapters.grammar import check_grammar
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from tests.adapters.a2a_kit import Agents, a2a_server
from tests.adapters.remote_kit import bound


def at(url: str) -> AgentSpec:
    return landline.agent(landline.remote(url, protocol="a2a"), name="far")


class Kit(AdapterKit):
    """The suite's agents that A2A can carry."""

    def __init__(self, url: str, agents: Agents) -> None:
        self._url, self._agents, self._adapter = url, agents, bound("a2a")

    @property
    def adapter(self) -> RemoteAdapter:
        return self._adapter

    def echo(self) -> AgentSpec:
        return at(self._url)

    def structured(self) -> AgentSpec:
        return at(self._url)

    def asks(self) -> AgentSpec:
        self._agents.asks = True
        return at(self._url)

    def endless(self, box: ToolBox) -> AgentSpec:
        box.started, box.stopped = self._agents.started, self._agents.stopped
        return at(self._url)

    def texts_of(self, native: bytes) -> Sequence[str]:
        return [text for turn in msgspec.json.decode(native) for text in (turn["user"], turn["assistant"])]


class TestA2A(AdapterConformance):
    """What A2A does not carry is overridden, each with what holds instead."""

    @pytest.fixture(autouse=True)
    async def _served(self) -> AsyncGenerator[None]:
        self.agents = Agents()
        async with a2a_server(self.agents) as url:
            self.kit = Kit(url, self.agents)
            yield

    async def test_usage_is_reported_per_model_call(self) -> None:
        """The wire has no place for usage."""
        line, _ = await self.run(self.kit.echo())
        assert "usage" not in [event.type for event in line.events]

    async def test_another_frameworks_history_is_converted_from_the_displayed_form(self) -> None:
        """The other server keeps its own history."""
        _, finished = await self.run(self.kit.echo(), "c")
        assert finished.output == "You said: c"

    async def test_structured_output_grows_and_ends_as_the_output(self) -> None:
        """Asked for by the message; comes whole, as a data part."""
        self.need("structured_output")
        line, finished = await self.run(self.kit.structured(), "data")
        check_grammar(line.events)
        assert finished.output == {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}
        assert [event.output for event in line.of(OutputPartial)] == [finished.output]

    @pytest.mark.parametrize("agent", ["endless"])
    async def test_cancelling_stops_the_model_call_and_the_tools(self, agent: str) -> None:
        """The task is cancelled there."""
        self.need("cancel")
        assert agent
        await self._stopped(stopping=True)
        assert self.agents.cancelled == 1

    async def test_closing_the_stream_of_events_stops_the_model_call(self) -> None:
        """A server of ours that stops leaves the task alone."""
        await self._stopped(stopping=False)
        assert self.agents.cancelled == 0

    async def _stopped(self, *, stopping: bool) -> None:
        line, box = MemoryLine(), ToolBox()
        spec = self.kit.endless(box)
        task = asyncio.create_task(drive(self.kit.adapter, line, turn_of(line, spec, "wait")))
        async with asyncio.timeout(5):
            await box.started.wait()
            while not line.of(TextDelta):  # noqa: ASYNC110 - the line has no bell
                await asyncio.sleep(0.01)
        line.stopping = stopping
        task.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await task
            if stopping:
                await box.stopped.wait()
        check_grammar(line.events, whole=False)


async def play(url: str, text: str, **given: Any) -> tuple[MemoryLine, Finished]:
    line = MemoryLine()
    async with asyncio.timeout(5):
        return line, await drive(bound("a2a"), line, turn_of(line, at(url), text, **given))


@pytest.mark.contract("ADP-3", "RUN-8")
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_an_input_that_is_required_is_a_question_here(streaming: bool, version: str) -> None:
    agents = Agents()
    async with a2a_server(agents, streaming=streaming, version=version) as url:
        line = MemoryLine()
        with pytest.raises(Suspended):
            async with asyncio.timeout(5):
                await drive(bound("a2a"), line, turn_of(line, at(url), "ask"))
        ((key, ask),) = line.questions.items()
        assert (ask.kind, ask.prompt) == ("input", "Which one?")
        line.answer(key, value="the second")
        line = line.resumed()
        async with asyncio.timeout(5):
            finished = await drive(bound("a2a"), line, turn_of(line, at(url), "ask"))
    check_grammar(line.events)
    assert [text for _, text, _ in line.messages()] == ["Let me see. ", "You chose the second."]
    assert finished.output == "You chose the second."
    assert agents.heard == ["ask", "the second"]


@pytest.mark.contract("ADP-4")
async def test_a_crash_goes_on_with_the_same_task_or_asks() -> None:
    agents = Agents()
    async with a2a_server(agents) as url:
        whole, _ = await play(url, "hello")
        for crash_at in range(len(whole.events)):
            agents.heard.clear()
            agents.contexts.clear()
            line = MemoryLine(crash_at=crash_at)
            turn_id = f"run-{crash_at}"
            with pytest.raises(Crashed):
                await drive(bound("a2a"), line, turn_of(line, at(url), "hello", run_id=turn_id))
            line = line.resumed()
            if crash_at == 0:
                # Nobody knows whether the message arrived.
                with pytest.raises(Suspended):
                    await drive(bound("a2a"), line, turn_of(line, at(url), "hello", run_id=turn_id))
                ((key, ask),) = line.questions.items()
                assert "may or may not" in ask.prompt
                line.answer(key, approve=True)
                line = line.resumed()
            async with asyncio.timeout(5):
                finished = await drive(bound("a2a"), line, turn_of(line, at(url), "hello", run_id=turn_id))
            check_grammar(line.events)
            assert finished.output.endswith("You said: hello")
            assert [text for _, text, _ in line.messages()] == [finished.output], f"crash before {crash_at}"
            assert agents.heard == ["hello"] * (2 if crash_at == 0 else 1)


@pytest.mark.contract("ADP-4")
async def test_a_chunk_is_said_once_though_the_server_would_tell_it_again_to_a_new_subscriber() -> None:
    """A chunk that is in the task's state may still be on its way to subscribers."""
    agents = Agents()
    async with a2a_server(agents) as url:
        line = MemoryLine()
        line.die_before = TextDelta
        with pytest.raises(Crashed):
            await drive(bound("a2a"), line, turn_of(line, at(url), "slowly"))
        line = line.resumed()
        async with asyncio.timeout(5):
            finished = await drive(bound("a2a"), line, turn_of(line, at(url), "slowly"))
    check_grammar(line.events)
    assert finished.output == "one two"
    assert agents.heard == ["slowly"]


@pytest.mark.contract("ADP-2", "EVT-8")
@pytest.mark.parametrize(("word", "code"), [("fail", "remote_unavailable"), ("sign-in", "remote_auth")])
async def test_a_task_that_fails_fails_the_run_without_its_words(word: str, code: str) -> None:
    line = MemoryLine()
    async with a2a_server(Agents()) as url:
        with pytest.raises(AgentFailed) as failed:
            await drive(bound("a2a"), line, turn_of(line, at(url), word))
    assert failed.value.code == code
    assert b"canary" not in b"".join(map(encode, line.events)) + failed.value.detail.encode()
    assert not line.of(MessageCompleted)


@pytest.mark.contract("ADP-2")
async def test_a_message_without_a_task_and_an_artifact_that_is_replaced() -> None:
    async with a2a_server(Agents()) as url:
        _, finished = await play(url, "plainly")
        assert finished.output == "no task"
        line, finished = await play(url, "replace")
    check_grammar(line.events)
    assert finished.output == "other words"
    assert len(line.of(MessageRetracted)) == 1


async def test_a_card_that_names_another_server_is_refused() -> None:
    async with a2a_server(Agents(), elsewhere="http://127.0.0.1:1/rpc") as url:
        with pytest.raises(AgentFailed) as failed:
            await play(url, "hello")
    assert failed.value.code == "remote_origin"


@pytest.mark.parametrize(
    "card", [{}, {"supportedInterfaces": [{"url": "http://a/", "protocolBinding": "GRPC"}]}]
)
def test_a_card_without_a_json_rpc_interface_is_refused(card: dict[str, Any]) -> None:
    with pytest.raises(AgentFailed):
        card_of(card, origin="http://a")


@pytest.mark.parametrize("result", [{}, {"task": 1}, {"kind": "other"}, {"id": 1, "status": {}}])
def test_what_is_no_news_fails(result: dict[str, Any]) -> None:
    with pytest.raises(AgentFailed):
        news_of(result)
