"""A tiny agent framework, made up: a poet writes pieces of text and may use tools. It knows nothing of Landline."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Asked", "Poet", "ToolFailed", "run_tool"]

Use = Callable[[str, Mapping[str, Any], Callable[..., Any]], Awaitable[Any]]


class ToolFailed(Exception):
    """A tool did not do its work; the text may be shown to the poet's reader."""


async def run_tool(name: str, arguments: Mapping[str, Any], tool: Callable[..., Any]) -> Any:
    """Run a tool: what happens unless a host has its own way."""
    result = tool(**arguments)
    return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True)
class Asked:
    """What a poet is asked, what it was asked before, and its tools."""

    text: str
    earlier: Sequence[str]
    tools: Mapping[str, Callable[..., Any]]
    host: Use

    async def use(self, name: str, /, **arguments: Any) -> Any:
        """Use a tool and return what it gave. Raises ToolFailed."""
        return await self.host(name, arguments, self.tools[name])

    async def use_all(self, *uses: tuple[str, Mapping[str, Any]]) -> list[Any]:
        """Use several tools at once and return what they gave, once all have ended. Raises what the first raised."""
        calls = (self.use(name, **arguments) for name, arguments in uses)
        results: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results


@dataclass(frozen=True)
class Poet:
    """An agent: `write` yields the pieces of its answer."""

    name: str
    write: Callable[[Asked], AsyncGenerator[str]]
    tools: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])

    def recite(self, text: str, *, earlier: Sequence[str] = (), host: Use = run_tool) -> AsyncGenerator[str]:
        """Return the pieces of the answer to `text`; `host` may run the tools in its own way."""
        return self.write(Asked(text, earlier, self.tools, host))
