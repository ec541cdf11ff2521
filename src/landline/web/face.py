"""What every face is given: the ports it translates to, and the edge. A face is a function of these to a router."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from landline.model.callers import Caller
from landline.ports.audit import Audit
from landline.ports.documents import Documents
from landline.ports.people import Accounts
from landline.ports.routing import Fanout
from landline.ports.runs import Agents, Files, Questions, Runs, Threads, Watch
from landline.ports.sign_in import SignIn
from landline.ports.usage import Usages
from landline.web.door import Door
from landline.web.health import Health
from landline.web.host_routes import HostRoutes

__all__ = ["ContextSource", "FacePorts"]

ContextSource = Callable[[Request, Caller], Awaitable[Any]]
"""Opens the host app's own context for a run (AGT-6); whoever gives it also keeps it open until the run ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FacePorts:
    """Everything a face needs. `documents` keeps what only its wire needs, such as ids that clients choose; collections of
    a face begin with `face.` and its name. Without `health`, `fanout`, `accounts`, `audit`, `usage` or `sign_in` there are
    no routes for it. `host` is what the host app exports beside its agents.
    """

    runs: Runs
    threads: Threads
    agents: Agents
    questions: Questions
    files: Files
    door: Door
    watch: Watch
    documents: Documents
    health: Health | None = None
    context: ContextSource | None = None
    fanout: Fanout | None = None
    host: HostRoutes | None = None
    accounts: Accounts | None = None
    audit: Audit | None = None
    sign_in: SignIn | None = None
    usage: Usages | None = None
