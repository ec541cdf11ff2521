"""A served agent of Pydantic AI: `landline serve examples/pydantic_ai_agent.py`.

The model is OpenAI's, or that of OPENAI_BASE_URL; OPENAI_API_KEY is needed to talk to it, not to start the server.
"""

import os
from datetime import UTC, datetime

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(api_key=os.environ.get("OPENAI_API_KEY", "none"))
assistant = Agent(OpenAIChatModel("gpt-5.2", provider=provider), name="assistant", instructions="Be brief.")


@assistant.tool_plain
async def clock() -> str:
    """Return the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@assistant.tool_plain(requires_approval=True)
async def remember(note: str) -> str:
    """Keep a note; a human agrees first."""
    return f"noted: {note}"
