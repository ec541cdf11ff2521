"""Admission: the one place where a run is refused. Checks run in a fixed order, the first refusal raises (rule 7).

Order: the server takes runs, the agent is the caller's to use and is loaded (or the router finds one), it can do what
is asked, the gates agree (limits, budgets, guards), then the store accepts (ownership of the thread, idempotency, busy policy) in one transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from landline.engine.carried import check_carried
from landline.engine.registry import Registry
from landline.engine.route import Routing
from landline.model.agents import AgentInfo
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import Draining, Invalid, NotFound, Unavailable, Unsupported
from landline.model.ids import new_id
from landline.model.messages import FilePart, ImagePart, OutputPart, Part, TextPart, text_of
from landline.model.runs import Answer
from landline.model.times import iso
from landline.ports.adapter import AgentSpec
from landline.ports.clock import Clock
from landline.ports.gates import AnswerGate, Gate, Reserving
from landline.ports.routing import AUTO
from landline.ports.runs import Files, HeldContext, StartRun
from landline.ports.store import AcceptRun, NewMessage, NewThread, Store

__all__ = ["Admission", "check_abilities", "drop"]

TITLE_CHARS = 80


class Admission:
    """Turns a request into an `AcceptRun`, or refuses it with nothing written."""

    def __init__(self, *, store: Store, registry: Registry, files: Files, clock: Clock, owner: str) -> None:
        self._store, self._registry, self._files = store, registry, files
        self._clock, self._owner = clock, owner
        self.routing = Routing(registry)
        self.draining = False
        self.max_runs: int | None = None
        self.live_runs: Callable[[], int] = lambda: 0
        self.gates: Sequence[Gate] = ()

    async def admit(self, caller: Caller, request: StartRun, *, beside: int = 0) -> AcceptRun:
        """Check `request` and return what the store shall accept; `beside` others are about to begin as well."""
        if self.draining:
            raise Draining
        if self.max_runs is not None and self.live_runs() + beside >= self.max_runs:
            raise Unavailable(
                "The server drives as many runs as it may.", code="too_many_runs", retry_after_s=1
            )
        routed_to = await self._route(caller, request) if request.agent == AUTO else None
        agent = routed_to or await self._agent(caller, request)
        spec, _, info = self._registry.runnable(caller, agent)
        check_abilities(request, spec, info)
        if request.carried is not None:
            check_carried(request.carried, info, on_thread=request.thread_id is not None)
        await self._check_input(caller, request)
        if self.gates:
            request = await self._pass_gates(caller, request, info)
        return self._accept(caller, request, agent, routed_to)

    async def _pass_gates(self, caller: Caller, request: StartRun, info: AgentInfo) -> StartRun:
        """Return the request as every gate lets it through; what one set aside is let go when a later one refuses."""
        run_id = new_id()
        request = replace(request, run_id=run_id)
        try:
            for gate in self.gates:
                request = await gate.admit(caller, request, info)
        except BaseException:  # whoever asked may as well be cancelled meanwhile
            self.dropped(run_id)
            raise
        return request

    def dropped(self, run_id: str) -> None:
        """Tell the gates that an admitted run does not go on."""
        drop(self.gates, run_id)

    async def answering(self, caller: Caller, run_id: str, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Return the answers as the gates let them be given. What they refuse raises; nothing was written."""
        for gate in self.gates:
            if isinstance(gate, AnswerGate):
                run = await self._store.get_run(SYSTEM, run_id)
                try:
                    await self._store.get_run(caller, run_id)
                    own = True
                except (
                    NotFound
                ):  # an approver may answer what it cannot read; the store tells strangers from them
                    own = False
                answers = await gate.answering(caller, run, answers, own=own)
        return answers

    def check_agent(self, name: str) -> None:
        """Refuse to use an answer up while nobody could go on with it. Raises Unavailable."""
        try:
            self._registry.runnable(SYSTEM, name)
        except NotFound:
            raise Unavailable(
                f"The agent {name!r} is not served now; the question stays open.", code="agent_missing"
            ) from None

    async def _route(self, caller: Caller, request: StartRun) -> str:
        """Ask the router, once the input is known to be one."""
        given = await self._check_input(caller, request)
        if request.thread_id is not None:
            await self._store.get_thread(caller, request.thread_id)
        return await self.routing.choose(caller, text_of(given))

    async def _agent(self, caller: Caller, request: StartRun) -> str:
        if request.thread_id is not None:
            thread = await self._store.get_thread(caller, request.thread_id)
            return request.agent or thread.agent
        name = request.agent or self._registry.sole(caller)
        if name is None:
            raise Invalid("Name the agent: this server has more than one.", code="agent_missing")
        return name

    async def _check_input(self, caller: Caller, request: StartRun) -> Sequence[Part]:
        """Return what the agent will be given: the input, or the message to answer again."""
        if request.input is None:
            if not request.parent_id or request.thread_id is None:
                raise Invalid(
                    "Without input, `parent_id` names the message to answer again.", code="input_missing"
                )
            branch = await self._store.branch(caller, request.thread_id, request.parent_id, limit=1)
            if not branch or branch[-1].role != "user":
                raise Invalid("`parent_id` must be a user message of this thread.", code="unknown_parent")
            return branch[-1].parts
        for part in request.input:
            if isinstance(part, (FilePart, ImagePart)):
                await self._files.info(caller, part.file_id)
            elif not isinstance(part, TextPart):
                # Tool calls, results and outputs come from the agent only: nobody forges history (TRU-19).
                raise Invalid("Input takes text, file and image parts only.", code="forged_part")
        return request.input

    def _accept(self, caller: Caller, request: StartRun, agent: str, routed_to: str | None) -> AcceptRun:
        at = iso(self._clock.now())
        thread_id, new_thread = request.thread_id, None
        if thread_id is None:
            title = request.title or _title(request.input or ())
            new_thread = NewThread(id=new_id(), agent=agent, at=at, title=title)
            thread_id = new_thread.id
        message = None
        if request.input is not None:
            message = NewMessage(
                id=new_id(), role="user", content=text_of(request.input), parts=tuple(request.input), at=at
            )
        return AcceptRun(
            run_id=request.run_id or new_id(),
            thread_id=thread_id,
            agent=agent,
            at=at,
            owner=self._owner,
            message=message,
            new_thread=new_thread,
            parent_id=request.parent_id,
            queue={"queue": "last", "interrupt": "first"}.get(request.on_busy),  # pyright: ignore[reportArgumentType] - the values are the literals
            settings=request.settings,
            metadata=request.metadata,
            deadline_s=request.deadline_s,
            needs_context=request.has_context,
            routed_to=routed_to,
            idempotency=request.idempotency,
            carried=request.carried,
            key_id=caller.key_id,
        )


