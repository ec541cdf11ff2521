"""The MCP face with the protocol's own Python client, on both of its wires, and message by message (FACE-11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from landline.model.runs import TERMINAL, Answer
from tests.e2e.mcp_line import Keys, Line, line

pytestmark = pytest.mark.contract("FACE-11")

WIRES = ["auto", "legacy"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path) as found:
        yield found


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path, authenticator=Keys()) as found:
        yield found


def text_of(result: types.CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, types.TextContent))


class User:
    """The client's user, who fills in forms as told; counts them."""

    def __init__(self, *actions: types.ElicitResult) -> None:
        self.actions = list(actions)
        self.forms: list[types.ElicitRequestFormParams] = []

    async def __call__(self, context: Any, params: Any) -> types.ElicitResult:
        self.forms.append(params)
        return self.actions.pop(0)


def accept(**content: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content=content)


DECLINE = types.ElicitResult(action="decline")
CANCEL = types.ElicitResult(action="cancel")


@pytest.mark.parametrize("wire", WIRES)
async def test_agents_are_tools_that_answer_with_text_data_and_progress(served: Line, wire: Any) -> None:
    told: list[tuple[float, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with Client(served.url, mode=wire) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == [
            "echo", "eraser", "asks", "hold", "fails", "bill",
            "landline_threads", "landline_messages", "landline_run", "landline_answer", "landline_cancel",
        ]  # fmt: skip
        assert tools["echo"].description == "Say the message back, and how far it is.\n\nFor example: Hello"
        first = await client.call_tool("echo", {"message": "one"}, progress_callback=tell)
        assert (text_of(first), first.is_error) == ("one", False)
        assert [said for _, said in told] == ["half (50%)", "Writing"]
        data = first.structured_content
        assert data["status"] == "completed"
        assert first.meta is not None
        assert first.meta["landline/run_id"] == data["run_id"]
        second = await client.call_tool("echo", {"message": "two", "thread_id": data["thread_id"]})
        assert second.structured_content["thread_id"] == data["thread_id"]
        read = await client.call_tool("landline_messages", {"thread_id": data["thread_id"]})
        assert [item["content"] for item in read.structured_content["items"]] == ["one", "one", "two", "two"]
        assert "native" not in text_of(read)
        threads = await client.call_tool("landline_threads", {"agent": "echo"})
        assert [item["id"] for item in threads.structured_content["items"]] == [data["thread_id"]]


@pytest.mark.parametrize("wire", WIRES)
async def test_an_agent_that_takes_and_gives_data_says_so(served: Line, wire: Any) -> None:
    async with Client(served.url, mode=wire) as client:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "bill"]
        assert tool.input_schema["properties"]["message"]["properties"]["count"]["type"] == "integer"
        assert tool.output_schema is not None
        assert tool.output_schema["properties"]["output"]["required"] == ["total"]
        result = await client.call_tool("bill", {"message": {"item": "tea", "count": 3}})
        assert (text_of(result), result.structured_content["output"]) == ('{"total": 21}', {"total": 21})
        wrong = await client.call_tool("bill", {"message": {"count": "many"}})
        assert wrong.is_error


@pytest.mark.contract("FACE-11", "RUN-8")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("action", "said"),
    [
        (accept(approve=True), "Let me see. Erased x."),
        (accept(approve=False, reason="no"), "no"),
        (DECLINE, "The user declined."),
    ],
)
async def test_an_approval_is_a_form_for_the_clients_user(
    served: Line, wire: Any, action: types.ElicitResult, said: str
) -> None:
    user = User(action)
    async with Client(served.url, mode=wire, elicitation_callback=user) as client:
        result = await client.call_tool("eraser", {"message": "x"})
    assert 'erase {"name":"x"}' in user.forms[0].message
    assert list(user.forms[0].requested_schema["properties"]) == ["approve", "reason"]
    run = await served.run(result.structured_content["run_id"])
    if action.action == "accept" and action.content == {"approve": True}:
        assert text_of(result) == said
    else:
        assert result.is_error
        log = [stamped async for batch in served.landline.runs.follow(_local(), run.id) for stamped in batch]
        assert any(said.encode() in stamped.body for stamped in log if stamped.type == "tool.failed")


def _local() -> Any:
    from landline.model.callers import LOCAL

    return LOCAL


