"""What all runs of this process share: connections to MCP servers, and the model client of agents that bring none."""

import asyncio
from collections.abc import Callable
from typing import Any

from landline.adapters.openai_agents.mcp import McpServers

__all__ = ["Shared"]


class Shared:
    """The connections of this process. Light: the framework is loaded by the first run."""

    def __init__(self) -> None:
        self.mcp = McpServers()
        self.fit: Callable[[Any], Any] | None = None
        """What is told of the client that is made for models by name."""
        self._providers: dict[asyncio.AbstractEventLoop, Any] = {}

    def provider(self) -> Any:
        """Return this event loop's provider of models by name."""
        from landline.adapters.openai_agents.provider import SharedProvider

        loop = asyncio.get_running_loop()
        for other in [other for other in self._providers if other.is_closed()]:
            del self._providers[other]
        if loop not in self._providers:
            self._providers[loop] = SharedProvider(self.fit)
        return self._providers[loop]

    async def close(self) -> None:
        """Close what this event loop opened; a later run opens it again."""
        provider = self._providers.pop(asyncio.get_running_loop(), None)
        if provider is not None:
            await provider.aclose()
        await self.mcp.close()
