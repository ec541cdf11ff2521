"""Bodies into runs: pure functions."""

from typing import Any, Final

from landline.faces.tutorials.wire import AgentChatBody
from landline.model.agents import AgentInfo
from landline.model.messages import TextPart
from landline.ports.runs import StartRun

__all__ = ["LESSON_TEMPERATURE", "agent_chat", "message", "settings"]

LESSON_TEMPERATURE: Final = 0.7
"""The lesson's default; its clients send it whether or not anyone asked for it."""


def settings(temperature: float | None, info: AgentInfo | None) -> dict[str, Any]:
    """Return the run's settings.

    Without a temperature the agent's own stands. The lesson's default is left out for an agent that takes no temperature,
    and for the router's choice (`info` None); any other value goes on, and is refused by an agent that takes none.
    """
    if temperature is None:
        return {}
    takes = info is not None and "temperature" in info.settings
    return {} if temperature == LESSON_TEMPERATURE and not takes else {"temperature": temperature}


def message(
    text: str,
    *,
    agent: str | None = None,
    thread_id: str | None = None,
    settings: dict[str, Any] | None = None,
) -> StartRun:
    """Return the run of one message: only what the user says now is taken from a request (TRU-19)."""
    return StartRun(input=[TextPart(text=text)], agent=agent, thread_id=thread_id, settings=settings or {})


def agent_chat(body: AgentChatBody) -> StartRun:
    """Return the run of a message for a named agent, on a thread of its own; `auto` lets the router choose."""
    return StartRun(
        input=[TextPart(text=body.message)],
        agent=body.agent,
        context=body.context,
        has_context=body.context is not None,
    )
