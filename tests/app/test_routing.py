"""`agent: "auto"`: a router chooses, the run says so, and a repeat gets the same (RUN-11)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.app.loading import load_agents
from landline.app.plugins import adapters
from landline.engine.registry import Registered, Registry
from landline.engine.route import by_keywords
from landline.model.agents import AgentInfo
from landline.model.callers import LOCAL, Caller

NAMES = ("bank_support", "notes", "weather")


async def echo(run: Any) -> str:
    return f"echo: {run.input}"


AGENTS = [
    landline.agent(echo, name="bank_support", description="Balances, cards and payments of your account."),
    landline.agent(echo, name="notes", description="Keeps lists of what to buy."),
    landline.agent(echo, name="weather", labels={"keywords": "rain sun", "city": "Vienna"}),
    landline.agent(echo, name="secret", title="Rain and sun", scopes=["admin"]),
]


@asynccontextmanager
async def serving(
    folder: Path, agents: Sequence[Any] = AGENTS, **options: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    server = Landline(agents, open=True, data=folder, **options)
    async with server.started():
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def auto(
    client: httpx.AsyncClient, text: str, *, key: str | None = None, **more: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/v1/runs", json={"agent": "auto", "input": text, **more}, headers=headers)


@pytest.mark.contract("RUN-11", "RUN-1")
@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("Block my card!", "bank_support"),
        ("put milk on my LIST", "notes"),
        ("a note, please", "notes"),
        ("what is it like in vienna?", "weather"),
        ("shall I buy a card", "bank_support"),  # one point each: the first that was registered
        ("buy rain", "weather"),  # a keyword counts more than a word of a description
    ],
)
async def test_the_words_of_the_input_choose(tmp_path: Path, text: str, agent: str) -> None:
    async with serving(tmp_path) as client:
        run = (await auto(client, text)).json()
        assert (run["agent"], run["routed_to"], run["output"]) == (agent, agent, f"echo: {text}")
        thread = (await client.get(f"/api/v1/threads/{run['thread_id']}")).json()
        assert thread["agent"] == agent
        named = await client.post("/api/v1/runs", json={"agent": agent, "input": text})
        assert named.json()["routed_to"] is None


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_where_nothing_fits_the_names_are_told_and_nothing_is_written(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        refused = await auto(client, "tell me what it is about")
        assert (refused.status_code, refused.json()["code"]) == (422, "not_routed")
        assert all(name in refused.json()["detail"] for name in NAMES)
        assert (await client.get("/api/v1/threads")).json()["items"] == []


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_a_turn_of_a_thread_is_routed_and_the_thread_keeps_its_agent(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        thread = (await client.post("/api/v1/threads", json={"agent": "notes"})).json()
        runs = f"/api/v1/threads/{thread['id']}/runs"
        run = (await client.post(runs, json={"agent": "auto", "input": "will there be rain"})).json()
        assert (run["agent"], run["routed_to"]) == ("weather", "weather")
        messages = (await client.get(f"/api/v1/threads/{thread['id']}/messages")).json()["items"]
        again = await client.post(runs, json={"agent": "auto", "parent_id": messages[0]["id"]})
        assert again.json()["routed_to"] == "weather"
        assert (await client.get(f"/api/v1/threads/{thread['id']}")).json()["agent"] == "notes"
        assert (await client.post(runs, json={"input": "hi"})).json()["agent"] == "notes"
        missing = await client.post("/api/v1/threads/x/runs", json={"agent": "auto", "input": "rain"})
        assert missing.status_code == 404


@pytest.mark.contract("RUN-11", "RUN-7")
async def test_a_repeat_gets_the_first_choice_and_the_router_is_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []

    async def router(text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str:
        asked.append(text)
        assert [agent.name for agent in agents] == ["bank_support", "notes", "weather"]
        assert caller == LOCAL
        return ("notes", "weather")[len(asked) - 1]

    async with serving(tmp_path, router=router) as client:
        first = await auto(client, "hm", key="k")
        repeat = await auto(client, "hm", key="k")
        assert repeat.json() == first.json()
        assert (first.json()["routed_to"], repeat.headers["idempotency-replayed"]) == ("notes", "true")
        assert asked == ["hm"]
        assert (await auto(client, "other", key="k")).status_code == 422
        assert asked == ["hm"]
    async with serving(tmp_path, router=router) as client:  # after a restart too
        listed = (await client.get("/api/v1/runs")).json()["items"]
        assert [run["routed_to"] for run in listed] == ["notes"]


@pytest.mark.contract("RUN-11", "ADP-8")
async def test_a_sync_router_does_not_block_the_loop(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()

    def router(text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str | None:
        # Blocks for ever if the loop cannot run beside it.
        return asyncio.run_coroutine_threadsafe(later(), loop).result(5)

    async def later() -> str:
        return "notes"

    async with serving(tmp_path, router=router) as client:
        assert (await auto(client, "x")).json()["routed_to"] == "notes"


@pytest.mark.contract("RUN-11", "EVT-8")
@pytest.mark.parametrize("what", ["raises", "unknown", "hidden"])
async def test_a_router_that_fails_is_502_and_its_text_is_not_told(tmp_path: Path, what: str) -> None:
    async def router(text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str:
        if what == "raises":
            raise RuntimeError("the password is swordfish")
        return {"unknown": "nobody", "hidden": "secret"}[what]

    agents = [AGENTS[0], AGENTS[1], landline.agent(echo, name="secret", scopes=["delegate"])]
    async with serving(tmp_path, agents, router=router) as client:
        refused = await auto(client, "x")
        assert (refused.status_code, refused.json()["code"]) == (502, "router_failed")
        assert "swordfish" not in refused.text


@pytest.mark.contract("RUN-11", "RUN-1")
@pytest.mark.parametrize("by_name", [True, False])
async def test_an_agent_may_be_the_router(tmp_path: Path, by_name: bool) -> None:
    prompts: list[str] = []

    async def triage(run: Any) -> str:
        prompts.append(run.input)
        return {"one": " `Notes`.\n", "talks": "That is for weather.", "two": "notes or weather"}.get(
            run.input.splitlines()[-1], "none"
        )

    spec = landline.agent(triage, name="triage", description="rain rain rain")
    agents, router = ([*AGENTS, spec], "triage") if by_name else (AGENTS, spec)
    async with serving(tmp_path, agents, router=router) as client:
        assert (await auto(client, "one")).json()["routed_to"] == "notes"
        assert (await auto(client, "talks")).json()["routed_to"] == "weather"
        for text in ("two", "neither"):
            assert (await auto(client, text)).json()["code"] == "not_routed"
        assert "- notes: Keeps lists of what to buy." in prompts[0]
        assert "triage" not in prompts[0]
        # What it cost is there, out of the way.
        routed = (await client.get("/api/v1/runs?agent=triage")).json()["items"]
        assert len(routed) == 4
        shown = (await client.get("/api/v1/threads?archived=false")).json()["items"]
        assert {thread["agent"] for thread in shown} == {"notes", "weather"}


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_an_agent_that_fails_as_the_router_is_502(tmp_path: Path) -> None:
    async def triage(run: Any) -> str:
        if "ask" in run.input.splitlines()[-1]:
            await run.ask("which?")
        raise RuntimeError

    async with serving(tmp_path, router=landline.agent(triage, name="triage")) as client:
        for text in ("fail", "ask"):
            refused = await auto(client, text)
            assert (refused.status_code, refused.json()["code"]) == (502, "router_failed")
        open_questions = (await client.get("/api/v1/approvals")).json()["items"]
        assert open_questions == []


@pytest.mark.contract("RUN-11", "RUN-1")
async def test_a_router_that_is_nothing_is_refused_at_the_start(tmp_path: Path) -> None:
    for router in ("nobody", 7):
        with pytest.raises(ValueError, match="router="):
            _ = Landline(AGENTS, open=True, data=tmp_path, router=router).core


@pytest.mark.contract("RUN-11", "AGT-2")
async def test_no_agent_can_be_named_auto(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="router"):
        landline.agent(echo, name="auto")
    info = AgentInfo(name="auto", title="", framework="plain", version="1")
    with pytest.raises(ValueError, match="router"):
        Registry([Registered(info=info)])
    source = "from pydantic_ai import Agent\nauto = Agent('test', name='x')\nfine = Agent('test', name='y')\n"
    (tmp_path / "some.py").write_text(source)
    loaded = load_agents(str(tmp_path / "some.py"), adapters())
    found = {item.name: item.error for item in loaded}
    assert found["fine"] is None
    assert found["auto_"] is not None
    assert "router" in found["auto_"].message


def test_without_agents_or_words_nothing_is_chosen() -> None:
    assert by_keywords("rain", LOCAL, []) is None
    assert by_keywords("", LOCAL, [AgentInfo(name="a", title="A", framework="x", version="1")]) is None
