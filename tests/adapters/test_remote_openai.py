"""OpenAI-compatible endpoints as agents, both shapes: the scripted server over real HTTP, with its faults."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

import landline
from landline.adapters.remote import RemoteAdapter
from landline.model.errors import AgentFailed, Unsupported
from landline.model.events import MessageCompleted, ReasoningDelta, TextDelta, UsageReported, encode
from landline.model.messages import (
    FilePart,
    ImagePart,
    Message,
    OutputPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.ports.adapter import AgentSpec
from landline.testing.adapters import AdapterConformance, AdapterKit, ToolBox
from landline.testing.line import Crashed, MemoryLine, drive, turn_of
from landline.testing.upstream import (
    Brain,
    Cut,
    CutClean,
    Html,
    Malformed,
    Reasoning,
    Reply,
    Request,
    ScriptedUpstream,
    Stall,
    Status,
    StreamError,
    Text,
    ToolCall,
    ToolCalls,
)
from tests.adapters.remote_kit import bound
from tests.adapters.wanted_place import written

PROTOCOLS = ("openai-chat", "openai-responses")
both = pytest.mark.parametrize("protocol", PROTOCOLS)


def at(upstream: ScriptedUpstream, protocol: Any, **given: Any) -> AgentSpec:
    return landline.agent(
        landline.remote(upstream.base_url, protocol=protocol, agent="scripted", token="canary-key", **given),
        name="model",
    )


def texts(request: Request, role: str) -> list[str]:
    """What was said in that role, whichever wire carried it."""
    items: list[dict[str, Any]] = request.body.get("messages") or request.body["input"]
    found: list[str] = []
    for item in items:
        if item["role"] == role:
            content = item["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            found.append("".join(part.get("text", "") for part in parts))
    return found


class Kit(AdapterKit):
    """The suite's agents that need no tools: an endpoint is only a model."""

    def __init__(self, protocol: Any) -> None:
        self._adapter, self._protocol = bound(protocol), protocol
        self.upstreams: list[ScriptedUpstream] = []
        self._echo: AgentSpec | None = None
        self.watching: list[asyncio.Task[None]] = []

    @property
    def adapter(self) -> RemoteAdapter:
        return self._adapter

    def _serve(self, brain: Brain) -> AgentSpec:
        upstream = ScriptedUpstream(brain).__enter__()
        self.upstreams.append(upstream)
        return at(upstream, self._protocol)

    def echo(self) -> AgentSpec:
        def brain(request: Request) -> Text:
            *before, last = texts(request, "user")
            return Text("".join(f"Before: {text}. " for text in before) + f"You said: {last}")

        self._echo = self._echo or self._serve(brain)
        return self._echo

    def reasoning(self) -> AgentSpec:
        return self._serve(lambda _: Reasoning("Hm, so. ", answer=Text("42")))

    def settings(self) -> AgentSpec:
        return self._serve(lambda request: Text(str(request.body.get("temperature"))))

    def sees(self) -> AgentSpec:
        def brain(request: Request) -> Text:
            for part in request.items[-1]["content"]:
                url: Any = part.get("image_url") or ""
                said: str = url if isinstance(url, str) else url["url"]
                head, comma, packed = said.partition(";base64,")
                if comma:
                    return Text(f"{head.removeprefix('data:')} {len(b64decode(packed))}")
            return Text("nothing")

        return self._serve(brain)

    def wanted(self) -> AgentSpec:
        def brain(request: Request) -> Text:
            said = texts(request, "user")[-1]
            return Text("".join(written(said)) if request.wants_json else f"You said: {said}")

        return self._serve(brain)

    def endless(self, box: ToolBox) -> AgentSpec:
        def brain(_: Request) -> Reply:
            return Stall(after_tokens=1, answer=Text("one two"))

        spec = self._serve(brain)
        upstream = self.upstreams[-1]

        async def watch() -> None:
            await upstream.wait_request(0)
            box.started.set()
            await upstream.wait_disconnected(0, 5.0)
            box.stopped.set()

        self.watching.append(asyncio.get_running_loop().create_task(watch()))
        return spec