@pytest.mark.parametrize("wire", WIRES)
async def test_questions_one_after_the_other_are_answered_in_one_call(served: Line, wire: Any) -> None:
    user = User(accept(answer="Ada"), accept(choice="blue"))
    async with Client(served.url, mode=wire, elicitation_callback=user) as client:
        result = await client.call_tool("asks", {"message": "hi"})
    assert (text_of(result), len(user.forms)) == ("Ada likes blue.", 2)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_client_without_forms_is_told_what_is_asked_and_answers_by_a_tool(
    served: Line, wire: Any
) -> None:
    async with Client(served.url, mode=wire) as client:
        waiting = await client.call_tool("asks", {"message": "hi"})
        data = waiting.structured_content
        assert (data["status"], waiting.is_error) == ("waiting", False)
        assert data["questions"][0]["prompt"] in text_of(waiting)
        assert data["run_id"] in text_of(waiting)
        answer = {"question_id": data["questions"][0]["question_id"], "value": "Ada"}
        again = await client.call_tool("landline_answer", {"run_id": data["run_id"], "answers": [answer]})
        question = again.structured_content["questions"][0]
        assert question["choices"] == ["red", "blue"]
        answer = {"question_id": question["question_id"], "value": "red"}
        done = await client.call_tool("landline_answer", {"run_id": data["run_id"], "answers": [answer]})
        assert text_of(done) == "Ada likes red."
        looked = await client.call_tool("landline_run", {"run_id": data["run_id"]})
        assert looked.structured_content["output"] == "Ada likes red."


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("action", [CANCEL, accept(choice="green"), accept()])
async def test_a_form_that_is_dismissed_or_wrong_leaves_the_run_waiting(
    served: Line, wire: Any, action: types.ElicitResult
) -> None:
    user = User(accept(answer="Ada"), action, *[CANCEL] * 20)
    async with Client(served.url, mode=wire, elicitation_callback=user) as client:
        result = await client.call_tool("asks", {"message": "hi"})
    data = result.structured_content
    assert data["status"] == "waiting"
    assert (await served.run(data["run_id"])).status == "waiting"


@pytest.mark.contract("FACE-11", "EVT-9")
async def test_a_form_that_is_open_gives_way_to_an_answer_from_elsewhere(served: Line) -> None:
    shown: asyncio.Queue[str] = asyncio.Queue()

    async def slow(context: Any, params: Any) -> types.ElicitResult:
        shown.put_nowait(params.message)
        await asyncio.Event().wait()
        raise AssertionError("nobody filled it in")

    async with Client(served.url, mode="legacy", elicitation_callback=slow) as client:
        call = asyncio.create_task(client.call_tool("asks", {"message": "hi"}))
        for prompt, value in (("What is your name?", "Ada"), ("Which colour?", "red")):
            assert await asyncio.wait_for(shown.get(), 10) == prompt
            run = await _only_run(served, until=frozenset({"waiting"}))
            answer = Answer(question_id=(await served.run(run.id)).questions[0].question_id, value=value)
            await served.landline.runs.answer(_local(), run.id, [answer])
        assert text_of(await call) == "Ada likes red."


@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_that_is_taken_back_cancels_its_run(served: Line, wire: Any) -> None:
    began = asyncio.Event()

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        began.set()

    async with Client(served.url, mode=wire) as client:
        call = asyncio.create_task(client.call_tool("hold", {}, progress_callback=tell))
        async with asyncio.timeout(10):
            await began.wait()
        call.cancel()
        await asyncio.wait({call})
        assert (await _only_run(served)).status == "cancelled"


async def _only_run(served: Line, *, until: frozenset[str] = TERMINAL) -> Any:
    from landline.ports.store import RunQuery

    async with asyncio.timeout(10):
        while True:
            for run in (await served.landline.runs.history(_local(), RunQuery())).items:
                if run.status in until:
                    return run
            await asyncio.sleep(0.02)


async def test_a_session_that_ends_leaves_the_run(served: Line) -> None:
    began = asyncio.Event()

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        began.set()

    async def use() -> None:
        async with Client(served.url, mode="legacy") as client:
            await client.call_tool("hold", {}, progress_callback=tell)

    task = asyncio.create_task(use())
    async with asyncio.timeout(10):
        await began.wait()
    run = await _only_run(served, until=frozenset({"running"}))
    # The connection breaks, and nobody says that the call is taken back.
    served.landline.drain.start()
    await asyncio.wait({task}, timeout=10)
    assert (await served.run(run.id)).status == "running"
    task.cancel()
    await served.landline.runs.cancel(_local(), run.id)


