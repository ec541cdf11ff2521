"""Serve one agent of the framework that is named, run it once, and print which top-level packages are loaded.

python -m tests.e2e.one_framework FRAMEWORK FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

AGENTS = {
    "plain": "async def agent(run):\n    return run.input\n",
    "pydantic_ai": (
        "from pydantic_ai import Agent\n"
        "from pydantic_ai.models.test import TestModel\n"
        "agent = Agent(TestModel(), name='one')\n"
    ),
    "openai_agents": (
        "from agents import Agent\n"
        "from agents.testing import ScriptedModel, assistant_message\n"
        "agent = Agent(name='one', model=ScriptedModel([[assistant_message('hi')]]))\n"
    ),
    "langgraph": (
        "from typing import TypedDict\n"
        "from langgraph.graph import START, StateGraph\n"
        "class State(TypedDict):\n    input: str\n    output: str\n"
        "graph = StateGraph(State)\n"
        "graph.add_node('say', lambda state: {'output': state['input']})\n"
        "graph.add_edge(START, 'say')\n"
        "agent = graph.compile()\n"
    ),
    "ag2": (
        "from ag2 import Agent\n"
        "from ag2.testing import TestConfig\n"
        "agent = Agent('one', config=TestConfig('hi'))\n"
    ),
}


async def main(framework: str, folder: Path) -> None:
    from landline.app.inprocess import in_process
    from landline.app.loading import load_agents
    from landline.app.plugins import adapters
    from landline.app.settings import load_settings

    source = folder / "served.py"
    source.write_text(AGENTS[framework], encoding="utf-8")
    loaded = load_agents(f"{source}:agent", adapters())
    async with in_process(load_settings(data=folder / "data"), loaded) as peer:
        run = await peer.start(loaded[0].name, "hi")
        events = [event async for event in peer.events(run["id"])]
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps([events[-1].get("output"), modules]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
