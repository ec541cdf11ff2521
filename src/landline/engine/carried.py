"""What a client carries to its run, checked at admission and handed to the agent (TRU-19)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import msgspec

from landline.model.agents import AgentInfo
from landline.model.carried import Carried, CarriedMessage
from landline.model.errors import AgentFailed, Invalid, Unsupported
from landline.model.messages import Message, TextPart, text_of
from landline.ports.adapter import Ask, BroughtTool, ToolPolicy
from landline.ports.store import Claim, Settled

__all__ = ["agreed", "check_carried", "client_tool_names", "handed_over", "history_of", "tools_of"]

_SYSTEM = "Instructions from the client:\n"


def check_carried(carried: Carried, info: AgentInfo, *, on_thread: bool) -> None:
    """Refuse what the agent cannot take, or nobody may carry.

    Raises:
        Unsupported: The agent takes no client tools, no schema for its answer, or no history from outside.
        Invalid: A tool has the name of another, the schema is not one of an object, or the run is on a thread and brings
            another history than instructions.
    """
    given = {
        "client_tools": carried.tools,
        "output_schema": carried.output_schema is not None,
        "carried_history": carried.history,
    }
    for ability, wanted in given.items():
        if wanted and ability not in info.capabilities:
            raise Unsupported(
                f"The agent {info.name!r} takes no {_NAMES[ability]} from a client.",
                code=f"{ability}_unsupported",
            )
    if carried.output_schema is not None and carried.output_schema.get("type") != "object":
        raise Invalid(
            "The schema of an answer is one of an object: its `type` is `object`.",
            code="invalid_output_schema",
        )
    names = [tool.name for tool in carried.tools]
    taken = {tool.name for tool in info.tools}
    for index, name in enumerate(names):
        if name in taken or name in names[:index]:
            raise Invalid(f"There is a tool {name!r} already.", code="tool_name_taken")
    if on_thread and any(message.role != "system" for message in carried.history):
        raise Invalid(
            "A thread has its history; a request may carry instructions to it and nothing else.",
            code="forged_history",
        )


_NAMES = {"client_tools": "tools", "output_schema": "schema of its answer", "carried_history": "history"}


def client_tool_names(claim: Claim) -> frozenset[str]:
    """Return the names of the tools that the client carries out."""
    return frozenset(tool.name for tool in claim.carried.tools) if claim.carried else frozenset()


def tools_of(carried: Carried, brought: Sequence[BroughtTool]) -> list[BroughtTool]:
    """Return the client's tools, as tools that need an approval: the line lets the client carry them out instead.

    Raises:
        AgentFailed: A tool server of the agent's owner brings a tool of the same name.
    """
    taken = {tool.name for tool in brought}
    for tool in carried.tools:
        if tool.name in taken:
            raise AgentFailed(f"The agent has a tool {tool.name!r} of its own.", code="tool_name_taken")
    return [
        BroughtTool(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            policy=ToolPolicy(approval=True, idempotent=True),
            call=_never,
            client=True,
        )
        for tool in carried.tools
    ]


def history_of(claim: Claim) -> list[Message]:
    """Return the carried history as messages, each marked as untrusted."""
    if claim.carried is None:
        return []
    return [_message(claim, index, message) for index, message in enumerate(claim.carried.history)]


def _message(claim: Claim, index: int, carried: CarriedMessage) -> Message:
    role, parts = carried.role, list(carried.parts)
    if role == "system":
        # Its author is the client, not the agent's owner: what it says has the weight of what users say.
        role, parts = "user", [TextPart(text=_SYSTEM), *parts]
    return Message(
        id=f"carried-{index}",
        thread_id=claim.run.thread_id,
        run_id=None,
        parent_id=f"carried-{index - 1}" if index else None,
        seq=0,
        role=role,
        content=text_of(parts),
        parts=parts,
        created_at=claim.run.created_at,
        metadata={"untrusted": True},
    )


def handed_over(ask: Ask, client_tools: Collection[str]) -> Ask:
    """Return the question as it is asked: for approval of a client's tool, the client is told the call instead."""
    if ask.kind != "approval" or ask.tool not in client_tools:
        return ask
    prompt = f"The client carries out {ask.tool} and answers with its result."
    return replace(ask, kind="input", prompt=prompt)


def agreed(settled: Settled) -> Settled:
    """Return the answer as the agent's adapter expects it: a client that gave a result agreed to the call."""
    if not settled.question.client:
        return settled
    answer = msgspec.structs.replace(settled.answer, approve=settled.outcome == "answered")
    return replace(settled, answer=answer)


async def _never(_: Mapping[str, Any]) -> NoReturn:
    raise AssertionError("the client carries this tool out")
