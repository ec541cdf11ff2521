"""The agents of the examples, once as they are and once with a tool that a human has to agree to."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - generics of the framework
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

import landline
from landline.adapters.langgraph.brought import BroughtTools

_EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "agents.py"))
_FRAMEWORKS = ("pydantic_ai", "openai_sdk", "langgraph", "ag2")
_taking = cast("Any", create_agent)(
    ChatOpenAI(
        model=os.environ["OPENAI_MODEL"], api_key=SecretStr(os.environ["OPENAI_API_KEY"]), stream_usage=True
    ),
    tools=[],
    middleware=[BroughtTools()],
)

agents: list[Any] = [
    landline.agent(_taking, name="langgraph_brought"),
    _EXAMPLE["agents"][0],
    *(landline.agent(_EXAMPLE[name], name=name) for name in _FRAMEWORKS),
    *(
        landline.agent(_EXAMPLE[name], name=f"{name}_asks", tools={"add": landline.tool(approval=True)})
        for name in _FRAMEWORKS
    ),
]
