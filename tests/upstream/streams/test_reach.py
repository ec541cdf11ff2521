"""The HTTP clients of an agent's models are found in what the agent is made of, and nothing is made by looking."""

import functools
from collections.abc import Callable
from typing import Any

import httpx2
import langchain.agents
import pytest
from agents import Agent as OpenAIAgent
from agents import OpenAIResponsesModel
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider

from landline.upstream.streams import clients_of

HTTP = httpx2.AsyncClient()
CLIENT = AsyncOpenAI(api_key="k", http_client=HTTP)
MODEL = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=CLIENT))
_own: Any = {"api_key": "k", "http_async_client": HTTP}
CHAT = ChatOpenAI(model="m", **_own)


def _graph() -> Any:
    async def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"said": await CHAT.ainvoke(str(state))}

    make: Any = StateGraph
    graph = make(dict)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    return graph.compile()


async def _plain(run: Any) -> Any:
    return await CLIENT.responses.create(model="m", input=str(run))


def _holding() -> Callable[..., Any]:
    held = CLIENT

    async def asks(run: Any) -> Any:
        return await held.responses.create(model="m", input=str(run))

    return asks


def _handed() -> Any:
    second = OpenAIAgent(name="second", model=OpenAIResponsesModel("m", CLIENT))
    return OpenAIAgent(name="first", handoffs=[second])


def _factory(context: Any) -> Agent[Any, str]:
    return Agent(MODEL, name=str(context))


def _created() -> Any:
    return vars(langchain.agents)["create_agent"](CHAT, tools=[])


MADE: dict[str, Callable[[], Any]] = {
    "pydantic_ai": lambda: Agent(MODEL),
    "pydantic_ai-fallback": lambda: Agent(FallbackModel(TestModel(), WrapperModel(MODEL))),
    "pydantic_ai-of-a-factory": lambda: _factory,
    "openai_agents-handoff": _handed,
    "langchain": _created,
    "langgraph": _graph,
    "plain": lambda: _plain,
    "plain-closure": _holding,
    "plain-partial": lambda: functools.partial(_plain),
    "bound-method": lambda: CLIENT.chat.completions.create,
    "list": lambda: [Agent(MODEL), {"b": CLIENT}],
}


@pytest.mark.parametrize("name", MADE)
def test_the_client_of_an_agent_is_found(name: str) -> None:
    found = clients_of(MADE[name]())
    assert any(client is HTTP for client in found)
    assert len({id(client) for client in found}) == len(found)


def test_an_agent_without_a_client_has_none() -> None:
    assert clients_of(Agent(TestModel()), OpenAIAgent(name="by word", model="gpt-6"), None, "x") == []


def test_objects_of_others_are_not_looked_through() -> None:
    class Mine:
        def __init__(self) -> None:
            self.client = CLIENT

        @property
        def costly(self) -> Any:
            raise AssertionError("a property was asked")

    assert clients_of(Mine()) == []


def test_a_proxy_that_stands_for_nothing_is_passed_by() -> None:
    def missing(_: Any) -> Any:
        raise RuntimeError("nothing here now")

    unbound = type("Unbound", (), {"__class__": property(missing)})()
    assert clients_of([unbound, CLIENT]) == [HTTP]