class _Endpoint(AdapterConformance):
    protocol = ""

    @pytest.fixture(autouse=True)
    def _kit(self) -> Iterator[None]:
        self.kit = kit = Kit(self.protocol)
        yield
        for upstream in kit.upstreams:
            upstream.__exit__(None, None, None)


class TestChatCompletions(_Endpoint):
    protocol = "openai-chat"


class TestResponses(_Endpoint):
    protocol = "openai-responses"


async def ask(upstream: ScriptedUpstream, protocol: Any, text: Any = "hi", **given: Any) -> Any:
    line, spec = MemoryLine(files=given.pop("files", None)), at(upstream, protocol)
    async with asyncio.timeout(5):
        return line, await drive(bound(protocol), line, turn_of(line, spec, text, **given))


@both
@pytest.mark.contract("ADP-2", "EVT-8")
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Cut(after_tokens=2), "model_truncated"),
        (CutClean(after_tokens=2), "model_truncated"),
        (Text("cut short", finish="length"), "model_truncated"),
        (Text("bad words", finish="content_filter"), "model_refused"),
        (Malformed(after_tokens=2), "model_invalid_response"),
        (Html(), "model_invalid_response"),
        (StreamError(after_tokens=1, message="canary-words"), "model_unavailable"),
        (ToolCalls([ToolCall("unasked", {})]), "model_invalid_response"),
        (Status(401), "model_auth"),
        (Status(429, retry_after=7), "model_rate_limited"),
        (Status(400), "model_refused"),
        (Status(500), "model_unavailable"),
    ],
)
async def test_what_is_not_whole_never_completes(protocol: str, reply: Reply, code: str) -> None:
    line = MemoryLine()
    with ScriptedUpstream(lambda _: reply) as upstream, pytest.raises(AgentFailed) as failed:
        async with asyncio.timeout(5):
            await drive(bound(protocol), line, turn_of(line, at(upstream, protocol), "hi"))
    assert failed.value.code == code
    assert not line.of(MessageCompleted)
    assert not line.records
    told = b"".join(map(encode, line.events)) + failed.value.detail.encode()
    assert b"canary" not in told
    if isinstance(reply, Status) and reply.retry_after:
        assert failed.value.retry_after_s == 7


@both
@pytest.mark.contract("ADP-2")
async def test_reasoning_usage_and_the_models_name_come_through(protocol: str) -> None:
    with ScriptedUpstream(
        lambda _: Reasoning("I think", answer=Text("done", model="scripted-2"))
    ) as upstream:
        line, finished = await ask(upstream, protocol)
    assert "".join(event.delta for event in line.of(ReasoningDelta)) == "I think"
    assert (finished.output, finished.model) == ("done", "scripted-2")
    (usage,) = line.of(UsageReported)
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0


@both
@pytest.mark.contract("ADP-4")
async def test_a_finished_answer_is_paid_for_once_whatever_crashes(protocol: str) -> None:
    with ScriptedUpstream(lambda _: Text("a b c")) as upstream:
        whole, _ = await ask(upstream, protocol)
        kinds = [event.type for event in whole.events]
        paid_at = kinds.index("usage")
        for crash_at in range(len(kinds)):
            before, line, spec = len(upstream.requests), MemoryLine(crash_at=crash_at), at(upstream, protocol)
            with pytest.raises(Crashed):
                await drive(bound(protocol), line, turn_of(line, spec, "hi"))
            line = line.resumed()
            finished = await drive(bound(protocol), line, turn_of(line, spec, "hi"))
            assert finished.output == "a b c"
            assert [text for _, text, _ in line.messages()] == ["a b c"]
            assert len(line.of(UsageReported)) == 1
            assert len(upstream.requests) - before == (1 if crash_at > paid_at else 2), (
                f"crash before {crash_at}"
            )


