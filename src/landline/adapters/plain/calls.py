"""Steps and tools: calls that run once over all crashes, through the line's journal.

A step and a tool differ in what others see of them: a tool has arguments and the policy its owner gave it (approval,
idempotent); a step is part of the function's own work. Both are in the log as tool calls, because only those are on
disk before the call begins.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from landline.adapters.plain.speech import SCOPE, Scope, inside
from landline.adapters.plain.tape import NotJson, Tape, jsonable
from landline.model.errors import AgentFailed, LandlineError
from landline.model.ids import fingerprint
from landline.ports.adapter import Ask, OutcomeUnknown, ToolCall, ToolPolicy, ToolRaised

__all__ = ["Calls", "is_async", "refuse_inside"]

logger = logging.getLogger(__name__)

_DENIED = "A human did not allow this call."


def is_async(fn: Any) -> bool:
    """Tell whether calling `fn` gives a coroutine."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004 - not whether it can be called, but how its call is defined


class Calls:
    """The calls of one run."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    async def step(
        self, name: str, fn: Callable[..., Any], args: tuple[Any, ...], *, idempotent: bool
    ) -> Any:
        """Run a step once; see `PlainRun.step`."""
        self._tape.check()
        self._tape.line.knows(name)
        # No arguments in the log: they may hold the run's context, which is never written (AGT-6).
        call = ToolCall(call_id=self._call_id("step", name), name=name, arguments={}, idempotent=idempotent)
        again = self._tape.same(f"call:{call.call_id}", {}, "")
        return await self._through(call, partial(self._perform, call.call_id, fn, args, {}), again=again)

    async def tool(self, name: str, fn: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Run a tool once under its owner's policy; see `PlainRun.tool`."""
        tape = self._tape
        tape.check()
        tape.line.knows(name)  # the function itself calls it: a model or a server brings none
        policy = tape.turn.spec.tools.get(name, ToolPolicy())
        call_id = self._call_id("tool", name)
        plain: Any = jsonable(dict(arguments), f"the arguments of {name}")
        # An approval binds to exact arguments: other ones must not slip in under an old answer.
        again = tape.same(f"call:{call_id}", plain, f"it calls {name} with other arguments")
        if policy.approval:
            refuse_inside(f"the tool {name} needs an approval and")
            ask = Ask(
                key=call_id,
                kind="approval",
                prompt=f"Allow {name}?",
                tool=name,
                call_id=call_id,
                arguments=plain,
                expires_s=policy.expires_s,
                approvers=policy.approvers,
            )
            answer = await tape.ask(ask)
            if not answer.approve:
                call = ToolCall(call_id=call_id, name=name, arguments=plain, idempotent=policy.idempotent)
                refusal = ToolRaised("denied", answer.reason or _DENIED)
                return await self._through(call, partial(_refuse, refusal), again=again)
            if answer.arguments is not None:
                plain = arguments = answer.arguments
        call = ToolCall(call_id=call_id, name=name, arguments=plain, idempotent=policy.idempotent)
        return await self._through(call, partial(self._perform, call_id, fn, (), arguments), again=again)

    def _call_id(self, kind: str, name: str) -> str:
        # Unique beyond the run, so that a thread's history never holds two calls of one id; short enough for every
        # provider (OpenAI takes 40 characters).
        key = self._tape.key(f"{kind}/{name}")
        return "call_" + fingerprint(f"{self._tape.turn.run_id}/{key}".encode())[:24]

    async def _perform(
        self, call_id: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        if is_async(fn):
            return await fn(*args, **kwargs)
        result = await self._tape.execute(partial(fn, *args, **kwargs), call_id)
        return await result if inspect.isawaitable(result) else result

    async def _through(self, call: ToolCall, body: Callable[[], Awaitable[Any]], *, again: bool) -> Any:
        # A message is whole before a call, so that history has text and calls in the order of the log.
        await self._tape.speech.end()
        try:
            return await self._journalled(call, body, again=again)
        except OutcomeUnknown:
            pass
        if (refusal := await self._ask_again(call)) is not None:
            # Idempotent, because this run of it does nothing but fail: the log gets its end of the call.
            call, body = replace(call, idempotent=True), partial(_refuse, refusal)
        try:
            return await self._journalled(call, body, again=again)
        except OutcomeUnknown as unknown:
            raise AgentFailed(
                f"Nobody knows whether {call.name} ran to its end.", code="outcome_unknown"
            ) from unknown

    async def _journalled(self, call: ToolCall, body: Callable[[], Awaitable[Any]], *, again: bool) -> Any:
        tape, ran, raised = self._tape, False, ToolRaised("tool_error", f"{call.name} failed.")

        async def run() -> Any:
            nonlocal ran
            ran, outer = True, SCOPE.get()
            inner = Scope(call.call_id, outer, again or (outer is not None and outer.again))
            with inside(inner):
                try:
                    result = jsonable(await body(), f"what {call.name} returns")
                except Exception:  # whatever the user's code raises, what it said before was heard
                    await tape.end_call(inner)
                    raise
                await tape.end_call(inner)
            return result

        def failure(error: Exception) -> tuple[str, str]:
            nonlocal raised
            raised = _as_recorded(call, error)
            return raised.code, raised.message

        try:
            with tape.calling():
                result = await tape.line.tool(call, run, failure=failure)
        except OutcomeUnknown:
            raise
        except Exception as error:  # the call's own code failed, now or in an earlier segment
            tape.check()
            if not ran:
                await tape.replay_inside(call.call_id)
                raise
            if raised is error:
                raise
            # The same type now and when the function runs again, or its handlers would take different ways.
            raise raised from error
        if not ran:
            await tape.replay_inside(call.call_id)
        return result

    async def _ask_again(self, call: ToolCall) -> ToolRaised | None:
        """Ask a human whether a call that was cut off may run again; returns None when it may, else its failure."""
        tape = self._tape
        await tape.speech.forget_the_rest()
        answer = await tape.ask(
            Ask(
                key=tape.line.unknown_key(call.call_id),
                kind="approval",
                prompt=(
                    f"The server stopped while {call.name} was running. It may or may not have done its work. "
                    "Run it again?"
                ),
                tool=call.name,
                call_id=call.call_id,
                arguments=call.arguments,
            )
        )
        if answer.approve:
            return None
        message = (
            answer.reason or f"Whether {call.name} ran is not known, and it was decided not to run it again."
        )
        return ToolRaised("outcome_unknown", message)


def refuse_inside(what: str) -> None:
    """Refuse what would end the segment in the middle of a call, whose outcome would then be unknown."""
    if SCOPE.get() is not None:
        raise RuntimeError(f"{what} cannot wait for a human inside a step or tool; ask before it")


async def _refuse(refusal: ToolRaised) -> None:
    raise refusal


def _as_recorded(call: ToolCall, error: Exception) -> ToolRaised:
    if isinstance(error, ToolRaised):
        return error
    if isinstance(error, LandlineError):
        return ToolRaised(error.code, error.detail)
    if isinstance(error, NotJson):
        return ToolRaised("not_json", str(error))
    logger.warning("%s of %s raised", call.name, call.call_id, exc_info=error)
    return ToolRaised("tool_error", f"{call.name} failed.")
