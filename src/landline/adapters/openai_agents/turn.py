"""One turn of an OpenAI agent: the SDK's runner works in a task of its own, and what it says is pulled out of it."""

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from typing import Any, cast

from agents import Agent, ModelSettings, RunConfig, RunHooks, Runner
from agents.result import RunResultStreaming
from msgspec import Raw

from landline.adapters.openai_agents.agents_own import OwnAgents
from landline.adapters.openai_agents.brought import brought
from landline.adapters.openai_agents.channel import Channel
from landline.adapters.openai_agents.failures import agent_failed
from landline.adapters.openai_agents.guards import own_input_guards, own_output_guards
from landline.adapters.openai_agents.journal import Journal, Tripped
from landline.adapters.openai_agents.mcp import RunServers
from landline.adapters.openai_agents.messages import (
    FRAMEWORK,
    VERSION,
    dump_native,
    filled,
    history_of,
    input_of,
)
from landline.adapters.openai_agents.own import OpenAIAgent
from landline.adapters.openai_agents.results import plain
from landline.adapters.openai_agents.sessions import RunSession
from landline.adapters.openai_agents.shared import Shared
from landline.adapters.openai_agents.tools import Tools
from landline.adapters.openai_agents.wanted import Wanted
from landline.model.errors import AgentFailed, LandlineError, Unsupported
from landline.model.events import AgentChanged, Event
from landline.model.messages import Native
from landline.ports.adapter import Finished, Turn

__all__ = ["SETTINGS", "run_turn"]

SETTINGS = ("model", "temperature", "max_tokens", "top_p", "tool_choice", "parallel_tool_calls")
"""A forced `tool_choice` holds until a tool was called: the SDK then lets the model choose, unless the agent says not."""

END_S = 2.0
"""How long a run that is stopped waits for its tasks, which are cancelled."""


async def run_turn(turn: Turn, shared: Shared) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    channel = Channel()
    journal = Journal(turn, channel)
    segment = _Segment(turn, journal, shared)
    finished: Finished | None = None
    failure: Exception | None = None
    try:
        await segment.start()
        async for event in channel.events():
            yield event
        if journal.stopped is None:
            finished = await segment.finish()
    except Exception as error:  # noqa: BLE001 - whatever an agent, a tool or a model raises ends as a stable code
        failure = error
    finally:
        await segment.end()
    if isinstance(journal.stopped, Tripped):
        for event in _blocked(journal):
            yield event
        raise AgentFailed("Request blocked.", code="guard_tripped")
    if journal.stopped is not None:
        raise journal.stopped
    if failure is not None:
        raise _failure(failure, journal) from failure
    assert finished is not None
    for event in journal.speech.finish(finished.output):
        yield event
    yield finished


def _blocked(journal: Journal) -> list[Event]:
    told: list[Event] = []
    if journal.trip is not None and journal.once("guard.told"):
        told.append(journal.trip)
    return [*told, *journal.speech.take_back("blocked")]


def _failure(error: Exception, journal: Journal) -> LandlineError:
    if isinstance(error, LandlineError):
        return error
    found = journal.failed or journal.answer_failed
    return found or agent_failed(error, speaking=journal.speech.speaking)


class _Hooks(RunHooks[Any]):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._handoffs = 0

    async def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:
        """Tell the log who goes on, once over all segments."""
        self._handoffs += 1
        if self._journal.once(f"handoff:{self._handoffs}"):
            await self._journal.tell(AgentChanged(source=from_agent.name, target=to_agent.name))


