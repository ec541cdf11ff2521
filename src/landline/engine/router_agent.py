"""An agent as the router: it is asked in a run of its own, like any other, and its text names the agent (RUN-11).

The run is the caller's, on a thread of its own that is archived at once; so what routing cost is in the log too.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import AgentFailed
from landline.model.messages import TextPart
from landline.model.runs import TERMINAL
from landline.model.times import iso
from landline.ports.clock import Clock
from landline.ports.runs import Runs, StartRun
from landline.ports.store import Store, ThreadPatch

__all__ = ["RouterAgent"]

NONE: Final = "none"

_ASKED: Final = (
    "Choose the agent for the request below. Answer with the agent's name and nothing else; "
    f'answer "{NONE}" when none fits.'
)


class RouterAgent:
    """A `ports.routing.Router` that asks the agent `name`."""

    def __init__(self, name: str, *, runs: Runs, store: Store, clock: Clock) -> None:
        self._name, self._runs, self._store, self._clock = name, runs, store, clock

    async def __call__(self, text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str | None:
        """Return the agent that the answer names, None when it names none of them or several.

        Raises:
            LandlineError: The agent cannot be run, or did not answer.
        """
        listed = "\n".join(f"- {info.name}: {info.description or info.title}" for info in agents)
        prompt = f"{_ASKED}\n\nAgents:\n{listed}\n\nRequest:\n{text}"
        wanted = StartRun(input=[TextPart(text=prompt)], agent=self._name, title="Routing")
        run = (await self._runs.start(caller, wanted)).run
        try:
            await self._store.update_thread(
                caller, run.thread_id, ThreadPatch(at=iso(self._clock.now()), archived=True)
            )
            async for _ in self._runs.follow(caller, run.id, at_once=False):
                pass
        except asyncio.CancelledError:
            await self._runs.cancel(caller, run.id)
            raise
        run = await self._runs.get(caller, run.id)
        if run.status not in TERMINAL:
            await self._runs.cancel(caller, run.id)
        if run.status != "completed":
            raise AgentFailed("The router did not answer.", code="router_failed")
        return _named(str(run.output), [info.name for info in agents])


def _named(answer: str, names: Sequence[str]) -> str | None:
    """Return the name that the answer is, or the only one in it."""
    said = answer.strip().strip("\"'`.").casefold()
    exact = [name for name in names if name.casefold() == said]
    if exact:
        return exact[0]
    words = set(re.findall(r"[a-z0-9_-]+", said))
    inside = [name for name in names if name.casefold() in words]
    return inside[0] if len(inside) == 1 else None
