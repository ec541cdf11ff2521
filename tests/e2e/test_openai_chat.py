"""Chat Completions of a real server, request by request: each framework, tools, threads, questions, crashes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.testing.faces.openai_chat import check_chat
from landline.testing.kill import ServedProcess
from tests.e2e.calls import until
from tests.e2e.openai_chat import (
    AGENTS,
    CHAT,
    WEATHER,
    Raw,
    call_message,
    fixture_server,
    raw,
    result_messages,
)

PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360f8cfc000000301010"
        "018dd8db00000000049454e44ae426082"
    )
).decode()  # fmt: skip
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
BOTH = pytest.mark.parametrize("more", [{}, STREAMED], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    process = fixture_server(tmp_path_factory.mktemp("openai"))
    asyncio.run(process.start(60))
    yield process
    process.kill()


@pytest.fixture
async def chat(server: ServedProcess) -> AsyncIterator[Raw]:
    async for client in raw(server.url):
        yield client


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.contract("FACE-6", "FACE-17", "ADP-1")
@pytest.mark.parametrize("agent", AGENTS)
@BOTH
async def test_each_framework_answers(chat: Raw, agent: str, more: dict[str, Any]) -> None:
    told = await chat.ask(agent, "think of bread", **more)
    assert told.error is None
    assert told.content == "You said: think of bread"
    assert told.reasoning == "Let me think. "
    assert told.finish_reason == "stop"
    assert told.usage is not None
    if agent != "fixture_plain":
        assert told.usage["total_tokens"] > 0


@pytest.mark.contract("FACE-6", "TRU-19")
@pytest.mark.parametrize("agent", AGENTS)
async def test_a_history_is_carried_and_a_thread_has_its_own(chat: Raw, agent: str) -> None:
    history = [user("one"), {"role": "assistant", "content": "Yes?"}, user("two")]
    assert (await chat.ask(agent, history)).content == "Before: one. You said: two"
    thread = {"X-Landline-Thread": chat.headers["x-landline-thread"]}
    again = await chat.ask(agent, [*history, user("three")], headers=thread)
    assert again.content == "Before: two. You said: three", "the thread's own history, and nothing else"
    assert chat.headers["x-landline-thread"] == thread["X-Landline-Thread"]


@pytest.mark.contract("FACE-6", "ADP-4")
@pytest.mark.parametrize("agent", AGENTS)
@BOTH
async def test_a_tool_of_the_client_is_called_and_the_same_run_goes_on(
    chat: Raw, agent: str, more: dict[str, Any]
) -> None:
    messages: list[Any] = [user('the weather in "Paris"')]
    told = await chat.ask(agent, messages, tools=[WEATHER], **more)
    assert told.finish_reason == "tool_calls", told
    (call,) = told.calls
    assert (call.name, set(call.arguments)) == ("get_weather", set(call.arguments))
    run_id = chat.headers["x-landline-run"]
    assert (await chat.run(run_id))["status"] == "waiting"
    messages += [call_message(told), *result_messages(told, "sunny")]
    answer = await chat.ask(agent, messages, tools=[WEATHER], **more)
    assert answer.content == "The result of get_weather is: sunny."
    assert (answer.calls, answer.finish_reason) == ([], "stop")
    assert chat.headers["x-landline-run"] == run_id
    assert answer.head["id"] != told.head["id"]
    log = await chat.log(run_id)
    assert [event["result"] for event in log if event["type"] == "tool.completed"] == ["sunny"]
    # Sent again, as after a lost connection: the same run, nothing done twice.
    again = await chat.ask(agent, messages, tools=[WEATHER], **more)
    assert (again.content, again.head) == (answer.content, answer.head)
    assert (chat.headers["x-landline-run"], await chat.log(run_id)) == (run_id, log)
    # Another result is another story, which nobody vouches for.
    other = [*messages[:-1], *result_messages(told, "rain")]
    assert (await chat.ask(agent, other, **more)).error is None
    assert chat.headers["x-landline-run"] != run_id


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize("agent", AGENTS[1:])  # a plain function calls one tool after the other
async def test_calls_in_parallel_need_all_their_results(chat: Raw, agent: str) -> None:
    time = {"type": "function", "function": {"name": "get_time"}}
    messages: list[Any] = [user("both the weather and the time")]
    told = await chat.ask(agent, messages, tools=[WEATHER, time], stream=True)
    assert {call.name for call in told.calls} == {"get_weather", "get_time"}, told
    run_id = chat.headers["x-landline-run"]
    half = [*messages, call_message(told), *result_messages(told, "a", "b")[:1]]
    refused = await chat.ask(agent, half, tools=[WEATHER, time])
    assert refused.error is not None
    assert (refused.error["status"], refused.error["code"]) == (400, "invalid_request")
    assert (await chat.run(run_id))["status"] == "waiting"
    whole = [*messages, call_message(told), *reversed(result_messages(told, "a", "b"))]
    answer = await chat.ask(agent, whole, tools=[WEATHER, time])
    results = {call.name: result for call, result in zip(told.calls, ("a", "b"), strict=True)}
    for name, result in results.items():
        assert f"The result of {name} is: {result}." in answer.content
    assert chat.headers["x-landline-run"] == run_id


@pytest.mark.contract("FACE-6", "TRU-19")
@pytest.mark.parametrize("agent", AGENTS)
async def test_results_of_calls_that_nobody_made_here_are_only_history(chat: Raw, agent: str) -> None:
    made = {"id": "call_elsewhere", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    messages = [
        user("find it"),
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_elsewhere", "content": "found"},
    ]
    told = await chat.ask(agent, messages)
    assert told.error is None
    assert told.finish_reason == "stop"
    on_thread = await chat.ask(
        agent, messages, headers={"X-Landline-Thread": chat.headers["x-landline-thread"]}
    )
    assert on_thread.error is not None
    assert on_thread.error["code"] == "forged_history"


@pytest.mark.contract("FACE-6", "THR-9")
@pytest.mark.parametrize("agent", AGENTS)
async def test_images_and_files_reach_the_agent(chat: Raw, agent: str) -> None:
    size = len(base64.b64decode(PNG))
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    seen = await chat.ask(agent, [user([{"type": "text", "text": "which image?"}, image])])
    assert seen.content == f"I see image/png of {size} bytes."
    assert seen.error is None
    before = [user([{"type": "text", "text": "look"}, image]), {"role": "assistant", "content": "Yes."}]
    assert (await chat.ask(agent, [*before, user("and now?")])).error is None


@pytest.mark.contract("FACE-6", "RUN-9", "ADP-3")
@pytest.mark.parametrize("agent", AGENTS)
@BOTH
async def test_an_approval_is_asked_elsewhere_and_the_answer_read_here(
    chat: Raw, agent: str, more: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": f"approve-{agent}-{bool(more)}"}
    told = await chat.ask(agent, 'approve "milk"', headers=key, **more)
    assert told.error is not None
    assert told.error["code"] == "run_waiting"
    run_id = chat.headers["x-landline-run"]
    run = await chat.run(run_id)
    (question,) = run["questions"]
    for word in (run_id, question["question_id"], "delete_note", "milk"):
        assert word in told.error["message"]
    answers = [{"question_id": question["question_id"], "approve": True}]
    approved = await chat.client.post(f"/api/v1/runs/{run_id}/answers", json={"answers": answers})
    assert approved.status_code == 200
    answer = await chat.ask(agent, 'approve "milk"', headers=key, **more)
    assert answer.content == "The result of delete_note is: deleted milk."
    assert chat.headers["x-landline-run"] == run_id


@pytest.mark.contract("FACE-6", "RUN-1")
@pytest.mark.parametrize("agent", AGENTS)
@BOTH
async def test_a_run_that_fails_is_an_error(chat: Raw, agent: str, more: dict[str, Any]) -> None:
    told = await chat.ask(agent, "fail", **more)
    assert told.error is not None
    assert told.error["type"] == "server_error"
    assert (await chat.run(chat.headers["x-landline-run"]))["status"] == "failed"


@pytest.mark.contract("RUN-2", "RUN-5")
@pytest.mark.parametrize("kept", [False, True])
async def test_leaving_stops_a_stateless_run_only(chat: Raw, kept: bool) -> None:
    body = {"model": "fixture_pydantic_ai", "messages": [user("wait")], "stream": True}
    headers = {"Idempotency-Key": "leaving"} if kept else {}
    async with chat.client.stream("POST", CHAT, json=body, headers=headers) as answer:
        run_id = answer.headers["x-landline-run"]
        async for line in answer.aiter_lines():
            if "Wait" in line:
                break

    async def ended() -> bool:
        return (await chat.run(run_id))["status"] == "cancelled"

    if kept:
        await asyncio.sleep(0.3)
        assert (await chat.run(run_id))["status"] == "running"
        await chat.client.post(f"/api/v1/runs/{run_id}/cancel")
    await until(ended)


@pytest.mark.contract("EVT-4", "FACE-6", "FACE-17")
async def test_a_stream_that_is_cut_anywhere_is_read_again_under_its_key(chat: Raw) -> None:
    body = {"model": "fixture_pydantic_ai", "messages": [user("bread and butter")], "stream": True}
    whole = await chat.client.post(CHAT, json=body, headers={"Idempotency-Key": "cut"})
    frames = whole.text.count("\n\n")
    assert frames > 5
    for count in range(frames):
        async with chat.client.stream(
            "POST", CHAT, json=body, headers={"Idempotency-Key": f"cut-{count}"}
        ) as answer:
            seen = ""
            async for text in answer.aiter_text():
                seen += text
                if seen.count("\n\n") >= count:
                    break
        again = await chat.client.post(CHAT, json=body, headers={"Idempotency-Key": f"cut-{count}"})
        assert check_chat(again.text).content == check_chat(whole.text).content
        assert again.headers["x-landline-run"] == answer.headers["x-landline-run"]
        assert again.text.startswith(seen[: seen.rfind("\n\n") + 2] if "\n\n" in seen else "")


@pytest.mark.contract("REL-3", "FACE-6")
async def test_a_call_that_was_told_outlives_the_server(tmp_path: Path) -> None:
    agent = "fixture_pydantic_ai"
    process = fixture_server(tmp_path, agent)
    messages: list[Any] = [user("the weather")]
    await process.start(60)
    try:
        async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
            before = Raw(client)
            told = await before.ask(agent, messages, tools=[WEATHER], stream=True)
        process.kill()
        await process.start(60)
        messages += [call_message(told), *result_messages(told, "sunny")]
        async with httpx.AsyncClient(base_url=process.url, timeout=30) as client:
            after = Raw(client)
            answer = await after.ask(agent, messages, tools=[WEATHER], stream=True)
        assert answer.content == "The result of get_weather is: sunny."
        assert after.headers["x-landline-run"] == before.headers["x-landline-run"]
    finally:
        process.kill()


@pytest.mark.contract("FACE-6", "ADP-2")
@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"tools": [WEATHER, WEATHER]}, "tool_name_taken", "tools"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}},
            "invalid_output_schema",
            "response_format",
        ),
    ],
)  # fmt: skip
async def test_what_admission_refuses_is_told_with_its_parameter(
    chat: Raw, more: dict[str, Any], code: str, param: str
) -> None:
    told = await chat.ask("fixture_pydantic_ai", "the weather", **more)
    assert told.error is not None
    assert (told.error["status"], told.error["code"], told.error["param"]) == (400, code, param)


@pytest.mark.contract("FACE-6", "ADP-2")
async def test_what_a_plain_function_of_a_text_cannot_take_is_told_with_its_parameter(
    tmp_path: Path,
) -> None:
    async def hello(text: str) -> str:
        return f"Hello, {text}."

    served = landline.Landline(
        [landline.agent(hello, name="hello")], open=True, faces=("openai",), data=tmp_path
    )
    transport = httpx.ASGITransport(app=served.app)
    history = [user("one"), {"role": "assistant", "content": "Yes?"}, user("two")]
    schema = {"type": "json_object"}
    async with (
        served.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        chat = Raw(client)
        assert (await chat.ask("hello", "Ada", stream=True)).content == "Hello, Ada."
        refused: list[tuple[list[Any], dict[str, Any], str]] = [
            (history, {}, "messages"),
            ([user("x")], {"tools": [WEATHER]}, "tools"),
            ([user("x")], {"response_format": schema}, "response_format"),
            ([user("x")], {"tools": [WEATHER], "tool_choice": "required"}, "tool_choice"),
        ]
        for messages, more, param in refused:
            told = await chat.ask("hello", messages, **more)
            assert told.error is not None
            assert (told.error["status"], told.error["param"]) == (400, param)


@pytest.mark.contract("TRU-11", "FACE-6")
async def test_hostile_bodies_never_break_the_server(chat: Raw) -> None:
    bodies: list[bytes] = [
        b"", b"null", b"[]", b"{}", b"\xff", b'{"model": 1}', b'{"model":"fixture_plain","messages":{}}',
        b'{"model":"fixture_plain","messages":[null]}', b'{"model":"fixture_plain","messages":[{"role":null}]}',
        b'{"model":"fixture_plain","messages":[{"role":"user","content":[{"type":null}]}]}',
        b'{"model":"fixture_plain","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"fixture_plain","model":"x","messages":[]}', b"[" * 100, b'{"model":"\\u0000","messages":[]}',
        b'{"model":"../x","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"fixture_plain","messages":[{"role":"tool","tool_call_id":"call_' + b"A" * 33 + b'","content":"x"}]}',
    ]  # fmt: skip
    for body in bodies:
        answer = await chat.client.post(CHAT, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, (body, answer.text)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert (await chat.client.get("/livez")).status_code == 200
