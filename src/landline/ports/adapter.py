"""Framework in: what an adapter does with one turn, and the line it is given to do it on.

An adapter translates; it owns no durability. Everything that must survive a crash goes through the `Line`: events in
order, tools by call id, questions, and records (for example whole model responses) by key. When a run is taken up again
the adapter is simply run again, and the line gives back what was recorded (see ADR 0004).

Tools that Landline brings (`Turn.tools`, from the MCP servers an owner gave the agent) are offered to the model beside
the agent's own. How an adapter with the capability `mcp` makes one a tool of its framework:

1. Make the framework's tool from `name`, `description` and `parameters` (a JSON schema) as they are, for this run only:
   the agent object is shared. No validation of the arguments is needed; the server validates them.
2. Its body is `await tool.call(arguments)`. Run it where the framework's own tools run: through `line.tool`, under the
   model's call id, after the approval that `turn.spec.tools[name]` asks for. The policies of brought tools are in
   `turn.spec.tools` already, so code that looks a policy up by name needs nothing new.
3. `call` returns plain JSON data. It raises `ToolRaised(code, message)` when the call failed: record just these
   (`failure=lambda error: (error.code, error.message)`) and tell the model the message as the failed tool's result; the
   run goes on. It does so too when the line raises the recorded `ToolRaised` after a crash. Codes begin with `mcp_`.
4. Nothing else: connections, retries, pins and limits are on the other side of `call`, and a cancelled `call` takes its
   request back.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from landline.model.agents import AgentInfo, Capability
from landline.model.callers import Caller
from landline.model.events import Event
from landline.model.messages import Message, Native, Part
from landline.model.runs import Answer, QuestionKind
from landline.ports.mcp import McpServer

__all__ = [
    "REFUSALS",
    "UNTOLD",
    "Adapter",
    "AgentSpec",
    "Ask",
    "BringsTools",
    "BroughtTool",
    "Finished",
    "Line",
    "OutcomeUnknown",
    "Suspended",
    "ToolCall",
    "ToolPolicy",
    "ToolRaised",
    "Turn",
    "agrees",
]

UNTOLD = "\ud800"
"""Stands for one character that a gate withheld; no text holds it, because it is none (a lone surrogate)."""


REFUSALS = frozenset({"tool_denied", "invalid_arguments", "arguments_changed", "guard_blocked"})
"""Codes of `ToolRaised` that say that a rule or a guard refused a call: the model is told its message, and the run goes on."""


def agrees(heard: str, said: str) -> bool:
    """Tell whether one of the two begins with the other, where `heard` (`Line.emitted_text`) is told."""
    both = min(len(heard), len(said))
    if UNTOLD not in heard:
        return heard[:both] == said[:both]
    return all(one in (UNTOLD, other) for one, other in zip(heard, said, strict=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolPolicy:
    """What the owner of an agent says of one of its tools.

    `idempotent`: may run again when its outcome is unknown after a crash. `approval`: a human must agree to each call.
    `approvers`: how many different callers must agree. `expires_s`: an open approval counts as denied after this.
    `deny`: it is never called; the model is told so.
    """

    idempotent: bool = False
    approval: bool = False
    approvers: int = 1
    expires_s: float | None = None
    deny: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BroughtTool:
    """A tool that Landline brings to a run; see the module's recipe. `call` takes the arguments as an object.

    A `client` tool is carried out by the client. To the adapter it is a tool that needs approval: what it asks under the
    call's id is told to the client as a call, and `Line.tool` gives the client's result instead of running anything.
    """

    name: str
    description: str | None
    parameters: Mapping[str, Any]
    policy: ToolPolicy
    call: Callable[[Mapping[str, Any]], Awaitable[Any]] = field(repr=False)
    client: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentSpec:
    """An agent as its owner registered it (AGT-2). `make` is set when the agent is a factory called per run (AGT-3)."""

    agent: Any
    name: str
    title: str | None = None
    description: str | None = None
    version: str | None = None
    starters: Sequence[str] = ()
    scopes: Sequence[str] = ()
    tools: Mapping[str, ToolPolicy] = field(default_factory=dict[str, ToolPolicy])
    make: Callable[[Any], Any] | None = None
    deadline_s: float | None = None
    idle_timeout_s: float | None = None
    history_messages: int | None = None
    history_tokens: int | None = None
    client_context: bool = False
    context: Callable[..., Any] | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    mcp: Sequence[McpServer] = ()
    guards: Sequence[Any] = ()
    budgets: Sequence[str] = ()
    unknown_tools: Literal["allow", "deny"] = "deny"
    upstream: str | None = None
    merge_deltas: bool = True

    def with_policies(self, tools: "Sequence[BroughtTool]") -> "AgentSpec":
        """Return the spec with the policies of brought tools among its own."""
        return replace(self, tools={**self.tools, **{tool.name: tool.policy for tool in tools}})


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """One call of a tool; `call_id` is unique in the run and the same when the run is taken up again.

    `refused`: nothing will be run, the line is only told how a call failed that was not made; no rule has a say in that.
    """

    call_id: str
    name: str
    arguments: Any
    idempotent: bool = False
    refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A question to a human. `key` is unique in the run and the same when the run is taken up again."""

    key: str
    kind: QuestionKind
    prompt: str
    tool: str | None = None
    call_id: str | None = None
    arguments: Any = None
    choices: Sequence[str] | None = None
    expires_s: float | None = None
    approvers: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The last thing an adapter yields: the agent's answer.

    `output` is plain JSON data (the text for a text agent, the object for a structured one). `native` is this turn's own
    messages in the framework's JSON, the user's included.
    """

    output: Any
    native: Native | None = None
    model: str | None = None


class Suspended(BaseException):
    """The segment ends here: questions are open. Outside `Exception`, so that no agent code swallows it."""


class OutcomeUnknown(Exception):
    """The tool was called before a crash, nobody knows whether it ran to its end, and it may not run twice.

    The adapter asks a human (`Line.ask` under `Line.unknown_key`); an approval lets `Line.tool` run it again, once.
    """

    def __init__(self, call: ToolCall) -> None:
        super().__init__(call.name)
        self.call = call


class ToolRaised(Exception):
    """The tool failed when it ran, in this segment or an earlier one; `code` and `message` are what was recorded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Line(Protocol):
    """The durable line under one run."""

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        ...

    async def emit(self, *events: Event) -> None:
        """Append `events` to the log in order, without waiting for the disk; waits only when the log is far behind."""
        ...

    async def before_model(self, *, elsewhere: bool = False) -> None:
        """Wait until a model may be asked; called before each request that is really made, never for a replayed one.

        `elsewhere`: it is another server's agent that is asked, who may in turn ask for runs of this one.

        The `usage` event of its answer, or the next request of the same task, tells that it is over. An adapter that does not
        say so is stopped by budgets only after the call that exceeds them (TRU-9).
        """
        ...

    async def tool(
        self,
        call: ToolCall,
        run: Callable[[], Awaitable[Any]],
        *,
        failure: Callable[[Exception], tuple[str, str] | None] | None = None,
    ) -> Any:
        """Run a tool once over all crashes and return its result as plain JSON data.

        The intent is on disk before `run` is awaited and the result before this returns. A result recorded earlier is
        returned without running. `failure` turns an exception into the (code, safe message) that is recorded; without
        it, or when it returns None, the record says `tool_error` and no exception text.

        Raises:
            OutcomeUnknown: It was in flight at a crash and is not idempotent, and nobody allowed another run.
            ToolRaised: It failed; recorded, so it raises again when the run is taken up again.
        """
        ...

    def knows(self, *tools: str) -> None:
        """Say which tools the run's agent has of its owner beside those that `describe` lists, by the names calls have.

        Any other tool counts as one that arrived at run time, and is denied unless the owner allows it (TRU-20). Never
        said of names that a server or a model may choose while runs go on: of an owner's own tool servers, only those
        count that a server had when it was first asked.
        """
        ...

    async def ask(self, *asks: Ask) -> list[Answer]:
        """Return the answers in order of `asks`; an expired question is answered `approve=False`.

        Raises:
            Suspended: Not all are answered yet; let it pass.
        """
        ...

    def answer_to(self, key: str) -> Answer | None:
        """Return the answer to the question asked under `key`, or None when it was not asked or is open."""
        ...

    def unknown_key(self, call_id: str) -> str:
        """Return the key under which to ask whether a call of unknown outcome may run again.

        It is another one after each further run, so that one approval allows one run.
        """
        ...

    def recorded(self, key: str) -> bytes | None:
        """Return what `record` kept under `key`, in this segment or an earlier one."""
        ...

    def record(self, key: str, value: bytes) -> None:
        """Keep JSON under `key`; on disk no later than the next event that is."""
        ...

    def emitted_text(self, ordinal: int) -> tuple[str, str, bool] | None:
        """Return (message id, text so far, complete) of the assistant message number `ordinal` (from 0) that counts.

        The text is what the agent said, as far as readers know it: `UNTOLD` stands where a guard took something out, and
        what a guard still held back is missing. `agrees` compares.
        """
        ...

    @property
    def new_input(self) -> bool:
        """Whether the user gave the running turn more input that was not taken yet (RUN-6)."""
        ...

    def take_input(self, key: str) -> list[Sequence[Part]]:
        """Return the input that came since the last look, in order; what was taken under `key` before, if it was.

        `key` is unique in the run and the same when the run is taken up again: each look, also one that finds nothing,
        gives the same again. Input that is never taken becomes the thread's next run.
        """
        ...

    def finishing(self, call_id: str) -> Callable[[bool], None]:
        """Say that the call's code runs in a thread that cannot be stopped (RUN-5).

        What is returned is called, from any thread, when it has ended after all: with whether it ended well.
        """
        ...

    async def read_file(self, file_id: str) -> tuple[str, str, bytes]:
        """Return (name, media type, bytes) of one of the caller's files.

        Raises:
            NotFound: The caller has no such file.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One segment of a run: the same turn is given again after an answer or a crash.

    `output_schema` is a JSON schema the client wants the answer to fit, given to adapters with the capability of that
    name: the agent's own type of answer gives way to it, and `Finished.output` is an object that fits. `metadata` is the
    run's, as its client gave it; nobody vouches for it.
    """

    run_id: str
    thread_id: str
    caller: Caller
    spec: AgentSpec
    agent: Any
    input: Sequence[Part]
    history: Sequence[Message]
    context: Any
    settings: Mapping[str, Any]
    attempt: int
    line: Line
    tools: Sequence[BroughtTool] = ()
    output_schema: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class BringsTools(Protocol):
    """What finds the tools of an agent's MCP servers."""

    async def __call__(self, spec: AgentSpec, caller: Caller) -> Sequence[BroughtTool]:
        """Return the tools that may be offered, each name once; a server that is down adds those it was approved with."""
        ...


class Adapter(Protocol):
    """One framework. Instances are shared by all runs and keep no state of a run on themselves (AGT-3)."""

    @property
    def framework(self) -> str:
        """The framework's name, as agents report it."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this adapter can do; anything else is refused before acceptance."""
        ...

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """After a crash in mid-message: the text is dropped and written again, or the same text is produced again."""
        ...

    def matches(self, agent: Any) -> bool:
        """Tell whether `agent` is of this framework, from its class alone, without importing the framework."""
        ...

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what can be known of the agent without running it; `version` defaults to a hash of its definition.

        Raises:
            ImportError: The framework's extra is not installed.
        """
        ...

    def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Yield the turn's events in order and then exactly one `Finished`.

        The iterator is pulled and closed in one task: frameworks keep context variables between two events.

        Raises:
            Suspended: Questions are open (raised by the line).
            AgentFailed: The model or the agent failed; nothing is completed.
        """
        ...

    async def close(self) -> None:
        """Close what outlives runs, such as connections to tool servers; called after the engine let go of them."""
        ...
