"""Putting a server together: settings, agents and parts in, an ASGI app or a router out."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI

from landline.app import plugins
from landline.app.async_library import told_asyncio
from landline.app.auditing import audited_ports
from landline.app.context import HostContext
from landline.app.edge import door_of, home
from landline.app.gates import gates_of, price_of
from landline.app.identity import (
    accounts_of,
    authenticator_of,
    beside,
    pages_of,
    sign_in_of,
)
from landline.app.known_secrets import hide_servers
from landline.app.limits import limiter_of
from landline.app.loading import Loaded, adopt, with_egress
from landline.app.mcp import bringing, unusable
from landline.app.routing import routing
from landline.app.settings import Settings, load_settings
from landline.app.sniff import sniff
from landline.app.streams import fit_agents
from landline.backends.local import LocalVault
from landline.engine.core import Core
from landline.engine.loop import SystemClock
from landline.engine.registry import Registered, Registry, broken, describe
from landline.engine.threads import EngineFiles
from landline.gates.auth.chain import LateSignIn
from landline.gates.limits import CountedFiles, Limiter
from landline.model.agents import LoadError
from landline.model.errors import LandlineError
from landline.model.version import VERSION
from landline.ports.adapter import AgentSpec
from landline.ports.authenticator import Authenticator
from landline.ports.egress import Egress
from landline.ports.page_sign_in import PageSignIn
from landline.ports.runs import Agents, Files, Questions, Runs, Threads
from landline.ports.store import Store
from landline.telemetry.audit import AuditLog
from landline.web.docs import docs
from landline.web.door import Door
from landline.web.drain import Drain
from landline.web.face import FacePorts
from landline.web.guard import Guard
from landline.web.health import Health
from landline.web.host_routes import HostRoutes
from landline.web.late_route import join
from landline.web.problems import install

if TYPE_CHECKING:
    from landline.upstream.mcp import McpTools

__all__ = ["Landline", "build"]

logger = logging.getLogger(__name__)


class Landline:
    """A server for agents: `Landline(agents=[…]).app` is an ASGI app, `.router` goes into a FastAPI app of yours.

    Args:
        agents: Agents of any installed framework, or what `landline.agent` returned.
        open: Everybody who reaches it is one local user. Without it callers need an API key (`landline keys create`).
        authenticator: Your own way to tell who calls; wins over keys and `open`.
        context: A FastAPI dependency whose value becomes the run's context (AGT-6).
        router: What chooses the agent of a run that asks for `auto`: a function `(input_text, caller, agents) -> name`,
            sync or async, the name of one of `agents`, or an agent of its own, whose text answer is the name. Without it
            the words of the input are compared with the agents' names, titles, descriptions and labels (RUN-11).
        host_routes: Routes of your own app to offer as tools of the MCP face, made by `landline.mcp_routes`.
        settings: Made by `load_settings`; or give single settings by keyword.
    """

    def __init__(  # noqa: PLR0913 - part of the public surface; every argument but the first is a keyword
        self,
        agents: Sequence[Any] = (),
        *,
        open: bool | None = None,  # noqa: A002 - the word of the contract and of the setting
        authenticator: Authenticator | None = None,
        context: Any = None,
        router: Any = None,
        host_routes: HostRoutes | None = None,
        settings: Settings | None = None,
        **keywords: Any,
    ) -> None:
        self._given_agents = list(agents)
        self._explicit = open is not None or authenticator is not None
        self._open = open
        self._given_authenticator = authenticator
        self._keywords, self._settings = keywords, settings
        self._loaded: list[Loaded] | None = None
        self._served = False
        self._router = router
        self._host_routes = host_routes
        self._context = HostContext(context) if context is not None else None
        self.drain = Drain()
        self.clock = SystemClock()

    @classmethod
    def of(cls, loaded: Sequence[Loaded], settings: Settings, *, open: bool) -> "Landline":  # noqa: A002 - the word of the contract and of the setting
        """Return a server for agents that were loaded from targets; what the command line uses."""
        instance = cls(settings=settings, open=open)
        instance._loaded = list(loaded)
        instance._served = True
        return instance

    @property
    def agents(self) -> list[Any]:
        """The agents as they were given."""
        return list(self._given_agents)

    @property
    def beside_agents(self) -> list[str]:
        """Names of what was given beside agents; `landline serve` takes the agents alone, and says so."""
        given = {
            "authenticator": self._given_authenticator,
            "context": self._context,
            "router": self._router,
            "host_routes": self._host_routes,
        }
        return [*(name for name, value in given.items() if value is not None), *self._keywords]

    @cached_property
    def settings(self) -> Settings:
        """The settings; read from their sources when first needed."""
        return self._settings or load_settings(**self._keywords)

    @cached_property
    def store(self) -> Store:
        """The database; open while the server is. Code beside the runs may keep its documents in it (ADP-7)."""
        from landline.backends.sqlite import SqliteStore

        return SqliteStore(self.settings.database_path)

    @cached_property
    def core(self) -> Core:
        """The engine."""
        files = EngineFiles(
            store=self.store,
            vault=LocalVault(self.settings.data / "files"),
            clock=self.clock,
            sniff=sniff,
            max_bytes=self.settings.max_upload_bytes,
            media_types=self.settings.upload_types,
        )
        registered, route = routing(self._router, self._register(), plugins.adapters)
        core = Core.build(store=self.store, registry=Registry(registered), files=files, clock=self.clock)
        route(core)
        core.admission.max_runs = self.settings.max_runs
        core.driver.deadline_s = self.settings.deadline_s
        core.driver.idle_timeout_s = self.settings.idle_timeout_s
        core.driver.bring = self._brings
        specs = [item.spec for item in self._loaded or () if item.spec]
        gates = gates_of(
            self.settings, self.store, self.clock, self.limiter, specs, lambda: self.egress, files
        )
        core.admission.gates = core.driver.gates = gates
        core.driver.price = price_of(self.settings)
        return core

    @cached_property
    def _brings(self) -> "McpTools | None":
        return bringing([item.spec for item in self._loaded or () if item.spec], self.store)

    def _register(self) -> list[Registered]:
        if self._loaded is None:
            installed = plugins.adapters()
            self._loaded = [adopt(agent, installed) for agent in self._given_agents]
        entries: list[Registered] = []
        # Bound to this server's way out; kept, so that what is closed is what was used.
        self._loaded = with_egress(self._loaded, lambda: self.egress)
        hide_servers(server for item in self._loaded if item.spec is not None for server in item.spec.mcp)
        before: list[AgentSpec] = []
        for item in self._loaded:
            if item.spec is None or item.adapter is None:
                entries.append(broken(item.name, item.error or LoadError(message="it could not be loaded")))
            elif error := unusable(item.spec, before):
                entries.append(broken(item.name, error, framework=item.adapter.framework))
            else:
                before.append(item.spec)
                entries.append(describe(item.spec, item.adapter))
        return entries

    @cached_property
    def egress(self) -> Egress:
        """The way out to other servers, under the owner's policy (TRU-14)."""
        from landline.upstream import EgressPolicy

        return EgressPolicy(allow=self.settings.egress_allow)

    @cached_property
    def authenticator(self) -> Authenticator:
        """Who tells who calls."""
        if self._given_authenticator is not None:
            return self._given_authenticator
        return authenticator_of(
            self.settings,
            self.store,
            self.clock,
            egress=lambda: self.egress,
            sign_in=self.sign_in,
            pages=self.pages,
            open=bool(self._open),
            served=self._served,
        )

    @cached_property
    def limiter(self) -> Limiter | None:
        """What counts requests, streams and runs; None where nothing can be limited: open for good, and without a rule."""
        until_a_key = self._served and self.settings.open is None
        if self._open and not until_a_key and not self.settings.limits:
            return None
        return limiter_of(self.settings, self.clock)

    @cached_property
    def audit(self) -> AuditLog:
        """The audit log (TRU-18). What your own code does with `runs` and `threads` is not noted by itself."""
        return AuditLog(self.store, self.clock, on=self.settings.audit != "off")

    @cached_property
    def sign_in(self) -> LateSignIn | None:
        """Passwords into tokens; None where the settings or your own authenticator want none."""
        own = self._given_authenticator is not None
        return None if own else sign_in_of(self.settings, self.store, self.clock)

    @cached_property
    def pages(self) -> PageSignIn | None:
        """Signing pages in through a provider; None without one."""
        own = self._given_authenticator is not None
        return None if own else pages_of(self.settings, self.store, self.clock, lambda: self.egress)

    @cached_property
    def door(self) -> Door:
        """The edge, as every face gets it."""
        return door_of(
            self.settings,
            authenticator=self.authenticator,
            drain=self.drain,
            limits=self.limiter,
            audit=self.audit,
            pages=self.pages,
            clock=self.clock,
        )

    def _faces(self) -> list[APIRouter]:
        core = self.core
        ports = FacePorts(
            runs=core.runs,
            threads=core.threads,
            agents=core.agents,
            questions=core.questions,
            files=core.files if self.limiter is None else CountedFiles(core.files, self.limiter),
            door=self.door,
            watch=core.runs,
            documents=self.store,
            health=Health(version=VERSION, ready=self.ready, sessions_active=lambda: len(core.driver)),
            context=self._context,
            fanout=core.fanout,
            host=self._host_routes,
            accounts=accounts_of(self.settings, self.store, self.clock),
            sign_in=self.sign_in,
            usage=self.store,
        )
        ports = audited_ports(ports, self.audit, self.settings)
        return [plugins.face(name)(ports) for name in self.settings.faces]

    async def ready(self) -> Mapping[str, str | None]:
        """Check what accepting a run needs: None where it is well, else what is wrong (REL-11)."""
        checks: dict[str, str | None] = {
            "drain": "the server is stopping" if self.core.admission.draining else None
        }
        try:
            await self.store.check()
            checks["store"] = None
        except LandlineError as error:
            checks["store"] = error.detail
        return checks

    @asynccontextmanager
    async def started(self) -> AsyncGenerator["Landline"]:
        """Open the database and start the engine, without HTTP; on leaving, live runs are left for the next start."""
        async with (
            AsyncExitStack() as after
        ):  # from the last to the first, each whatever became of the others
            after.enter_context(told_asyncio())
            await self.store.open()
            after.push_async_callback(self.store.close)
            if self.limiter is not None:
                await self.limiter.open()
                after.push_async_callback(self.limiter.close)
            after.push_async_callback(self.audit.close)
            after.push_async_callback(self._close_adapters)
            after.push_async_callback(self._close_brought)
            core = self.core
            after.callback(fit_agents(self._loaded or ()))
            after.push_async_callback(core.stop)
            after.callback(self.drain.start)
            await core.start()
            await after.enter_async_context(self.door.leases.running(self.authenticator))
            await after.enter_async_context(beside(self.authenticator))
            yield self

    async def _close_adapters(self) -> None:
        used = {id(item.adapter): item.adapter for item in self._loaded or () if item.adapter is not None}
        for adapter in used.values():
            try:
                await adapter.close()
            except Exception:  # a connection that does not close must not keep the database open
                logger.exception("the adapter of %s did not close", adapter.framework)

    async def _close_brought(self) -> None:
        if self._brings is not None:
            await self._brings.close()

    @property
    def runs(self) -> Runs:
        """The six verbs."""
        return self.core.runs

    @property
    def threads(self) -> Threads:
        """Threads and messages."""
        return self.core.threads

    @property
    def registry(self) -> Agents:
        """The agents by name."""
        return self.core.agents

    @property
    def questions(self) -> Questions:
        """The inbox."""
        return self.core.questions

    @property
    def files(self) -> Files:
        """Files."""
        return self.core.files

    @cached_property
    def app(self) -> Guard:
        """The whole server as an ASGI app, with its own lifespan."""
        settings = self.settings

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            async with self.started():
                yield

        app = FastAPI(
            title="Landline",
            version=VERSION,
            description="The line between any agent and any client.",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=lifespan,
        )
        join(app.router, [*self._faces(), *([docs(self.door)] if settings.docs else [])])
        if "native" in settings.faces:
            app.add_route("/", home, include_in_schema=False)
        install(app)
        return Guard(app, door=self.door)

    @cached_property
    def router(self) -> APIRouter:
        """The faces as a router for your own FastAPI app; its lifespan joins your app's.

        Raises:
            ValueError: Neither `open` nor an `authenticator` was given: a mounted server does not guess who may call.
        """
        if not self._explicit:
            raise ValueError(
                "a mounted Landline needs authenticator=… or open=True (or open=False for API keys)"
            )

        @asynccontextmanager
        async def lifespan(_: Any) -> AsyncGenerator[None]:
            async with self.started():
                yield

        router = APIRouter(lifespan=lifespan)
        join(router, self._faces())
        return router


def build(settings: Settings, loaded: Sequence[Loaded], *, open: bool) -> Landline:  # noqa: A002 - the setting's word
    """Return a server for loaded agents."""
    return Landline.of(loaded, settings, open=open)
