"""The connections of this process: one for each server and set of headers, however many agents and runs use it."""

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from landline.model.callers import Caller
from landline.model.ids import fingerprint
from landline.ports.mcp import McpServer
from landline.upstream.mcp.connection import Connection
from landline.upstream.mcp.definitions import Definition
from landline.upstream.mcp.faults import Down, NotSent

__all__ = ["Pool"]

logger = logging.getLogger(__name__)

MOST_OPEN = 256
"""Connections that stay open; beyond it the one that was not used for longest is closed."""

IDLE_S = 300.0
"""How long a connection with headers of a caller's own stays open without a call."""


class Pool:
    """Opens, keeps and closes connections."""

    def __init__(self, *, most_open: int = MOST_OPEN, idle_s: float = IDLE_S) -> None:
        self._most_open, self._idle_s = most_open, idle_s
        self._kept: OrderedDict[str, Connection] = OrderedDict()
        self._retired: set[Connection] = set()

    async def listed(self, server: McpServer, caller: Caller) -> tuple[Connection, Mapping[str, Definition]]:
        """Return the caller's connection and the tools its server lists now.

        Raises:
            Down: The server cannot be reached, or does not say what it has.
        """
        headers = await _headers(server, caller)
        for _ in range(2):
            connection = self._connection(server, headers)
            was_open = connection.is_open
            try:
                await connection.opened()
                return connection, await connection.definitions()
            except NotSent:
                # One that was open had broken unseen, and is opened anew. One that did not open says how it is.
                if not was_open:
                    break
        raise Down

    def _connection(self, server: McpServer, headers: Mapping[str, str]) -> Connection:
        key = _identity(server, headers)
        found = self._kept.get(key)
        if found is None or not found.alive:
            if found is not None:
                self._retire(found)
            found = Connection(server, headers, idle_s=self._idle_s if callable(server.headers) else None)
            self._kept[key] = found
            found.start()
            while len(self._kept) > self._most_open:
                self._retire(self._kept.popitem(last=False)[1])
        self._kept.move_to_end(key)
        return found

    def _retire(self, connection: Connection) -> None:
        connection.retire()
        self._retired = {other for other in self._retired if other.busy}
        self._retired.add(connection)

    async def close(self) -> None:
        """Close all of them; whoever asks later opens a new one."""
        every = [*self._kept.values(), *self._retired]
        self._kept.clear()
        self._retired.clear()
        await asyncio.gather(*(connection.close() for connection in every))


async def _headers(server: McpServer, caller: Caller) -> Mapping[str, str]:
    if not callable(server.headers):
        return server.headers or {}
    try:
        made = server.headers(caller)
        return await made if inspect.isawaitable(made) else made
    except Exception as error:  # the owner's code, which may ask somebody for a token
        logger.exception("the headers for the MCP server %s could not be made", server.name)
        raise Down from error


def _identity(server: McpServer, headers: Mapping[str, str]) -> str:
    """Return what makes a connection the same one; a fingerprint, because it holds credentials."""
    made_of = [server.url, list(server.command), dict(server.env), dict(headers)]
    return fingerprint(msgspec.json.encode(made_of, order="deterministic"))
