"""The router: which agent takes an input that names none (`agent: "auto"`, RUN-11).

Without a router of the owner's, words decide. Each word of the input counts once: 3 points where it is in an agent's
name or in its label `keywords`, 2 in its title, 1 in its description or another label; the most points win, of equals
the one that was registered first. Words are compared without case and without a plural's s; the commonest words of
English do not count. Where no word fits nothing is guessed: the request is refused with the names there are.
"""

import asyncio
import inspect
import logging
import re
from collections.abc import Sequence
from typing import Final

from landline.engine.registry import Registry
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.errors import AgentFailed, Invalid, LandlineError
from landline.ports.routing import Router

__all__ = ["Routing", "by_keywords"]

logger = logging.getLogger(__name__)

ROUTE_S: Final = 30.0
"""What a router may take; a request waits for it."""

MOST_CHARS: Final = 20_000
"""How much of the input the words are taken from."""

_COMMON_WORDS: Final = """
a about all an and any are as at be but by can could do does for from get give had has have he her him his how i
if in into is it its me my no not of on one or our out please she should so some tell that the their them then
there they this to up us was we were what when where which who why will with would you your
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())
_WORD: Final = re.compile(r"[^\W_]+")


class Routing:
    """Asks the router, and holds it to the agents the caller may use."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.router: Router = by_keywords
        self.own_agent: str | None = None
        """The agent that is the router itself; it is not chosen."""

    async def choose(self, caller: Caller, text: str) -> str:
        """Return the agent for `text`.

        Raises:
            Invalid: None fits (`not_routed`).
            AgentFailed: The router failed, took too long, or named what is not there (`router_failed`).
        """
        agents = [
            info for info in self._registry.list(caller) if info.error is None and info.name != self.own_agent
        ]
        chosen = await self._ask(text, caller, agents) if len(agents) > 1 else None
        if len(agents) == 1:
            chosen = agents[0].name
        names = [info.name for info in agents]
        if chosen is None:
            known = ", ".join(names[:20]) or "none"
            raise Invalid(f"No agent fits this input; name one of: {known}.", code="not_routed")
        if chosen not in names:
            logger.error("the router chose %r, which is no agent this caller may use", chosen)
            raise AgentFailed("The router chose an agent that is not there.", code="router_failed")
        return chosen

    async def _ask(self, text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str | None:
        router = self.router
        try:
            async with asyncio.timeout(ROUTE_S):
                if router is by_keywords or _is_async(router):
                    chosen = router(text, caller, agents)
                else:  # it may block
                    chosen = await asyncio.to_thread(router, text, caller, agents)
                return await chosen if inspect.isawaitable(chosen) else chosen
        except LandlineError:
            raise
        except Exception as error:  # the owner's code: its text may hold anything
            logger.exception("the router failed")
            raise AgentFailed("The router failed.", code="router_failed") from error


def _is_async(router: Router) -> bool:
    return inspect.iscoroutinefunction(router) or inspect.iscoroutinefunction(type(router).__call__)


def by_keywords(text: str, caller: Caller, agents: Sequence[AgentInfo]) -> str | None:
    """Return the agent whose words the input has most of; see the module."""
    asked = _words(text[:MOST_CHARS])
    points = [(_points(asked, info), -order) for order, info in enumerate(agents)]
    most, order = max(points, default=(0, 0))
    return agents[-order].name if most else None


def _points(asked: set[str], info: AgentInfo) -> int:
    keywords = info.labels.get("keywords", "")
    others = " ".join(f"{name} {value}" for name, value in info.labels.items() if name != "keywords")
    weighed = [
        (3, _words(f"{info.name} {keywords}")),
        (2, _words(info.title)),
        (1, _words(f"{info.description or ''} {others}")),
    ]
    return sum(next((weight for weight, words in weighed if word in words), 0) for word in asked)


def _words(text: str) -> set[str]:
    found = {word.removesuffix("s") if len(word) > 3 else word for word in _WORD.findall(text.casefold())}
    return found - _COMMON
