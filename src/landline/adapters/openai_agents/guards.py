"""The four kinds of tripwire: what a guard decides is recorded, told in the log, and stops the run (ADP-5).

Guards of the input run beside the model as the framework has it, but no tool starts before all have let the input pass.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec
import pydantic_core
from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    InputGuardrail,
    OutputGuardrail,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    ToolOutputGuardrailData,
)
from agents.tool_context import ToolContext

from landline.adapters.openai_agents.invoke import in_threads
from landline.adapters.openai_agents.journal import Halted, Journal
from landline.adapters.openai_agents.records import Refused
from landline.adapters.openai_agents.threads import ToolThreads
from landline.model.events import GuardTripped

__all__ = ["guarded_input", "guarded_output", "own_input_guards", "own_output_guards"]


def own_input_guards(guards: Sequence[InputGuardrail[Any]], journal: Journal) -> list[InputGuardrail[Any]]:
    """Return the run's own guards of what the user says."""

    def own(index: int, guard: InputGuardrail[Any]) -> InputGuardrail[Any]:
        async def judge(ctx: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
            broke: Exception | None = None
            try:
                output = await _judged(
                    journal, f"guard:input:{index}", guard.guardrail_function, ctx, agent, said
                )
                if output.tripwire_triggered:
                    journal.tripped(_trip(guard.get_name(), "input", output.output_info))
            except Exception as error:  # a guard is anybody's code
                broke = error
                raise
            else:
                return output
            finally:
                journal.verdict(broke)

        return replace(guard, guardrail_function=judge, name=guard.get_name())

    return [own(index, guard) for index, guard in enumerate(guards)]


def own_output_guards(guards: Sequence[OutputGuardrail[Any]], journal: Journal) -> list[OutputGuardrail[Any]]:
    """Return the run's own guards of what the agent answers."""

    def own(index: int, guard: OutputGuardrail[Any]) -> OutputGuardrail[Any]:
        async def judge(ctx: Any, agent: Any, answer: Any) -> GuardrailFunctionOutput:
            await journal.settle()
            key = f"guard:output:{journal.responses}:{index}"
            output = await _judged(journal, key, guard.guardrail_function, ctx, agent, answer)
            if output.tripwire_triggered:
                journal.tripped(_trip(guard.get_name(), "output", output.output_info))
            return output

        return replace(guard, guardrail_function=judge, name=guard.get_name())

    return [own(index, guard) for index, guard in enumerate(guards)]


async def _judged(journal: Journal, key: str, fn: Callable[..., Any], *args: Any) -> GuardrailFunctionOutput:
    """Return what the guard decided, now or before a crash: some guards pay a model for it."""
    if (stored := journal.line.recorded(key)) is not None:
        kept = msgspec.json.decode(stored)
        return GuardrailFunctionOutput(output_info=kept["info"], tripwire_triggered=kept["tripped"])
    output = cast("GuardrailFunctionOutput", await _awaited(fn, *args))
    kept = {"info": _info(output.output_info), "tripped": output.tripwire_triggered}
    journal.line.record(key, msgspec.json.encode(kept))
    return output


async def _awaited(fn: Callable[..., Any], *args: Any) -> Any:
    """Call a guard; a sync one in a thread, since it may take its time."""
    made = fn(*args) if inspect.iscoroutinefunction(fn) else await in_threads(fn, ToolThreads)(*args)
    return await made if inspect.isawaitable(made) else made


async def guarded_input(tool: FunctionTool, ctx: ToolContext[Any], journal: Journal) -> None:
    """Let the tool's guards see the call.

    Raises:
        Refused: The model gets a guard's words instead.
        Halted: A guard stopped the run.
    """
    for guard in tool.tool_input_guardrails or ():
        data = ToolInputGuardrailData(context=ctx, agent=cast("Any", ctx.agent))
        output = await _awaited(guard.guardrail_function, data)
        await _judge(guard.get_name(), "tool_input", output, journal)


async def guarded_output(tool: FunctionTool, ctx: ToolContext[Any], value: Any, journal: Journal) -> None:
    """Let the tool's guards see its result; see `guarded_input`."""
    for guard in tool.tool_output_guardrails or ():
        data = ToolOutputGuardrailData(context=ctx, agent=cast("Any", ctx.agent), output=value)
        output = await _awaited(guard.guardrail_function, data)
        await _judge(guard.get_name(), "tool_output", output, journal)


async def _judge(name: str, stage: str, output: ToolGuardrailFunctionOutput, journal: Journal) -> None:
    match output.behavior["type"]:
        case "allow":
            return
        case "reject_content":
            event = GuardTripped(guard=name, stage=stage, action="reject", info=_info(output.output_info))
            await journal.at_line(journal.line.emit(event))
            raise Refused("guard_rejected", str(output.behavior.get("message", "")))
        case _:
            journal.tripped(_trip(name, stage, output.output_info), in_tool=True)
            raise Halted


def _trip(name: str, stage: str, info: Any) -> GuardTripped:
    return GuardTripped(guard=name, stage=stage, action="block", info=_info(info))


def _info(info: Any) -> Any:
    try:
        return pydantic_core.from_json(pydantic_core.to_json(info, inf_nan_mode="strings"))
    except (pydantic_core.PydanticSerializationError, ValueError):
        return None
