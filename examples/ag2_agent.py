"""An AG2 agent with a tool that needs a human's word: `OPENAI_API_KEY=… landline serve examples/ag2_agent.py`."""

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.middleware.builtin.tools.approval import approval_required
from ag2.tools import tool


async def weather(city: str) -> str:
    """Say what the weather is like in a city."""
    return f"It is sunny in {city}."


@tool(middleware=[approval_required()])
async def book(city: str, nights: int) -> str:
    """Book a room; a human has to agree."""
    return f"Booked {nights} nights in {city}."


# The key is read when a run asks the model for the first time, so the server starts without one.
agent = Agent(
    "traveller",
    "You plan short trips. Look at the weather before you book.",
    config=OpenAIConfig("gpt-4o-mini"),
    tools=[weather, book],
)
