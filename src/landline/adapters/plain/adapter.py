"""Plain functions as agents (ADP-11): called with their run, resumed by running again from the top."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal

from landline.adapters.plain.run import PlainRun
from landline.adapters.plain.shape import (
    data_of,
    function_of,
    input_schema,
    output_schema,
    params_of,
    reads_schema,
    reads_settings,
    shape_of,
    takes_input,
    version_of,
)
from landline.adapters.plain.sync import SyncRun
from landline.adapters.plain.tape import NotJson, Tape
from landline.adapters.plain.threads import Portal
from landline.adapters.plain.ui import UI, AsyncUI
from landline.model.agents import AgentInfo, Capability, ToolInfo
from landline.model.errors import AgentFailed, LandlineError
from landline.model.events import Event
from landline.model.messages import text_of
from landline.ports.adapter import AgentSpec, Finished, ToolRaised, Turn

__all__ = ["PlainAdapter", "adapter"]

_WITHOUT_RUN: frozenset[Capability] = frozenset(
    {"streaming", "structured_output", "partial_output", "cancel"}
)
_WITH_RUN: frozenset[Capability] = _WITHOUT_RUN | {
    "ask", "approvals", "context", "files", "images", "mcp", "client_tools", "carried_history", "output_schema", "reasoning", "settings", "steer", "tool_resume",
    "tools",
}  # fmt: skip
_SETTINGS = (
    "max_tokens", "model", "parallel_tool_calls", "seed", "stop", "temperature", "tool_choice", "top_p",
)  # fmt: skip


class PlainAdapter:
    """Functions, async functions, generators and async generators."""

    @property
    def framework(self) -> str:
        """The framework's name."""
        return "plain"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a function that takes its run can do; one that does not can do less (see `describe`)."""
        return _WITH_RUN

    @property
    def partial_text(self) -> Literal["drop", "continue"]:
        """The function says its text again from the start, and only what readers do not have is emitted."""
        return "continue"

    def matches(self, agent: Any) -> bool:
        """Tell whether `agent` is a function, a bound method or a partial of one; a class is not."""
        return function_of(agent) is not None

    def describe(self, spec: AgentSpec) -> AgentInfo:
        """Return what the function's signature, docstring and source say.

        Raises:
            TypeError: It cannot be called as an agent.
        """
        tools = [
            ToolInfo(name=name, approval=policy.approval, idempotent=policy.idempotent)
            for name, policy in spec.tools.items()
        ]
        title = spec.title or spec.name.replace("_", " ").capitalize()
        facts: dict[str, Any] = {"description": spec.description, "version": spec.version or ""}
        if spec.agent is not None:  # a factory's functions are not known before a run
            shape = shape_of(spec.agent)
            has_run = shape.takes in ("run", "ui")
            able = _WITH_RUN if has_run else _WITHOUT_RUN
            settings = _SETTINGS if has_run and reads_settings(spec.agent) else ()
            able -= frozenset() if settings else {"settings"}
            able -= frozenset() if takes_input(spec.agent) else {"steer"}
            able -= frozenset() if reads_schema(spec.agent) else {"output_schema"}
            facts = {
                "description": spec.description or inspect.getdoc(function_of(spec.agent)),
                "version": spec.version or version_of(spec.agent),
                "capabilities": sorted(able),
                "settings": settings,
                "input_schema": input_schema(spec.agent),
                "output_schema": output_schema(spec.agent),
            }
        else:
            facts["capabilities"] = sorted(_WITH_RUN - {"settings", "steer", "output_schema"})
        return AgentInfo(
            name=spec.name,
            title=title,
            framework=self.framework,
            starters=tuple(spec.starters),
            tools=tools,
            scopes=tuple(spec.scopes),
            labels=dict(spec.labels),
            **facts,
        )

    async def close(self) -> None:
        """Nothing outlives a run."""

    async def run(self, turn: Turn) -> AsyncIterator[Event | Finished]:
        """Run the function; its events go to the line as they happen, so this yields the end only."""
        portal = Portal(turn.line) if shape_of(turn.agent).blocking else None
        tape = Tape(turn, portal.here if portal else None)
        try:
            output = await tape.conclude(await _perform(turn.agent, tape, portal))
        except Exception as error:  # a function is anybody's code
            tape.check()
            raise _failure(error) from error
        except SystemExit as error:
            # Let through, it would end the server's loop.
            raise AgentFailed("The agent tried to end the process.", code="agent_error") from error
        except BaseExceptionGroup:
            tape.check()  # a suspension inside the function's own task group
            raise
        # Whatever the function made of it: a question or a mismatch ends the segment.
        tape.check()
        yield Finished(output=output)


async def _perform(function: Callable[..., Any], tape: Tape, portal: Portal | None) -> Any:
    """Call the function and return what it returned; a generator's items are taken as they come."""
    given = _given(function, tape, portal)
    if portal:
        return await portal.run(lambda: _block(function, given, tape, portal), f"agent:{tape.turn.spec.name}")
    result = function(*given)
    if not inspect.isasyncgen(result):
        return await result
    async with aclosing(result) as items:
        async for item in items:
            await tape.take(item)
    return None


def _given(function: Callable[..., Any], tape: Tape, portal: Portal | None) -> tuple[Any, ...]:
    """Return the arguments the function is called with."""
    shape, text = shape_of(function), text_of(tape.turn.input)
    match shape.takes:
        case "run":
            return (SyncRun(tape, portal) if portal else PlainRun(tape),)
        case "ui":
            ui = UI(tape, portal) if portal else AsyncUI(tape)
            if not shape.params:
                return (ui,)
            return (ui, params_of(text) if shape.data is None else data_of(shape.data, text))
        case "data":
            return (data_of(shape.data, text),)
        case "text":
            return (text,)
        case "nothing":
            return ()


def _block(function: Callable[..., Any], given: tuple[Any, ...], tape: Tape, portal: Portal) -> Any:
    """Call a sync function, in its thread."""
    result = function(*given)
    if inspect.isawaitable(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"{function!r} is sync but gave something to await; make it an `async def`")
    if not inspect.isgenerator(result):
        return result
    try:
        while True:
            try:
                item = next(result)
            except StopIteration as end:
                return end.value
            portal.call(lambda item=item: tape.take(item))
    finally:
        result.close()


def _failure(error: Exception) -> AgentFailed:
    match error:
        case AgentFailed():
            return error
        case ToolRaised(code=code, message=message):
            return AgentFailed(message, code=code)
        case LandlineError(code=code, detail=detail):
            return AgentFailed(detail, code=code)
        case NotJson():
            return AgentFailed(str(error), code="not_json")
        case _:
            # The exception's text stays in the log: it may hold anything (EVT-8).
            return AgentFailed(
                "The agent failed. The log has the details under this run's id.", code="agent_error"
            )


adapter = PlainAdapter()