class _Segment:
    """The SDK's run of one segment. The SDK works in a task of its own; what it says comes through the channel."""

    def __init__(self, turn: Turn, journal: Journal, shared: Shared) -> None:
        self._turn, self._journal, self._shared = turn, journal, shared
        self._servers: RunServers = shared.mcp.of_run(turn)
        self._result: RunResultStreaming | None = None
        self._session: RunSession | None = None
        self._agents: OwnAgents | None = None
        self._asked = input_of(turn.input)

    async def start(self) -> None:
        """Set the SDK's runner to work."""
        turn, journal = self._turn, self._journal
        options = turn.agent if isinstance(turn.agent, OpenAIAgent) else OpenAIAgent(agent=turn.agent)
        said = await filled(self._asked, turn.line)
        if options.session is not None:
            session = options.session(turn.caller, turn.thread_id)
            self._session = RunSession(session, again=turn.attempt > 1)
        else:
            said = [*await history_of(turn.history, turn.line), *said]
        given: RunConfig = options.run_config or RunConfig(model_provider=self._shared.provider())
        tools = Tools(journal, self._servers)
        self._agents = owned = OwnAgents(
            journal,
            tools,
            self._servers,
            given.model_provider,
            model=given.model,
            named=_settings(turn).get("model"),
            wanted=None if turn.output_schema is None else Wanted(turn.output_schema),
        )
        start: Agent[Any] = owned.own(options.agent)
        start.tools = [*start.tools, *tools.own(brought(turn.tools, beside=start.tools))]
        start.input_guardrails = own_input_guards(
            [*start.input_guardrails, *(given.input_guardrails or ())], journal
        )
        journal.expect_verdicts(len(start.input_guardrails))
        self._result = Runner.run_streamed(
            start,
            cast("Any", said),
            context=turn.context,
            max_turns=options.max_turns,
            hooks=_Hooks(journal),
            run_config=self._config(given, tracing=options.tracing),
            session=self._session,
        )
        task = self._result.run_loop_task
        assert task is not None
        task.add_done_callback(lambda _: journal.channel.close())

    async def finish(self) -> Finished:
        """Return the answer, or raise what ended the SDK's run."""
        assert self._result is not None
        async for _ in self._result.stream_events():
            pass
        task = self._result.run_loop_task
        if task is not None and task.cancelled():
            # The SDK cancels its own loop when a guard beside it breaks, and may then say nothing.
            broke = self._journal.guard_broke
            raise AgentFailed("The agent failed. The log has the details.", code="agent_error") from broke
        await self._journal.settle()
        output = plain(self._result.final_output)
        if self._session is not None:
            await self._session.commit()
        items = [*self._asked, *(item.to_input_item() for item in self._result.new_items)]
        native = Native(framework=FRAMEWORK, version=VERSION, messages=Raw(dump_native(items)))
        return Finished(output=output, native=native, model=self._journal.model)

    def _config(self, given: RunConfig, *, tracing: bool) -> RunConfig:
        """Return the owner's configuration with the request's settings, and without what the run's own agents have."""
        # A copy and not `replace`: a configuration that is made anew reads the type hints of its whole class again,
        # half of what a turn would cost.
        config = copy(given)
        if settings := {name: value for name, value in _settings(self._turn).items() if name != "model"}:
            config.model_settings = (given.model_settings or ModelSettings()).resolve(
                ModelSettings(**settings)
            )
        config.model = config.input_guardrails = None
        config.output_guardrails = own_output_guards(given.output_guardrails or (), self._journal)
        config.tracing_disabled = not tracing
        return config

    async def end(self) -> None:
        """Stop everything the segment started."""
        tasks: set[asyncio.Task[Any]] = set(self._journal.tasks)
        if self._result is not None:
            self._result.cancel()
            if self._result.run_loop_task is not None:
                tasks.add(self._result.run_loop_task)
        if open_tasks := {task for task in tasks if not task.done()}:
            for task in open_tasks:
                task.cancel()
            await asyncio.wait(open_tasks, timeout=END_S)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # known here already, or of no interest any more
        await self._servers.close()
        if self._agents is not None:
            self._agents.release()
        if self._result is not None and "_sandbox_cleanup" in vars(self._result):
            # It knows the result, and there is no sandbox: the two would stay until the collector looks.
            vars(self._result)["_sandbox_cleanup"] = None


def _settings(turn: Turn) -> dict[str, Any]:
    unknown = [name for name in turn.settings if name not in SETTINGS]
    if unknown:
        raise Unsupported(f"This agent takes no setting {unknown[0]!r}; it takes {', '.join(SETTINGS)}.")
    return dict(turn.settings)
