"""Which definitions of tools are approved: those seen first, until an owner approves others (ADP-6).

A server that is trusted today can tell a model something else tomorrow. So what a tool said when it was first seen is
kept in the store. A tool that says something else, or that comes later, is off until it is approved by name. One document
holds one server's tools; it belongs to Landline itself, not to a caller.
"""

import logging
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from landline.model.callers import SYSTEM
from landline.model.errors import Conflict, NotFound
from landline.model.ids import new_id
from landline.ports.documents import Documents, DocumentWrite
from landline.upstream.mcp.definitions import Definition, difference

__all__ = ["Pinned", "Pins", "State"]

logger = logging.getLogger(__name__)

COLLECTION = "mcp.pins"
ATTEMPTS = 10
MOST_TOLD = 1_000

State = Literal["approved", "changed", "new"]


class _Kept(msgspec.Struct, omit_defaults=True):
    """A definition as the store keeps it."""

    description: str | None = None
    parameters: dict[str, Any] = {}


class _Tool(msgspec.Struct, omit_defaults=True):
    """`seen` is set while it differs from `approved`; without `approved` the tool is new."""

    approved: _Kept | None = None
    seen: _Kept | None = None


class _Document(msgspec.Struct, omit_defaults=True):
    schema: int = 1
    tools: dict[str, _Tool] = {}


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its owner sees it: `changed` names what differs from what was approved."""

    server: str
    tool: str
    state: State
    changed: str | None = None
    description: str | None = None


class Pins:
    """The pins in the store. Several processes may use them at once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._told: set[tuple[str, str]] = set()

    async def settle(self, server: str, listed: Iterable[Definition]) -> dict[str, Definition]:
        """Compare what a server lists with what is approved, and return the approved ones among it.

        A server that was never seen is approved as it is. What differs is kept for the owner to look at, and logged.
        """
        listed = list(listed)
        for _ in range(ATTEMPTS):
            document, version = await self._read(server)
            before = msgspec.json.encode(document)
            approved = _compare(document, listed, first=version == "")
            if version and msgspec.json.encode(document) == before:
                break
            try:
                await self._write(server, document, expected=version)
                break
            except Conflict:
                continue  # another process saw it at the same time
        else:
            raise Conflict("The approved tools of an MCP server are being changed by too many at once.")
        for definition in listed:
            if definition.name not in approved:
                self._tell(server, definition, document.tools[definition.name])
        return approved

    async def approved(self, server: str) -> dict[str, Definition]:
        """Return what is approved, for a server that cannot be asked; tools that wait for approval are left out."""
        document, _ = await self._read(server)
        return {
            name: _definition(name, tool.approved)
            for name, tool in document.tools.items()
            if tool.approved is not None and tool.seen is None
        }

    async def all(self) -> list[Pinned]:
        """Return every tool of every server that was seen."""
        found: list[Pinned] = []
        for kept in await self._documents.list_documents(SYSTEM, COLLECTION):
            document = msgspec.json.decode(kept.body, type=_Document)
            found += [_shown(kept.key, name, tool) for name, tool in document.tools.items()]
        return sorted(found, key=lambda pinned: (pinned.server, pinned.tool))

    async def approve(self, server: str, tool: str | None = None) -> list[Pinned]:
        """Approve what a server says now of all its tools, or of one, and return what that changed, as it was before.

        Raises:
            NotFound: No such server or tool was ever seen.
        """
        for _ in range(ATTEMPTS):
            document, version = await self._read(server)
            if not version:
                raise NotFound(f"No MCP server is known as {server!r}.", code="mcp_server_not_found")
            if tool is not None and tool not in document.tools:
                raise NotFound(f"{server} has no tool {tool!r}.", code="mcp_tool_not_found")
            names = [tool] if tool is not None else list(document.tools)
            open_ones = [name for name in names if document.tools[name].seen is not None]
            done = [_shown(server, name, document.tools[name]) for name in open_ones]
            for name in open_ones:
                document.tools[name] = _Tool(approved=document.tools[name].seen)
            try:
                if open_ones:
                    await self._write(server, document, expected=version)
            except Conflict:
                continue  # the server was seen with something else just now
            return done
        raise Conflict("The tools of this MCP server change too quickly to be approved.")

    async def _read(self, server: str) -> tuple[_Document, str]:
        found = await self._documents.read_documents(SYSTEM, COLLECTION, [server])
        if not found:
            return _Document(), ""
        return msgspec.json.decode(found[0].body, type=_Document), found[0].version

    async def _write(self, server: str, document: _Document, *, expected: str) -> None:
        body = msgspec.json.encode(document)
        write = DocumentWrite(
            collection=COLLECTION, key=server, body=body, version=new_id(), expected=expected
        )
        await self._documents.write_documents(SYSTEM, [write])

    def _tell(self, server: str, definition: Definition, tool: _Tool) -> None:
        told = (server, definition.hash)
        if told in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add(told)
        what = _shown(server, definition.name, tool)
        said = f"changed {what.changed}" if what.state == "changed" else "is new"
        logger.warning(
            "the tool %r of the MCP server %s %s and is off until `landline mcp approve %s %s`",
            definition.name[:64], server, said, server, definition.name[:64],
        )  # fmt: skip


def _compare(document: _Document, listed: Iterable[Definition], *, first: bool) -> dict[str, Definition]:
    approved: dict[str, Definition] = {}
    for definition in listed:
        kept = _Kept(definition.description, dict(definition.parameters))
        tool = document.tools.setdefault(definition.name, _Tool(approved=kept if first else None))
        if tool.approved is not None and _definition(definition.name, tool.approved).hash == definition.hash:
            tool.seen = None
            approved[definition.name] = definition
        else:
            tool.seen = kept
    return approved


def _definition(name: str, kept: _Kept) -> Definition:
    return Definition(name=name, description=kept.description, parameters=kept.parameters)


def _shown(server: str, name: str, tool: _Tool) -> Pinned:
    said = tool.seen or tool.approved or _Kept()
    state: State = "approved"
    changed = None
    if tool.approved is None:
        state = "new"
    elif tool.seen is not None:
        state = "changed"
        changed = difference(_definition(name, tool.approved), _definition(name, tool.seen))
    return Pinned(server=server, tool=name, state=state, changed=changed, description=said.description)
