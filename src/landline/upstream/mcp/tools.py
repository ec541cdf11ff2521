"""The tools of an agent's MCP servers for one run: found, checked against their pins, and ready to be called."""

import asyncio
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from landline.model.callers import Caller
from landline.ports.adapter import AgentSpec, BroughtTool, ToolPolicy, ToolRaised
from landline.ports.documents import Documents
from landline.ports.mcp import McpServer
from landline.upstream.mcp.definitions import Definition
from landline.upstream.mcp.faults import Down, Fault, Lost, NotSent
from landline.upstream.mcp.pins import Pins
from landline.upstream.mcp.pool import Pool
from landline.upstream.mcp.results import plain_result

__all__ = ["McpTools"]

logger = logging.getLogger(__name__)

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
"""What model providers do not take in a tool's name."""

LONGEST_NAME = 64


class McpTools:
    """Brings tools to runs; one for a process. It is a `ports.adapter.BringsTools`."""

    def __init__(self, documents: Documents, *, pool: Pool | None = None) -> None:
        self._pins = Pins(documents)
        self._pool = pool or Pool()

    async def __call__(self, spec: AgentSpec, caller: Caller) -> Sequence[BroughtTool]:
        """Return the tools that are approved, each name once.

        A server that is down is no reason to fail: its approved tools are offered, and fail when they are called.
        """
        found = await asyncio.gather(*(self._offered(server, caller) for server in spec.mcp))
        tools: dict[str, BroughtTool] = {}
        for server, definitions in zip(spec.mcp, found, strict=True):
            for definition in definitions:
                if server.tools is not None and definition.name not in server.tools:
                    continue
                name = _shown_name(server, definition)
                if name in tools:
                    logger.warning("two tools of %s are named %s; the first is used", spec.name, name)
                    continue
                policy = spec.tools.get(name) or _policy(server, definition.name)
                tools[name] = BroughtTool(
                    name=name,
                    description=definition.description,
                    parameters=definition.parameters,
                    policy=policy,
                    call=partial(self._call, server, caller, definition, policy.idempotent),
                )
        return list(tools.values())

    async def close(self) -> None:
        """Close the connections and end the processes, when the engine has let go of its runs."""
        await self._pool.close()

    async def _offered(self, server: McpServer, caller: Caller) -> Collection[Definition]:
        try:
            _, listed = await self._pool.listed(server, caller)
        except Down:
            approved = await self._pins.approved(server.name)
            logger.warning(
                "the MCP server %s is down; %d approved tools are offered", server.name, len(approved)
            )
            return approved.values()
        return (await self._pins.settle(server.name, listed.values())).values()

    async def _call(
        self,
        server: McpServer,
        caller: Caller,
        definition: Definition,
        idempotent: bool,
        arguments: Mapping[str, Any],
    ) -> Any:
        """Call the tool, once more only if the server did not take it or if it may run twice.

        Raises:
            ToolRaised: It failed.
        """
        try:
            try:
                return await self._once(server, caller, definition, arguments)
            except NotSent:
                return await self._once(server, caller, definition, arguments)
            except Lost:
                if not idempotent:
                    raise
                return await self._once(server, caller, definition, arguments)
        except Fault as fault:
            raise fault.raised from fault

    async def _once(
        self, server: McpServer, caller: Caller, definition: Definition, arguments: Mapping[str, Any]
    ) -> Any:
        connection, listed = await self._pool.listed(server, caller)
        now = listed.get(definition.name)
        if now is None or now.hash != definition.hash:
            # It was offered as something else; whoever approved that did not approve this.
            await self._pins.settle(server.name, listed.values())
            raise ToolRaised(
                "mcp_tool_changed",
                "The tool's server has changed or removed it since it was approved; it was not called.",
            )
        result = await connection.call(definition.name, arguments, timeout_s=server.call_timeout_s)
        return plain_result(result, limit=server.max_result_bytes)


def _shown_name(server: McpServer, definition: Definition) -> str:
    name = f"{server.prefix}_{definition.name}" if server.prefix else definition.name
    return _UNFIT.sub("_", name)[:LONGEST_NAME]


def _policy(server: McpServer, name: str) -> ToolPolicy:
    return ToolPolicy(approval=_applies(server.approval, name), idempotent=_applies(server.idempotent, name))


def _applies(to: bool | Collection[str], name: str) -> bool:
    return to if isinstance(to, bool) else name in to
