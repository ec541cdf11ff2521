"""Models of served agents are fitted while the server is up: what waits comes as one, unless the agent does not want it."""

import asyncio
import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import Agent as OpenAIAgent
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import landline
from landline.app.build import Landline
from landline.app.streams import fit_agents, fitting_libraries
from landline.cli.checks import all_checks
from landline.upstream.streams.network import MergingBackend
from landline.upstream.streams.pool import Pool
from tests.upstream.streams.provider import Answer, provider, say_all
from tests.upstream.streams.wires import chat

SAID = [f"word{n} " for n in range(50)]
EVENTS = [
    event.replace(b'"finish_reason":"tool_calls"', b'"finish_reason":"stop"')
    for event in chat(SAID, [], [])
    if b'"tool_calls":[' not in event
]


_pool = attrgetter("_transport._pool")


def fitted(client: Any) -> bool:
    pool = _pool(client)
    return isinstance(pool, Pool) and isinstance(vars(pool.inner)["_network_backend"], MergingBackend)


def model(http: httpx2.AsyncClient, url: str = "http://127.0.0.1:1/v1") -> OpenAIChatModel:
    client = AsyncOpenAI(base_url=url, api_key="k", http_client=http, max_retries=0)
    return OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))


async def test_clients_are_fitted_while_the_server_is_up(tmp_path: Path) -> None:
    async with httpx2.AsyncClient() as wants, httpx2.AsyncClient() as other, httpx2.AsyncClient() as shared:
        agents = [
            landline.agent(Agent(model(wants)), name="wants"),
            landline.agent(Agent(model(other)), name="not", merge_deltas=False),
            landline.agent(Agent(model(shared)), name="shares"),
            landline.agent(Agent(model(shared)), name="shares_not", merge_deltas=False),
        ]
        async with Landline(agents, open=True, data=tmp_path).started():
            assert [fitted(client) for client in (wants, other, shared)] == [True, False, False]
        assert [fitted(client) for client in (wants, other, shared)] == [False, False, False]


@pytest.mark.parametrize("merge", [True, False])
async def test_the_answer_of_a_run_is_the_same_either_way(tmp_path: Path, merge: bool) -> None:
    async with (
        asyncio.timeout(20),
        provider(say_all(EVENTS)) as upstream,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        agent = landline.agent(Agent(model(http, upstream.url)), name="it", merge_deltas=merge)
        server = Landline([agent], open=True, data=tmp_path)
        async with server.started():
            transport = httpx2.ASGITransport(app=server.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                body = {"agent": "it", "input": "x", "mode": "wait"}
                run = (await client.post("/api/v1/runs", json=body)).json()
        assert run["status"] == "completed"
        assert run["output"] == "".join(SAID)


@pytest.mark.parametrize("against", [False, True])
async def test_the_client_that_an_adapter_makes_later_is_fitted_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, against: bool
) -> None:
    made: list[bool] = []

    async def answer(to: Answer) -> None:
        await say_all(EVENTS)(to)

    original = AsyncOpenAI.__init__

    def noted(self: AsyncOpenAI, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        clients.append(self)

    clients: list[AsyncOpenAI] = []
    monkeypatch.setattr(AsyncOpenAI, "__init__", noted)
    async with asyncio.timeout(20), provider(answer) as upstream:
        monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        agents = [landline.agent(OpenAIAgent(name="a", model="gpt-6"), name="a", merge_deltas=not against)]
        server = Landline(agents, open=True, data=tmp_path)
        async with server.started():
            transport = httpx2.ASGITransport(app=server.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                await client.post("/api/v1/runs", json={"agent": "a", "input": "x", "mode": "wait"})
            made = [fitted(vars(each)["_client"]) for each in clients]
    assert made
    assert made == [not against] * len(made)


def test_no_agents_need_no_undoing() -> None:
    fit_agents([])()


async def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "streams.md"
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        exec(block, names)
    assert fitted(vars(names["model"])["_client"])
    await names["model"].close()
    assert names["agent"].merge_deltas is False
    async with Landline([names["agent"]], open=True, data=tmp_path).started():
        pass


def test_doctor_says_for_each_library_whether_it_fits() -> None:
    assert fitting_libraries() == {"httpx": True, "httpx2": True}


async def test_doctor_tells_what_cannot_be_fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(transport: Any) -> None:
        assert transport is not None

    monkeypatch.setattr("landline.upstream.streams.fitting._pooling", none)
    assert fitting_libraries() == {"httpx": False, "httpx2": False}
    found = {check.name: check.state for check in await all_checks({"data": tmp_path}, check_log=False)}
    assert (found["streams httpx"], found["streams httpx2"]) == ("note", "note")
