"""Chat completions over HTTP: what is asked of the ports, what comes back, and what is refused."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landline.faces.openai import face
from landline.model.carried import ClientTool
from landline.model.errors import ErrorInfo
from landline.model.events import MessageStarted, RunFailed, TextDelta
from landline.model.messages import FilePart, ImagePart, TextPart, ToolCallPart, ToolResultPart
from landline.testing.faces.openai_chat import check_chat, check_completion
from landline.web.door import Door
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.openai import CHAT, asked, body, calls, capable, client_of, result, user, waiting
from tests.faces.serving import served

KEYS: st.SearchStrategy[Any] = st.sampled_from(
    [
        "type", "text", "image_url", "url", "file", "file_data", "file_id", "tools", "function", "name", "parameters", "n",
        "tool_choice", "response_format", "json_schema", "schema", "metadata", "thread_id", "temperature", "stop", "user",
    ]
)  # fmt: skip
PARTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "input_audio", "x"])},
    optional={"text": st.text(max_size=3), "image_url": st.just({"url": "data:,x"}), "file": st.just({"file_data": "YQ=="})},
)  # fmt: skip
CALLS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b"]), "function": st.just({"name": "f", "arguments": "{}"})},
    optional={"type": st.sampled_from(["function", "custom"])},
)
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
TEXT = base64.b64encode(b"milk").decode()
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": True,
    },
}


@pytest.mark.contract("FACE-6")
async def test_an_answer_names_its_run_and_thread(world: World) -> None:
    async with client_of(native_ports(world)) as client:
        answer = await client.post(CHAT, json=body())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = check_completion(answer.json())
    assert (told.content, told.finish_reason, told.head["model"]) == ("Hello", "stop", "notes")
    (run,) = world.run_rows.values()
    assert answer.headers["x-landline-run"] == run.id
    assert answer.headers["x-landline-thread"] == run.thread_id
    (started,) = world.started
    assert (started.input, started.agent, started.carried) == ([TextPart(text="Hello")], "notes", None)
    assert (started.thread_id, started.settings, started.metadata) == (None, {}, {})


@pytest.mark.contract("FACE-6", "FACE-15", "FACE-17")
@pytest.mark.parametrize("usage", [True, False])
async def test_a_stream_is_chunks_and_done(world: World, usage: bool) -> None:
    asks = body(stream=True, stream_options={"include_usage": usage, "include_obfuscation": False})
    async with client_of(native_ports(world)) as client:
        answer = await client.post(CHAT, json=asks)
    told = check_chat(answer.text, content_type=answer.headers["content-type"], include_usage=usage)
    assert told.content == "Hello"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-landline-run"] in world.run_rows


@pytest.mark.contract("FACE-6", "TRU-19")
async def test_a_stateless_request_carries_its_history(world: World) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        user([{"type": "text", "text": "The weather?"}]),
        calls(("a", "weather", '{"city":"Paris"}'), ("b" * 60, "weather", "")),
        result("b" * 60, "rain"),
        result("a", [{"type": "text", "text": "sun"}]),
        {"role": "assistant", "content": "Sun and rain.", "refusal": None, "annotations": [], "audio": None},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": None},
        user("And now?"),
    ]  # fmt: skip
    async with client_of(native_ports(world)) as client:
        assert (await client.post(CHAT, json=body(messages=messages))).status_code == 200
    (started,) = world.started
    assert started.input == [TextPart(text="And now?")]
    assert started.carried is not None
    said = [(message.role, list(message.parts)) for message in started.carried.history]
    (long_id,) = {part.call_id for part in said[3][1] if isinstance(part, ToolCallPart)} - {"a"}
    assert len(long_id) <= 40
    assert said == [
        ("system", [TextPart(text="Be kind.")]),
        ("system", [TextPart(text="Be brief.")]),
        ("user", [TextPart(text="The weather?")]),
        ("assistant", [
            ToolCallPart(call_id="a", name="weather", arguments={"city": "Paris"}),
            ToolCallPart(call_id=long_id, name="weather", arguments={}),
            ToolResultPart(call_id=long_id, name="weather", result="rain"),
            ToolResultPart(call_id="a", name="weather", result="sun"),
        ]),
        ("assistant", [TextPart(text="Sun and rain.")]),
        ("assistant", [TextPart(text="No.")]),
    ]  # fmt: skip


@pytest.mark.contract("FACE-6", "TRU-19")
async def test_results_that_this_server_did_not_ask_for_are_history(world: World) -> None:
    messages = [user("The weather?"), calls(("call_abc", "weather", "{}")), result("call_abc")]
    async with client_of(native_ports(world)) as client:
        assert (await client.post(CHAT, json=body(messages=messages))).status_code == 200
    (started,) = world.started
    assert started.carried is not None
    assert [message.role for message in started.carried.history] == ["user", "assistant"]
    assert started.input == [TextPart(text="Go on from the results of the tools.")]


@pytest.mark.contract("FACE-6")
async def test_instructions_alone_are_the_input_and_behind_it_they_are_history(world: World) -> None:
    rules = {"role": "system", "content": "Be kind."}
    async with client_of(native_ports(world)) as client:
        for messages in ([rules], [user(), rules]):
            assert (await client.post(CHAT, json=body(messages=messages))).status_code == 200
    alone, behind = world.started
    assert (alone.input, alone.carried) == ([TextPart(text="Be kind.")], None)
    assert behind.input == [TextPart(text="Hello")]
    assert behind.carried is not None
    assert [message.role for message in behind.carried.history] == ["system"]


@pytest.mark.contract("FACE-6", "THR-9")
async def test_images_and_files_are_kept_for_the_caller(world: World) -> None:
    ports = native_ports(world)
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "file", "file": {"file_data": f"data:text/plain;base64,{TEXT}", "filename": "list.txt"}},
        {"type": "file", "file": {"file_data": TEXT}},
    ]
    async with client_of(ports) as client:
        answer = await client.post(
            CHAT, json=body([*content, {"type": "image_url", "image_url": {"url": PNG}}])
        )
        # The fake sniffs nothing: all it keeps is text, which is no image.
        assert answer.json()["error"]["code"] == "invalid_image"
        assert (await client.post(CHAT, json=body(content))).status_code == 200
        known = next(iter(world.file_rows))
        by_id = [{"type": "file", "file": {"file_id": known}}]
        assert (await client.post(CHAT, json=body(by_id))).status_code == 200
        missing = await client.post(CHAT, json=body([{"type": "file", "file": {"file_id": "nothing"}}]))
        assert missing.status_code == 404
    first, second = world.started
    assert [type(part) for part in first.input or ()] == [TextPart, FilePart, FilePart]
    assert second.input == [FilePart(file_id=known)]
    assert not any(isinstance(part, ImagePart) for part in first.input or ())
    assert {info.name for info, _ in world.file_rows.values()} == {"list.txt", "file", "image.png"}


@pytest.mark.contract("FACE-6")
async def test_the_clients_tools_and_schema_are_carried(world: World) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    described = {"type": "json_schema", "json_schema": {"name": "N", "schema": schema, "strict": True}}
    parameters = WEATHER["function"]["parameters"]
    none = {"type": "function", "function": {"name": "noop"}}
    wishes: list[tuple[dict[str, Any], list[str], Any]] = [
        ({"tools": [WEATHER, none], "parallel_tool_calls": True}, ["weather", "noop"], None),
        ({"tools": [WEATHER], "tool_choice": "auto", "response_format": described}, ["weather"], schema),
        ({"tools": [WEATHER], "tool_choice": "none"}, [], None),
        ({"response_format": {"type": "json_object"}}, [], {"type": "object"}),
        ({"response_format": {"type": "text"}, "tools": []}, [], None),
        ({"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}, [], parameters),
        ({"tools": [WEATHER, none], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, [], parameters),
    ]  # fmt: skip
    for more, tools, wanted in wishes:
        world.started.clear()
        async with client_of(native_ports(world)) as client:
            answer = await client.post(CHAT, json=body(**more))
        carried = world.started[0].carried
        if not tools and wanted is None:
            assert carried is None
            continue
        assert carried is not None
        assert [tool.name for tool in carried.tools] == tools
        assert carried.output_schema == wanted
        if tools:
            assert carried.tools[0] == ClientTool(
                name="weather", description="Tells the weather.", parameters=parameters
            )
        elif wanted == parameters:
            assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"


@pytest.mark.contract("FACE-6")
async def test_settings_are_the_runs_where_the_agent_takes_them(world: World) -> None:
    ports = capable(world, settings=("max_tokens", "temperature"))
    sent = {"temperature": 1, "max_tokens": 5, "max_completion_tokens": 7, "metadata": {"k": "v"}}
    async with client_of(ports) as client:
        assert (await client.post(CHAT, json=body(**sent))).status_code == 200
    (started,) = world.started
    assert started.settings == {"temperature": 1, "max_tokens": 7}
    assert started.metadata == {"k": "v"}


DEFAULTS: dict[str, Any] = {
    "temperature": 1.0, "top_p": 1.0, "n": 1, "presence_penalty": 0.0, "frequency_penalty": 0, "logprobs": False,
    "top_logprobs": 0, "stop": [], "logit_bias": {}, "modalities": ["text"], "reasoning_effort": "medium",
    "verbosity": "medium", "service_tier": "auto", "function_call": "none", "tool_choice": "auto", "store": True,
    "parallel_tool_calls": False, "seed": 7, "user": "u", "safety_identifier": "s", "prompt_cache_key": "p",
    "prompt_cache_retention": "24h", "audio": None, "stream": False, "max_tokens": None, "tools": None,
}  # fmt: skip


@pytest.mark.contract("FACE-6")
async def test_defaults_that_clients_always_send_change_nothing(world: World) -> None:
    async with client_of(native_ports(world)) as client:
        answer = await client.post(CHAT, json=body(**DEFAULTS))
    assert answer.status_code == 200, answer.text
    assert (world.started[0].settings, world.started[0].carried) == ({}, None)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"n": True}, "n"),
    ({"top_p": 0.5}, "top_p"),
    ({"temperature": 0.5}, "temperature"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"max_tokens": 5}, "max_tokens"),
    ({"max_completion_tokens": 5}, "max_completion_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"logprobs": True}, "logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"stop": ["x"]}, "stop"),
    ({"stop": "x"}, "stop"),
    ({"logit_bias": {"1": 1}}, "logit_bias"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"frequency_penalty": 1}, "frequency_penalty"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "a", "format": "wav"}}, "audio"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
    ({"moderation": {}}, "moderation"),
    ({"reasoning_effort": "high"}, "reasoning_effort"),
    ({"verbosity": "low"}, "verbosity"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"top_k": 5}, "top_k"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"tools": [WEATHER], "parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [WEATHER, WEATHER], "tool_choice": "required"}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice.function.name"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
    ({"response_format": {"type": "grammar"}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
    ({"metadata": {"k": 1}}, "metadata.k"),
    ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
    ({"model": None}, "model"),
    ({"model": "x" * 129}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": [user("")]}, "messages.0.content"),
    ({"messages": [user([])]}, "messages.0.content"),
    ({"messages": [user([{"type": "text", "text": ""}])]}, "messages.0.content"),
    ({"messages": [user("x" * 200_001)]}, "messages.0.content"),
    ({"messages": [{"role": "system", "content": ""}]}, "messages.0.content"),
    ({"messages": [{"role": "king", "content": "x"}]}, "messages.0"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages.0.role"),
    ({"messages": [user(), {"role": "assistant", "content": "And"}]}, "messages.1.role"),
    ({"messages": [result("a")]}, "messages.0.tool_call_id"),
    ({"messages": [calls(("a", "f", "{}")), result("b")]}, "messages.1.tool_call_id"),
    ({"messages": [calls(("a", "f", "{}")), result("a"), result("a")]}, "messages.2.tool_call_id"),
    ({"messages": [calls(("a", "f", "{}")), user()]}, "messages.0.tool_calls"),
    ({"messages": [calls(("a", "f", "{")), result("a")]}, "messages.0.tool_calls.0.function.arguments"),
    ({"messages": [user([{"type": "input_audio", "input_audio": {}}])]}, "messages.0.content.0.input_audio"),
    (
        {"messages": [user([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])]},
        "messages.0.content.0.image_url.url",
    ),
    ({"messages": [user([{"type": "file", "file": {}}])]}, "messages.0.content.0.file"),
]  # fmt: skip


@pytest.mark.contract("FACE-6", "ADP-2")
@pytest.mark.parametrize(("more", "param"), REFUSED, ids=lambda value: str(value)[:60])
async def test_what_would_not_be_honoured_is_refused_by_name(
    world: World, more: dict[str, Any], param: str
) -> None:
    async with client_of(native_ports(world)) as client:
        answer = await client.post(CHAT, json={**body(), **more})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param), error
    assert not world.started


@pytest.mark.contract("FACE-6", "TRU-5", "THR-2")
@pytest.mark.parametrize(
    ("headers", "more", "status", "kind"),
    [
        ({}, {}, 401, "authentication_error"),
        ({"authorization": "Bearer wrong"}, {}, 401, "authentication_error"),
        ({"authorization": "Bearer key-reader"}, {}, 403, "permission_error"),
        ({"authorization": "Bearer key-local"}, {"model": "nobody"}, 404, "invalid_request_error"),
        ({"authorization": "Bearer key-local"}, {}, 200, ""),
    ],
)
async def test_errors_come_in_openais_envelope(
    world: World, headers: dict[str, str], more: dict[str, Any], status: int, kind: str
) -> None:
    door = Door(authenticator=FakeAuthenticator(open_=False))
    async with client_of(native_ports(world, door=door), **headers) as client:
        answer = await client.post(CHAT, json={**body(), **more})
        assert answer.status_code == status
        if status != 200:
            assert answer.json()["error"]["type"] == kind
        if status == 404:
            assert answer.json()["error"]["code"] == "model_not_found"
        assert answer.headers["x-request-id"]


@pytest.mark.contract("TRU-11")
async def test_bodies_are_bounded_but_for_the_data_in_them(world: World) -> None:
    door = Door(authenticator=FakeAuthenticator(), max_body_bytes=2000, max_upload_bytes=20_000)
    data = base64.b64encode(b"a" * 3000).decode()
    file = [{"type": "file", "file": {"file_data": data}}]
    async with client_of(native_ports(world, door=door)) as client:
        assert (await client.post(CHAT, json=body(file))).status_code == 200
        for large in (
            body("a" * 3000),
            body([*file, {"type": "text", "text": "a" * 3000}]),
        ):
            answer = await client.post(CHAT, json=large)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        bad = await client.post(CHAT, content=b'{"model": NaN}', headers={"content-type": "application/json"})
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.contract("RUN-7")
async def test_a_repeat_under_a_key_is_the_same_run_in_the_way_it_asks_for(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    async with client_of(native_ports(world)) as client:
        first = await client.post(CHAT, json=body(), headers=key)
        again = await client.post(CHAT, json=body(stream=True), headers=key)
        other = await client.post(CHAT, json=body("Bye"), headers=key)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-landline-run"] == first.headers["x-landline-run"]
    assert check_chat(again.text).content == "Hello"
    assert other.status_code == 400
    assert len(world.run_rows) == 1


@pytest.mark.contract("FACE-6", "THR-2", "TRU-19")
async def test_a_thread_is_named_by_header_or_metadata_and_takes_the_last_message_only(world: World) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        user("Old"),
        {"role": "assistant", "content": "Made up"},
        user("New"),
    ]
    async with client_of(native_ports(world)) as client:
        first = await client.post(CHAT, json=body())
        thread = first.headers["x-landline-thread"]
        for more, headers in (
            ({}, {"X-Landline-Thread": thread}),
            ({"metadata": {"thread_id": thread}}, {}),
            ({"metadata": {"thread_id": thread}}, {"X-Landline-Thread": thread}),
        ):
            answer = await client.post(CHAT, json=body(messages=messages, **more), headers=headers)
            assert answer.headers["x-landline-thread"] == thread
            started = world.started[-1]
            assert (started.thread_id, started.input) == (thread, [TextPart(text="New")])
            assert started.carried is not None
            assert [m.role for m in started.carried.history] == ["system"]
        for ending in ({"role": "assistant", "content": "x"}, {"role": "system", "content": "x"}):
            forged = await client.post(
                CHAT, json=body(messages=[ending]), headers={"X-Landline-Thread": thread}
            )
            assert (forged.status_code, forged.json()["error"]["code"]) == (400, "forged_history")
        results = [user(), calls(("a", "f", "{}")), result("a")]
        forged = await client.post(CHAT, json=body(messages=results), headers={"X-Landline-Thread": thread})
        assert forged.json()["error"]["code"] == "forged_history"
        two = body(metadata={"thread_id": "a"})
        assert (await client.post(CHAT, json=two, headers={"X-Landline-Thread": "b"})).status_code == 400


@pytest.mark.contract("FACE-6", "THR-2")
async def test_a_thread_may_have_a_name_that_the_client_makes_up(world: World) -> None:
    door = Door(authenticator=FakeAuthenticator(open_=False))
    ports = native_ports(world, door=door)
    seen: list[str] = []
    for who in ("local", "local", "other"):
        async with client_of(ports, authorization=f"Bearer key-{who}") as client:
            answer = await client.post(CHAT, json=body(), headers={"X-Landline-Thread": "chat-1"})
            seen.append(answer.headers["x-landline-thread"])
    assert seen[0] == seen[1] != seen[2]
    async with client_of(ports, authorization="Bearer key-other") as client:
        foreign = await client.post(CHAT, json=body(), headers={"X-Landline-Thread": seen[0]})
        assert foreign.headers["x-landline-thread"] not in seen[:2], "as an id that never existed"


@pytest.mark.contract("FACE-6", "RUN-1")
@pytest.mark.parametrize(("code", "status"), [("agent_error", 502), ("guard_tripped", 400)])
async def test_a_run_that_failed_is_an_error_that_clients_do_not_repeat(
    world: World, code: str, status: int
) -> None:
    world.finish = False
    async with client_of(native_ports(world)) as client:
        for stream in (False, True):
            asking = asyncio.create_task(client.post(CHAT, json=body(stream=stream)))
            await world.until(lambda: world.following)
            run_id = list(world.run_rows)[-1]
            world.write(
                run_id,
                MessageStarted(message_id="m", role="assistant"),
                TextDelta(message_id="m", delta="Hel"),
                RunFailed(error=ErrorInfo(code=code, message="It failed.")),
            )
            answer = await asking
            assert answer.headers["x-landline-run"] == run_id
            if stream:
                told = check_chat(answer.text)
                assert told.content == "Hel"
                assert told.error is not None
                assert told.error["code"] == code
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
                assert answer.headers["x-should-retry"] == "false"


@pytest.mark.contract("FACE-6", "RUN-9")
async def test_a_run_that_asks_a_human_is_told_and_stays_answerable(world: World) -> None:
    world.finish = False
    question = asked(kind="approval", prompt="Erase milk?", tool="erase", call_id="c", arguments={"n": 1})
    async with client_of(native_ports(world)) as client:
        for stream in (False, True):
            asking = asyncio.create_task(client.post(CHAT, json=body(stream=stream)))
            await world.until(lambda: world.following)
            run_id = list(world.run_rows)[-1]
            world.write(run_id, *waiting(question))
            answer = await asking
            error = check_chat(answer.text).error if stream else answer.json()["error"]
            assert error is not None
            assert error["code"] == "run_waiting"
            assert run_id in error["message"]
            assert question[1].question_id in error["message"]
            assert answer.headers["x-landline-run"] == run_id
            assert world.run_rows[run_id].status == "waiting"
            assert not world.cancelled


@pytest.mark.contract("AGT-5", "FACE-6")
async def test_models_are_the_agents(world: World) -> None:
    async with client_of(native_ports(world)) as client:
        listed = (await client.get("/v1/models")).json()
        assert listed == {
            "object": "list",
            "data": [{"id": "notes", "object": "model", "created": 0, "owned_by": "landline"}],
        }
        assert (await client.get("/v1/models/notes")).json() == listed["data"][0]
        missing = await client.get("/v1/models/nobody")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    broken = capable(world, error={"message": "no", "where": None})
    async with client_of(broken) as client:
        assert (await client.get("/v1/models")).json()["data"] == []
        assert (await client.get("/v1/models/notes")).status_code == 404


@pytest.mark.contract("RUN-2", "FACE-6")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("headers", "stopped"),
    [({}, True), ({"Idempotency-Key": "k"}, False), ({"X-Landline-Thread": "t"}, False)],
)
async def test_who_leaves_stops_the_run_unless_there_is_a_way_back(
    world: World, stream: bool, headers: dict[str, str], stopped: bool
) -> None:
    from fastapi import FastAPI

    world.finish = False
    app = FastAPI()
    app.include_router(face(native_ports(world)))
    async with served(app) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
        asking = asyncio.create_task(client.post(CHAT, json=body(stream=stream), headers=headers))
        await world.until(lambda: world.following)
        asking.cancel()
        await world.until(lambda: not world.following)
        if stopped:
            await world.until(lambda: world.cancelled)
        await asyncio.sleep(0.05)
        assert bool(world.cancelled) == stopped


@pytest.mark.contract("FACE-15")
@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_stops_says_so_and_the_run_goes_on(world: World, stream: bool) -> None:
    world.finish = False
    ports = native_ports(world)
    async with client_of(ports) as client:
        asking = asyncio.create_task(client.post(CHAT, json=body(stream=stream)))
        await world.until(lambda: world.following)
        ports.door.drain.start()
        answer = await asking
    error = check_chat(answer.text).error if stream else answer.json()["error"]
    assert error is not None
    assert (error["type"], error["code"]) == ("server_error", "draining")
    assert answer.headers["x-landline-run"] in world.run_rows
    assert not world.cancelled
    if not stream:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.contract("AGT-6")
async def test_the_face_works_inside_a_hosts_app(world: World) -> None:
    from fastapi import FastAPI

    opened: list[str] = []

    async def context(request: Any, caller: Any) -> str:
        opened.append(caller.user)
        return "held"

    app = FastAPI()
    app.include_router(face(native_ports(world, context=context)), prefix="/ai")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/ai" + CHAT, json=body())
        assert check_completion(answer.json()).content == "Hello"
        assert (world.started[0].context, opened) == ("held", ["local"])
        assert "error" in (await client.post("/ai" + CHAT, json={})).json()
        assert (
            "error"
            in (await client.post("/ai" + CHAT, content=b"{", headers={"content-type": "text/plain"})).json()
        )
    assert json.loads(json.dumps(opened)) == ["local"]


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
MESSAGES: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "x"])},
        optional={
            "content": st.text(max_size=3) | st.lists(PARTS, max_size=3) | JSON,
            "tool_call_id": st.sampled_from(["a", "b", "call_" + "A" * 33]),
            "tool_calls": st.lists(CALLS, max_size=3) | JSON,
        },
    ),
    max_size=5,
)


@pytest.mark.contract("TRU-11", "FACE-6")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=MESSAGES, more=st.dictionaries(KEYS, JSON, max_size=3))
async def test_whatever_is_sent_is_answered_or_refused_by_name(
    messages: list[Any], more: dict[str, Any]
) -> None:
    async with client_of(native_ports(World())) as client:
        answer = await client.post(
            CHAT, json={**more, "model": "notes", "messages": messages, "stream": None}
        )
    if answer.status_code == 200:
        check_completion(answer.json())
    else:
        assert answer.status_code in (400, 404), answer.text
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