@pytest.mark.contract("FACE-11", "EVT-9")
async def test_a_run_of_a_call_is_followed_and_cancelled_through_other_calls(served: Line) -> None:
    async with Client(served.url) as client:
        call = asyncio.create_task(client.call_tool("hold", {}))
        run = await _only_run(served, until=frozenset({"running"}))
        follower = asyncio.create_task(client.call_tool("landline_run", {"run_id": run.id, "wait": True}))
        await asyncio.sleep(0.1)
        stopped = await client.call_tool("landline_cancel", {"run_id": run.id})
        assert stopped.structured_content["status"] == "cancelled"
        for result in await asyncio.gather(call, follower):
            assert result.is_error
            assert text_of(result) == "waiting\n\nThe run was cancelled."


@pytest.mark.contract("FACE-11", "EVT-8")
@pytest.mark.parametrize("wire", WIRES)
async def test_failures_are_told_as_the_tools_own_and_safely(served: Line, wire: Any) -> None:
    async with Client(served.url, mode=wire) as client:
        failed = await client.call_tool("fails", {"message": "x"})
        assert failed.is_error
        assert text_of(failed).startswith("So far.\n\nThe agent failed: ")
        assert "secret" not in text_of(failed)
        assert failed.structured_content["error"]["code"] == "agent_error"
        missing = await client.call_tool("echo", {})
        assert (missing.is_error, "message is missing" in text_of(missing)) == (True, True)
        nowhere = await client.call_tool("echo", {"message": "x", "thread_id": "0" * 36})
        assert (nowhere.is_error, nowhere.meta and nowhere.meta["landline/code"]) == (
            True,
            "thread_not_found",
        )
        with pytest.raises(Exception, match="Unknown tool"):
            await client.call_tool("nothing", {})


@pytest.mark.parametrize("wire", WIRES)
async def test_a_busy_thread_is_told_with_the_run_that_holds_it(served: Line, wire: Any) -> None:
    async with Client(served.url, mode=wire) as client:
        waiting = (await client.call_tool("asks", {"message": "x"})).structured_content
        busy = await client.call_tool("asks", {"message": "y", "thread_id": waiting["thread_id"]})
        assert busy.is_error
        assert busy.meta is not None
        assert busy.meta["landline/active_run_id"] == waiting["run_id"]


@asynccontextmanager
async def _signed(line_: Line, key: str, wire: Any, **more: Any) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers={"x-api-key": key}, timeout=20) as http,
        Client(streamable_http_client(line_.url, http_client=http), mode=wire, **more) as client,
    ):
        yield client


@pytest.mark.contract("FACE-11", "THR-2", "TRU-5")
@pytest.mark.parametrize("wire", WIRES)
async def test_what_belongs_to_somebody_else_is_not_there(keyed: Line, wire: Any) -> None:
    async with (
        _signed(keyed, "ann", wire) as ann,
        _signed(keyed, "bob", wire) as bob,
    ):
        data = (await ann.call_tool("asks", {"message": "x"})).structured_content
        assert (await bob.call_tool("landline_threads", {})).structured_content["items"] == []
        absent = {"thread_id": "0" * 36, "run_id": "0" * 36}
        for tool, arguments in (
            ("landline_messages", {"thread_id": data["thread_id"]}),
            ("landline_run", {"run_id": data["run_id"]}),
            ("landline_cancel", {"run_id": data["run_id"]}),
            ("echo", {"message": "x", "thread_id": data["thread_id"]}),
        ):
            (name,) = set(arguments) & set(absent)
            theirs = text_of(await bob.call_tool(tool, arguments))
            never = text_of(await bob.call_tool(tool, {**arguments, name: absent[name]}))
            assert theirs.replace(data[name], "ID") == never.replace(absent[name], "ID")


@pytest.mark.contract("FACE-11", "TRU-5")
@pytest.mark.parametrize("wire", WIRES)
async def test_tools_are_those_of_the_callers_scopes(keyed: Line, wire: Any) -> None:
    async with _signed(keyed, "reader", wire) as reader:
        names = [tool.name for tool in (await reader.list_tools()).tools]
        assert names == ["landline_threads", "landline_messages", "landline_run"]
        for tool in ("echo", "landline_answer", "landline_cancel"):
            with pytest.raises(Exception, match="Unknown tool"):
                await reader.call_tool(tool, {})
    user = User(accept(approve=True))
    async with _signed(keyed, "starter", wire, elicitation_callback=user) as starter:
        waiting = await starter.call_tool("eraser", {"message": "x"})
        assert waiting.structured_content["status"] == "waiting"
        assert "may not answer" in text_of(waiting)
    assert user.forms == []