@both
@pytest.mark.contract("RUN-5")
async def test_a_cancel_closes_the_connection_within_a_second(protocol: str) -> None:
    with ScriptedUpstream(lambda _: Stall(after_tokens=1, answer=Text("one two"))) as upstream:
        line, spec = MemoryLine(), at(upstream, protocol)
        task = asyncio.create_task(drive(bound(protocol), line, turn_of(line, spec, "hi")))
        async with asyncio.timeout(5):
            while not line.of(TextDelta):  # noqa: ASYNC110 - the line has no bell
                await asyncio.sleep(0.01)
        task.cancel()
        exchange = await upstream.wait_disconnected(0, 1.0)
        assert exchange.outcome == "disconnected"
        await asyncio.wait({task})


@both
@pytest.mark.contract("THR-3", "ADP-2")
async def test_the_displayed_thread_and_images_are_the_conversation(protocol: str) -> None:
    def row(role: Any, *parts: Any) -> Message:
        return Message(
            id=role, thread_id="t", run_id=None, parent_id=None, seq=0, role=role, content="", parts=parts,
            created_at="2026-01-01T00:00:00.000Z",
        )  # fmt: skip

    history = [
        row("user", TextPart(text="a"), ImagePart(file_id="gone")),
        row(
            "assistant",
            ToolCallPart(call_id="x", name="n", arguments={}),
            ToolResultPart(call_id="x", name="n"),
        ),
        row("assistant", TextPart(text="said"), FilePart(file_id="f"), OutputPart(output={"n": 1})),
    ]
    given = [TextPart(text="see"), ImagePart(file_id="f1")]
    files = {"f1": ("dot.png", "image/png", b"\x89PNG")}
    with ScriptedUpstream(lambda _: Text("ok")) as upstream:
        await ask(upstream, protocol, given, history=history, files=files, settings={"max_tokens": 9})
        (request,) = upstream.requests
    assert texts(request, "user") == ["a[An image that was here has been deleted.]", "see"]
    assert texts(request, "assistant") == ['said{"n":1}']
    assert "data:image/png;base64,iVBORw==" in str(request.body)
    assert 9 in (request.body.get("max_tokens"), request.body.get("max_output_tokens"))


@both
@pytest.mark.contract("ADP-2")
async def test_each_setting_is_passed_on_by_its_name(protocol: str) -> None:
    settings = {"temperature": 0.5, "top_p": 0.25}
    settings |= {"stop": ["x"], "seed": 7} if protocol == "openai-chat" else {}
    with ScriptedUpstream(lambda _: Text("ok")) as upstream:
        await ask(upstream, protocol, settings=settings)
        (request,) = upstream.requests
    assert {name: request.body.get(name) for name in settings} == settings
    with pytest.raises(Unsupported), ScriptedUpstream(lambda _: Text("ok")) as upstream:
        await ask(upstream, protocol, settings={"tool_choice": "none"})


@pytest.mark.contract("ADP-2")
async def test_an_endpoint_that_nobody_serves_is_unreachable(unused_tcp_port: int) -> None:
    line = MemoryLine()
    spec = landline.agent(
        landline.remote(f"http://127.0.0.1:{unused_tcp_port}/v1", protocol="openai-chat", agent="m"), name="m"
    )
    with pytest.raises(AgentFailed) as failed:
        await drive(bound("openai-chat"), line, turn_of(line, spec, "hi"))
    assert failed.value.code == "model_unreachable"


@both
async def test_the_credential_goes_out_as_a_header_and_nowhere_else(protocol: str) -> None:
    with ScriptedUpstream(lambda _: Text("ok")) as upstream:
        line, _ = await ask(upstream, protocol)
        (request,) = upstream.requests
    assert request.headers["authorization"] == "Bearer canary-key"
    assert b"canary" not in b"".join(map(encode, line.events)) + b"".join(line.records.values())
