"""The lesson spoken by a real model: one request per part."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models import Model

from landline.model.errors import AgentFailed

__all__ = ["lesson_voice"]

ANSWER_WITHIN_S = 120.0

_PARTS = {
    "teacher": "You are the teacher in a short lesson about {topic}. Speak to your student in two or three sentences.",
    "student": "You are a curious student in a short lesson about {topic}. Answer your teacher in one or two sentences, "
    "with one question. If the teacher says goodbye, thank them without a question.",
}


async def lesson_voice(
    model: Model, speaker: str, topic: str, before: str, *, within_s: float = ANSWER_WITHIN_S
) -> str:
    """Return the words of `speaker` after `before` was said, all of them.

    Raises:
        AgentFailed: The model was silent for too long, or its answer broke off.
    """
    agent: Agent[None, str] = Agent(
        model, deps_type=type(None), instructions=_PARTS[speaker].format(topic=topic)
    )
    # A step may take as long as it needs: the server's idle timeout does not end it.
    try:
        async with asyncio.timeout(within_s):
            result = await agent.run(before or f"The lesson about {topic} begins.")
    except TimeoutError:
        raise AgentFailed("The model did not answer in time.", code="model_timeout") from None
    # Of an answer that came whole, but for its end, only the missing reason of its end tells.
    if (result.response.provider_details or {}).get("finish_reason") in (None, "length"):
        raise AgentFailed("The model's answer broke off before its end.", code="model_truncated")
    return result.output
