"""The lesson spoken by a real model: one request per part."""

from pydantic_ai import Agent
from pydantic_ai.models import Model

__all__ = ["lesson_voice"]

_PARTS = {
    "teacher": "You are the teacher in a short lesson about {topic}. Speak to your student in two or three sentences.",
    "student": "You are a curious student in a short lesson about {topic}. Answer your teacher in one or two sentences, "
    "with one question. If the teacher says goodbye, thank them without a question.",
}


async def lesson_voice(model: Model, speaker: str, topic: str, before: str) -> str:
    """Return the words of `speaker` after `before` was said."""
    agent: Agent[None, str] = Agent(
        model, deps_type=type(None), instructions=_PARTS[speaker].format(topic=topic)
    )
    result = await agent.run(before or f"The lesson about {topic} begins.")
    return result.output