def drop(gates: Sequence[Gate], run_id: str) -> None:
    """Let go of what gates set aside for a run that does not go on."""
    for gate in gates:
        if isinstance(gate, Reserving):
            gate.dropped(run_id)


def check_abilities(request: StartRun, spec: AgentSpec, info: AgentInfo) -> None:
    """Refuse what this agent cannot do: an option that is accepted must work."""
    if request.on_busy == "steer" and "steer" not in info.capabilities:
        raise Unsupported(
            f"The agent {spec.name!r} cannot be steered while it runs.", code="steer_unsupported"
        )
    if request.has_context and not spec.client_context and not isinstance(request.context, HeldContext):
        raise Unsupported(
            f"The agent {spec.name!r} takes no context from a request.", code="context_unsupported"
        )
    unknown = sorted(set(request.settings) - set(info.settings))
    if unknown:
        known = ", ".join(info.settings) or "none"
        raise Unsupported(
            f"The agent {spec.name!r} takes no setting {unknown[0]!r}; it takes: {known}.",
            code="setting_unsupported",
        )
    for part in request.input or ():
        needed = {"FilePart": "files", "ImagePart": "images"}.get(type(part).__name__)
        if needed and needed not in info.capabilities:
            raise Unsupported(f"The agent {spec.name!r} takes no {needed}.", code=f"{needed}_unsupported")


def _title(parts: Sequence[Part]) -> str | None:
    """A thread without a title is named by its first words."""
    words = " ".join(text_of([part for part in parts if not isinstance(part, OutputPart)]).split())
    if not words:
        return None
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1].rstrip() + "…"
