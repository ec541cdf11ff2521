"""One turn of a Pydantic AI agent: the graph is pulled node by node in the caller's own task.

Pulling keeps the order: all text of a response is handed over before any of its tools starts. There is no task and no
buffer in between, so closing the generator closes the model's HTTP stream.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from msgspec import Raw
from pydantic_ai import Agent, CallToolsNode, ModelRequestNode
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import FunctionToolResultEvent
from pydantic_ai.run import AgentRun
from pydantic_ai.settings import ModelSettings

from landline.adapters.pydantic_ai.alone import LoneJournal, is_alone
from landline.adapters.pydantic_ai.approvals import Approvals
from landline.adapters.pydantic_ai.brought import brought
from landline.adapters.pydantic_ai.events import Speech
from landline.adapters.pydantic_ai.failures import agent_failed
from landline.adapters.pydantic_ai.journal import Journal
from landline.adapters.pydantic_ai.mcp import McpServers, RunServers
from landline.adapters.pydantic_ai.messages import FRAMEWORK, VERSION, dump_native, history_of, prompt_of
from landline.adapters.pydantic_ai.partial import Outputs
from landline.adapters.pydantic_ai.results import plain
from landline.adapters.pydantic_ai.wanted import Wanted
from landline.model.errors import LandlineError, Unsupported
from landline.model.events import Event
from landline.model.messages import Native
from landline.ports.adapter import Finished, Turn

__all__ = ["SETTINGS", "run_turn"]

SETTINGS = ("temperature", "max_tokens", "top_p", "seed", "parallel_tool_calls")


async def run_turn(turn: Turn, servers: McpServers) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    said: list[Speech] = []
    wanted = None if turn.output_schema is None else Wanted(turn.output_schema, turn.agent)
    try:
        journal, capabilities = _capabilities(turn, await servers.ready(turn))
        history = await history_of(turn.history, turn.line)
        async with turn.agent.iter(
            await prompt_of(turn.input, turn.line),
            message_history=history,
            deps=turn.context,
            model_settings=_settings(turn),
            run_id=turn.run_id,
            conversation_id=turn.thread_id,
            capabilities=capabilities,
            toolsets=brought(turn.tools),
            infer_name=False,
            **({} if wanted is None else {"output_type": wanted.type}),
        ) as run:
            speech = Speech(turn.line.emitted_text, Outputs(run.ctx.deps.output_schema))
            said.append(speech)
            if isinstance(journal, LoneJournal) and is_alone(run.ctx.deps.root_capability):
                journal.speech = speech
            async for event in _steps(run, journal, speech, turn):
                yield event
            result = run.result
            assert result is not None
            output = plain(result.output)
            for event in speech.finish(output):
                yield event
            native = Native(
                framework=FRAMEWORK, version=VERSION, messages=Raw(dump_native(result.new_messages()))
            )
            yield Finished(output=output, native=native, model=journal.model)
    except LandlineError:
        raise
    except Exception as error:  # whatever an agent, a tool or a model raises ends as a stable code
        failed = agent_failed(error, speaking=any(speech.speaking for speech in said))
        raise (wanted.failure(failed) if wanted else failed) from error


def _capabilities(turn: Turn, servers: RunServers) -> tuple[Journal, list[AbstractCapability[Any]]]:
    if is_alone(turn.agent.root_capability):
        journal = LoneJournal(turn, servers)
        return journal, [journal]
    journal = Journal(turn, servers)
    return journal, [journal, Approvals(turn, journal)]


async def _steps(
    run: AgentRun[Any, Any], journal: Journal, speech: Speech, turn: Turn
) -> AsyncIterator[Event]:
    asked_model = False
    async for node in run:
        if Agent.is_model_request_node(node):
            asked_model = True
            if isinstance(journal, LoneJournal) and journal.speech is not None:
                said = journal.told(node.run(run.ctx))
            else:
                said = _heard(node, run, journal, speech)
            async with aclosing(said):
                async for event in said:
                    yield event
        elif Agent.is_call_tools_node(node):
            # A first node of this kind only closes what an earlier turn left open.
            for event in speech.settle(node.model_response, replayed=journal.replayed) if asked_model else ():
                yield event
            if node.model_response.tool_calls:
                await _settle(node, run, journal)
            if doubtful := journal.take_doubtful():
                await turn.line.ask(*doubtful)
            await _steer(run, journal, turn)


async def _heard(
    node: ModelRequestNode[Any, Any], run: AgentRun[Any, Any], journal: Journal, speech: Speech
) -> AsyncGenerator[Event]:
    """The long way: the response passes everything of the agent's own that listens, and may change it."""
    async with node.stream(run.ctx) as stream:
        for event in speech.begin(output_is_text=journal.output_is_text):
            yield event
        if not journal.replayed:
            async for part in stream:
                for event in speech.take(part):
                    yield event


async def _settle(node: CallToolsNode[Any, Any], run: AgentRun[Any, Any], journal: Journal) -> None:
    async with node.stream(run.ctx) as events:
        async for event in events:
            if isinstance(event, FunctionToolResultEvent):
                await journal.settle(event.part)


async def _steer(run: AgentRun[Any, Any], journal: Journal, turn: Turn) -> None:
    """Hand over what the user said meanwhile; it goes into the next model request, also when this was to be the end."""
    for parts in journal.take_input():
        content = await prompt_of(parts, turn.line) or ""
        id_ = run.enqueue(content) if isinstance(content, str) else run.enqueue(*content)
        if id_ is not None:
            journal.given[id_] = content


def _settings(turn: Turn) -> ModelSettings | None:
    unknown = [name for name in turn.settings if name not in SETTINGS]
    if unknown:
        raise Unsupported(f"This agent takes no setting {unknown[0]!r}; it takes {', '.join(SETTINGS)}.")
    settings = ModelSettings()
    settings.update(turn.settings)  # pyright: ignore[reportArgumentType,reportCallIssue] - names checked above
    return settings or None
