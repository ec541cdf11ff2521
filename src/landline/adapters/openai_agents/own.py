"""What an owner may say of an agent beyond the agent object itself: the arguments of a run that the SDK's runner takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from landline.model.callers import Caller

__all__ = ["OpenAIAgent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAIAgent:
    """An agent with what its owner wants of each run; give it to Landline in the place of the bare agent.

    Args:
        agent: The SDK's `Agent`.
        session: Called with (caller, thread id) once a segment, returns the SDK `Session` that then holds the agent's
            history instead of the thread. It is read when the run begins and written once, when the run has ended well.
        run_config: The SDK's `RunConfig`; its tracing switch is not used, see `tracing`.
        max_turns: Most model calls of a run, None for no limit.
        tracing: Whether the SDK's trace processors get the run, which by default send it to OpenAI.
    """

    agent: Any
    session: Callable[[Caller, str], Any] | None = None
    run_config: Any = None
    max_turns: int | None = 50
    tracing: bool = False
