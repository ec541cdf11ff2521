"""Agent cards: how a client finds an agent and learns how to speak with it.

A card is read like everything else, by callers who may use the agent (AGT-5), and kept by them for a while.
"""

from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.a2a.decode import input_modes
from landline.faces.a2a.errors import agent_not_found
from landline.faces.a2a.params import AgentName
from landline.faces.a2a.tasks import Tasks
from landline.faces.a2a.wire import JSON
from landline.model.agents import AgentInfo
from landline.model.ids import fingerprint
from landline.model.times import parse_iso
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.public_url import public_url
from landline.web.route import Entry, requires
from landline.web.waiting import now

__all__ = ["LABEL", "VERSION", "WELL_KNOWN", "CardRoutes", "card"]

VERSION: Final = "1.0"
WELL_KNOWN: Final = "/.well-known/agent-card.json"
LABEL: Final = "a2a"
"""The label whose value `default` makes an agent the one whose card the bare server shows."""

_KEPT_S: Final = 300


class CardRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._tasks = Tasks(ports)
        # Agents are loaded when a server starts: what their cards say is as old as that.
        self._since = parse_iso(now()).replace(microsecond=0)

    @requires("agents:read")
    async def default(self, request: Request, caller: CallerOf) -> Response:
        """Return the card of the one agent, or of the one with the label `a2a: default`."""
        agents = self._ports.agents.list(caller)
        found = agents if len(agents) == 1 else [one for one in agents if one.labels.get(LABEL) == "default"]
        if len(found) != 1:
            raise agent_not_found(
                "This server has no single agent to show; its agents' cards are at "
                f"/a2a/{{agent}}{WELL_KNOWN}."
            )
        return self._respond(request, found[0], below=WELL_KNOWN)

    @requires("agents:read")
    async def one(self, request: Request, agent: AgentName, caller: CallerOf) -> Response:
        """Return the card of one agent."""
        return self._respond(request, self._tasks.agent(caller, agent), below="/a2a/")

    def _respond(self, request: Request, info: AgentInfo, *, below: str) -> Response:
        base = public_url(request, self._ports.door, below=below)
        shown = card(info, url=f"{base}/a2a/{info.name}", keyed=not self._ports.door.authenticator.open)
        body = msgspec.json.encode(shown)
        tag = f'"{fingerprint(body)[:32]}"'
        headers = {
            "cache-control": f"private, max-age={_KEPT_S}",
            "etag": tag,
            "last-modified": format_datetime(self._since, usegmt=True),
            "vary": "Authorization, X-API-Key, Host",
        }
        if _known(request, tag, self._since):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=JSON)

    def routes(self) -> list[Entry]:
        """Return the table."""
        docs: dict[str, Any] = {
            "responses": {
                200: {"description": "The card.", "content": {JSON: {"schema": {"type": "object"}}}},
                304: {"description": "The card is the one whose tag the request names."},
            },
            "response_class": Response,
        }
        return [
            Entry(method="GET", path=WELL_KNOWN, endpoint=self.default, name="a2a_card",
                  summary="Get the card of the default agent", docs=docs),
            Entry(method="GET", path=f"/a2a/{{agent}}{WELL_KNOWN}", endpoint=self.one, name="a2a_agent_card",
                  summary="Get an agent's card", docs=docs),
        ]  # fmt: skip


def card(info: AgentInfo, *, url: str, keyed: bool) -> dict[str, Any]:
    """Return the card of an agent at `url`; `keyed` says that a credential is needed.

    It has one skill, the agent itself: its tools are its own affair.
    """
    description = info.description or info.title
    modes = input_modes(info)
    skill: dict[str, Any] = {
        "id": info.name,
        "name": info.title,
        "description": description,
        "tags": sorted({"agent", *info.labels.values()} - {"default"}),
    }
    if info.starters:
        skill["examples"] = list(info.starters)
    shown: dict[str, Any] = {
        "name": info.title,
        "description": description,
        "version": info.version,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": binding, "protocolVersion": VERSION}
            for binding in ("JSONRPC", "HTTP+JSON")
        ],
        "capabilities": {"streaming": True, "pushNotifications": False, "extendedAgentCard": False},
        "defaultInputModes": modes,
        "defaultOutputModes": ["text/plain", JSON],
        "skills": [skill],
    }
    if keyed:
        shown["securitySchemes"] = {
            "bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
            "apiKey": {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}},
        }
        shown["securityRequirements"] = [
            {"schemes": {name: {"list": list[str]()}}} for name in ("bearer", "apiKey")
        ]
    return shown


def _known(request: Request, tag: str, since: datetime) -> bool:
    """Tell whether the client has this card; a tag says it better than a date (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in tags.split(",")}
    try:
        return parsedate_to_datetime(request.headers.get("if-modified-since", "")) >= since
    except (ValueError, TypeError):
        return False
