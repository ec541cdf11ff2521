"""Servers that the tests of remote agents call, on loopback, and the suite's agents behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

import landline
from landline.adapters.openai_agents import adapter as openai_agents
from landline.adapters.pydantic_ai import adapter as pydantic_ai
from landline.adapters.remote import RemoteAdapter
from landline.app.build import Landline
from landline.engine.registry import describe
from landline.ports.adapter import Adapter, AgentSpec
from landline.testing.adapters import AdapterKit, ToolBox
from landline.upstream import EgressPolicy
from tests.adapters.openai_agents_kit import OpenAIAgentsKit
from tests.adapters.pydantic_ai_kit import PydanticAIKit, prompts
from tests.faces.serving import served


async def no_pause(_: float) -> None:
    """Try again at once."""
    await asyncio.sleep(0.01)


def bound(protocol: Any) -> RemoteAdapter:
    """The adapter with a policy that opens nothing by itself: the agents' own origins are trusted."""
    return RemoteAdapter(protocol, EgressPolicy(pause=no_pause))


class RemoteServer:
    """A real Landline on a free port; agents may be added while it runs."""

    def __init__(self, app: Landline, url: str) -> None:
        self.app, self.url = app, url
        self._added = 0

    def add(self, spec: AgentSpec, adapter: Adapter) -> str:
        """Serve one more agent and return its name."""
        self._added += 1
        name = f"{spec.name}_{self._added}"
        made = describe(replace(spec, name=name), adapter)
        agents: dict[str, Any] = self.app.core.agents._agents  # pyright: ignore[reportPrivateUsage] - the suite's kits make agents in the middle of a test
        agents[name] = made
        return name


@asynccontextmanager
async def remote_landline(folder: Path, *agents: Any, everybody: bool = True) -> AsyncGenerator[RemoteServer]:
    """Serve a Landline in this process."""
    app = Landline(agents=list(agents), data=folder, log_level="error", open=everybody)
    async with app.started(), served(app.app) as address:
        yield RemoteServer(app, f"http://{address}")


class RemoteLandlineKit(AdapterKit):
    """The suite's agents, in Pydantic AI on the other Landline, seen through the remote adapter."""

    def __init__(self, server: RemoteServer) -> None:
        self._server, self._kit = server, PydanticAIKit()
        self._adapter = bound("landline")
        self._echo: AgentSpec | None = None

    @property
    def adapter(self) -> RemoteAdapter:
        return self._adapter

    def _remote(self, spec: AgentSpec, adapter: Adapter = pydantic_ai, **more: Any) -> AgentSpec:
        name = self._server.add(spec, adapter)
        return landline.agent(landline.remote(self._server.url, agent=name, **more), name=spec.name)

    def echo(self) -> AgentSpec:
        """One agent for the whole test, slow enough that the other server's log does not merge what it says."""
        if self._echo is None:

            async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str]:
                *before, last = prompts(messages)
                pieces = [*(f"Before: {text}. " for text in before), "You ", "said: ", last]
                for piece in pieces:
                    await asyncio.sleep(0.02)
                    yield piece

            agent = Agent(FunctionModel(stream_function=stream))
            self._echo = self._remote(AgentSpec(agent=agent, name="echo"))
        return self._echo

    def tools(self, box: ToolBox) -> AgentSpec:
        return self._remote(self._kit.tools(box))

    def approval(self, box: ToolBox) -> AgentSpec:
        return self._remote(self._kit.approval(box))

    def structured(self) -> AgentSpec:
        return self._remote(self._kit.structured())

    def reasoning(self) -> AgentSpec:
        return self._remote(self._kit.reasoning())

    def settings(self) -> AgentSpec:
        return self._remote(self._kit.settings(), settings=["temperature"])

    def sees(self) -> AgentSpec:
        return self._remote(self._kit.sees())

    def asks(self) -> AgentSpec:
        return self._remote(self._kit.asks())

    def handoff(self) -> AgentSpec:
        return self._remote(OpenAIAgentsKit().handoff(), openai_agents)

    def failing(self, canary: str) -> AgentSpec:
        return self._remote(self._kit.failing(canary))

    def endless(self, box: ToolBox) -> AgentSpec:
        return self._remote(self._kit.endless(box))

    def endless_tool(self, box: ToolBox) -> AgentSpec:
        return self._remote(self._kit.endless_tool(box))

    def blocking_tool(self, box: ToolBox) -> AgentSpec:
        return self._remote(self._kit.blocking_tool(box))

    def idempotent(self, box: ToolBox, *, idempotent: bool) -> AgentSpec:
        return self._remote(self._kit.idempotent(box, idempotent=idempotent))

    def texts_of(self, native: bytes) -> Sequence[str]:
        return [text for turn in msgspec.json.decode(native) for text in (turn["user"], turn["assistant"])]
