"""From a reply and the request it answers to a plan: parts cut into tokens, figures settled, no wire yet."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from landline.testing.upstream.faults import BadArguments, Fault, Partial
from landline.testing.upstream.replies import (
    Finish,
    Reasoning,
    Reply,
    Structured,
    Text,
    ToolCall,
    ToolCalls,
    Usage,
    filler,
    split,
)
from landline.testing.upstream.request import Request

__all__ = [
    "Brain",
    "Defaults",
    "Echo",
    "Part",
    "Plan",
    "Script",
    "ScriptExhausted",
    "choose",
    "make_plan",
    "resolve",
]

Brain = Callable[[Request], Reply]
Script = Sequence[Reply] | Brain | None

_ARGUMENT_FRAGMENT = 6  # characters; the real API streams arguments in fragments of about this size


class ScriptExhausted(Exception):
    """The conversation has more model turns than the script has replies."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What replies that leave it open take from their server."""

    interval_s: float = 0.0
    first_token_after_s: float = 0.0
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class Echo:
    """The brain of a server without a script: says back the last user text, the same for the same request.

    Nothing but the request goes into the answer, so a canary word in an answer came from its own request.

    Args:
        tokens: Pad the answer with filler words to at least this many tokens.
    """

    tokens: int = 0

    def __call__(self, request: Request) -> Text:
        """Answer one request."""
        text = f"echo: {request.text}"
        missing = self.tokens - len(split(text))
        return Text(f"{text.rstrip()} {filler(missing)}" if missing > 0 else text)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing the model says: thinking, text or a tool call (whose pieces are its arguments)."""

    kind: Literal["reasoning", "text", "call"]
    pieces: tuple[str, ...]
    name: str = ""
    call_id: str = ""

    @property
    def whole(self) -> str:
        """The pieces joined."""
        return "".join(self.pieces)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An answer ready for either wire. A `finish` of None is an answer broken off."""

    parts: tuple[Part, ...]
    finish: Finish | None
    usage: Usage
    model: str
    interval_s: float
    first_token_after_s: float

    @property
    def tokens(self) -> int:
        """How many tokens are streamed, all parts together."""
        return sum(len(part.pieces) for part in self.parts)

    def broken_off(self, after_tokens: int) -> "Plan":
        """The plan's first tokens and no finish."""
        parts: list[Part] = []
        left = after_tokens
        for part in self.parts:
            if left > 0:
                parts.append(replace(part, pieces=part.pieces[:left]))
            left -= len(part.pieces)
        return replace(self, parts=tuple(parts), finish=None)


def choose(script: Script, request: Request) -> Reply:
    """Pick the reply: by the conversation's turn in a list, by the callable's own rule otherwise.

    Raises:
        ScriptExhausted: See there.
    """
    if script is None:
        return Echo()(request)
    if callable(script):
        return script(request)
    if request.turn >= len(script):
        raise ScriptExhausted(f"turn {request.turn + 1} of a conversation scripted for {len(script)}")
    return script[request.turn]


def resolve(reply: Reply, request: Request) -> tuple[Fault | None, Reply]:
    """Find out which fault strikes this attempt, if any, and the answer beneath."""
    attempt, current, fault = request.attempt, reply, None
    while isinstance(current, Fault):
        if fault is None and (current.first is None or attempt < current.first):
            fault = current
        attempt -= current.first or 0
        at_least = current.after_tokens + 1 if isinstance(current, Partial) else 0
        current = current.answer or Echo(tokens=at_least)(request)
    return fault, current


def make_plan(reply: Reply, request: Request, *, defaults: Defaults, fault: Fault | None = None) -> Plan:
    """Cut a reply into parts and settle its figures. What is set on the outermost reply wins."""
    parts = _parts(reply, request)
    if isinstance(fault, BadArguments):
        if not any(part.kind == "call" for part in parts):
            raise ValueError("BadArguments needs an answer that calls tools")
        parts = [replace(p, pieces=_fragments(fault.arguments)) if p.kind == "call" else p for p in parts]
    interval_s, first_s, model = (
        defaults.interval_s,
        defaults.first_token_after_s,
        defaults.model or request.model,
    )
    finish: Finish = "stop"
    usage = _count(parts, request)
    for layer in _layers(reply):
        interval_s = interval_s if layer.interval_s is None else layer.interval_s
        first_s = first_s if layer.first_token_after_s is None else layer.first_token_after_s
        usage, model = layer.usage or usage, layer.model or model
        finish = layer.finish if layer.finish != "stop" else finish
    return Plan(
        parts=tuple(parts),
        finish=finish,
        usage=usage,
        model=model,
        interval_s=interval_s,
        first_token_after_s=first_s,
    )


def _layers(reply: Reply) -> list[Reply]:
    return [*_layers(reply.answer), reply] if isinstance(reply, Reasoning) else [reply]


def _parts(reply: Reply, request: Request) -> list[Part]:
    match reply:
        case Text():
            return [Part(kind="text", pieces=split(reply.text, reply.tokens))]
        case ToolCalls():
            said = [Part(kind="text", pieces=split(reply.text))] if reply.text else []
            return said + [_call(call, n, request) for n, call in enumerate(reply.calls)]
        case Structured():
            return [_structured(reply, request)]
        case Reasoning():
            return [Part(kind="reasoning", pieces=split(reply.text)), *_parts(reply.answer, request)]
        case _:
            raise TypeError(f"a script cannot answer with {type(reply).__name__}")


def _call(call: ToolCall, number: int, request: Request) -> Part:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
    call_id = call.id or f"call_{request.index:06}_{number}"
    return Part(kind="call", pieces=_fragments(arguments), name=call.name, call_id=call_id)


def _structured(reply: Structured, request: Request) -> Part:
    tool = reply.tool or (None if request.wants_json else request.forced_tool or _output_tool(reply, request))
    if tool is not None:
        return _call(ToolCall(tool, reply.value), 0, request)
    return Part(kind="text", pieces=_fragments(json.dumps(reply.value)))


def _output_tool(reply: Structured, request: Request) -> str | None:
    # Pydantic AI's output tools are called final_result, or final_result_<type> when there are several.
    offered = {name: schema for name, schema in request.tools.items() if name.startswith("final_result")}
    fitting = (n for n, schema in offered.items() if set(reply.value) <= set(schema.get("properties", {})))
    return next(fitting, next(iter(offered), None))


def _fragments(text: str) -> tuple[str, ...]:
    return tuple(text[i : i + _ARGUMENT_FRAGMENT] for i in range(0, len(text), _ARGUMENT_FRAGMENT))


def _count(parts: Sequence[Part], request: Request) -> Usage:
    thought = sum(len(part.pieces) for part in parts if part.kind == "reasoning")
    said = sum(len(part.pieces) for part in parts)
    heard = sum(len(str(item.get("content") or item.get("output") or "").split()) for item in request.items)
    return Usage(input_tokens=heard, output_tokens=said, reasoning_tokens=thought)
