"""A served agent of the OpenAI Agents SDK: `landline serve examples/openai_agents.py`.

The model is OpenAI's, or that of OPENAI_BASE_URL; OPENAI_API_KEY is needed to talk to it, not to start the server.
"""

from datetime import UTC, datetime

from agents import Agent, function_tool

import landline


@function_tool
async def clock() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@function_tool
async def remember(note: str) -> str:
    """Keep a note; a human agrees first."""
    return f"noted: {note}"


assistant = Agent(name="Assistant", instructions="Be brief.", tools=[clock, remember])
agent = landline.agent(assistant, name="assistant", tools={"remember": landline.tool(approval=True)})
