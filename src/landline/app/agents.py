"""Describing agents: what `landline.agent` and `landline.tool` return (AGT-2)."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from landline.adapters.remote.agent import Protocol, RemoteAgent
from landline.gates.bulkheads.rules import is_name
from landline.ports.adapter import AgentSpec, ToolPolicy
from landline.ports.guards import Guard
from landline.ports.mcp import McpServer
from landline.ports.routing import AUTO

__all__ = ["agent", "remote", "tool"]


def tool(
    *,
    idempotent: bool = False,
    approval: bool = False,
    approvers: int = 1,
    expires_s: float | None = None,
    deny: bool = False,
) -> ToolPolicy:
    """Say how Landline treats one tool of an agent.

    Args:
        idempotent: It may run again when a crash left its outcome unknown; without this a human is asked.
        approval: A human must agree before each call.
        approvers: How many different callers must agree.
        expires_s: An approval open for longer counts as denied; seconds.
        deny: It is never called: a call fails as `tool_denied`, which the model is told. One that an MCP server brings is
            not offered at all.

    Raises:
        ValueError: It is denied and asks for an approval too.
    """
    if deny and approval:
        raise ValueError("a tool is denied or needs an approval, not both")
    return ToolPolicy(
        idempotent=idempotent, approval=approval, approvers=approvers, expires_s=expires_s, deny=deny
    )


def remote(  # noqa: PLR0913 - one describing call, every argument a keyword
    url: str,
    *,
    protocol: Protocol = "landline",
    agent: str | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    settings: Sequence[str] = (),
    silence_s: float = 120.0,
) -> RemoteAgent:
    """Name an agent on another server; what is returned is served like any agent (AGT-1).

    The URL's origin may be private: naming it here allows it. Redirects are not followed, and no other origin is called.

    Args:
        url: `http://host:port` of another Landline or of a FastAgency server, the base URL (`…/v1`) of an
            OpenAI-compatible endpoint, or the address under which an A2A agent has its card.
        protocol: What is spoken there.
        agent: The agent's name there; the model for `openai-chat` and `openai-responses`; the workflow for
            `fastagency`. Another Landline with one agent, and A2A, need none.
        token: Sent as `Authorization: Bearer`.
        headers: Sent with each request.
        settings: For another Landline: the settings of a run (`temperature`, `max_tokens`, `model`, `top_p`, …) its agent takes.
        silence_s: Longest wait for the next byte of an answer, in seconds.

    Raises:
        ValueError: The URL or the protocol is not one, or a name is missing.
    """
    sent = dict(headers or {})
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    return RemoteAgent(
        url=url,
        protocol=protocol,
        agent=agent,
        headers=sent,
        settings=tuple(settings),
        silence_s=silence_s,
    )


def agent(  # noqa: PLR0913 - the one describing call of the public surface; every argument is a keyword
    obj: Any = None,
    *,
    name: str,
    title: str | None = None,
    description: str | None = None,
    version: str | None = None,
    starters: Sequence[str] = (),
    scopes: Sequence[str] = (),
    tools: Mapping[str, ToolPolicy] | None = None,
    factory: Callable[[Any], Any] | None = None,
    deadline_s: float | None = None,
    idle_timeout_s: float | None = None,
    history_messages: int | None = None,
    history_tokens: int | None = None,
    client_context: bool = False,
    context: Callable[..., Any] | None = None,
    labels: Mapping[str, str] | None = None,
    mcp: Sequence[McpServer] = (),
    guards: Sequence[str | Guard] = (),
    budgets: Sequence[str] = (),
    unknown_tools: Literal["allow", "deny"] = "deny",
    upstream: str | None = None,
    merge_deltas: bool = True,
) -> AgentSpec:
    """Describe an agent for Landline: any framework's object or a plain function.

    Args:
        obj: The agent. Shared by all runs; nothing of a run is written on it.
        name: Letters, digits, `_` and `-`; unique in the server; the name in URLs; not `auto`.
        version: Defaults to a hash of the agent's definition.
        factory: Called once per run with the run's context, for agents that must not be shared; `obj` may then be
            left out or be an example that describes it.
        deadline_s: A run's own running time in seconds, waiting not counted; a request may ask for less.
        idle_timeout_s: Longest silence of the agent in seconds before the run fails as `timed_out`.
        history_messages: How many messages of the thread the agent is given, the last ones; all without it.
        history_tokens: How many tokens of the thread the agent is given: its last whole turns that fit together, so
            that no tool call is parted from its result; a last turn that is larger alone leaves no history. With
            `history_messages` both hold. Tokens are estimated, not counted, because each model counts in its own way:
            a quarter of the text's UTF-8 bytes, and 1,000 for a file or image (`landline.engine.window` says where
            these come from). Leave much of the model's window free: for what the estimate misses, the instructions and
            the answer.
        client_context: Whether a request may bring the run's context in its body.
        context: `resolve(caller, run)`: makes the run's context for each segment; never stored.
        labels: Short facts shown beside the agent, such as `{"model": "offline script"}`; words under `keywords` help
            the router to find it.
        mcp: Servers whose tools the agent gets, made by `landline.mcp` or `landline.mcp_stdio`. `tools` says how to treat
            one of them by the name the model sees.
        guards: Guards of this agent beside those of all agents (the setting `guards`): rules such as `"pii:redact"`, or
            guards of your own (`landline.ports.guards.Guard`).
        budgets: Budgets of this agent beside those of all (the setting `budgets`), in the same words, such as
            `"run: 50 tool calls"` or `"user: 1 usd/day"`: only what runs of this agent use counts.
        unknown_tools: Whether a tool may be called that arrived at run time: one that is neither in `tools`, nor of the
            agent when it was described (of a factory's agent: when the run began), nor brought by `mcp` or the client, nor
            of a tool server of the agent's own that had it when it was first asked. docs/guards.md says what that means
            for each framework.
        upstream: What its models run on, such as `openai`: agents that share one share its bulkhead (docs/limits.md).
            Letters, digits, `.`, `_` and `-`; the agent's own name without it.
        merge_deltas: Whether what a model streams may reach the framework in fewer pieces when the machine is busy: those
            that have arrived together become one (docs/streams.md). HTTP clients that it shares with an agent that does
            not want this are left as they are.

    Raises:
        ValueError: The name is not url-safe or is `auto`, the upstream is no name, neither an agent nor a factory was
            given, a size of the history is below 0, or a budget is none.
    """
    if not name or not all(c.isascii() and (c.isalnum() or c in "_-") for c in name) or len(name) > 64:
        raise ValueError(f"agent name {name!r}: use 1 to 64 letters, digits, '_' or '-'")
    if name == AUTO:
        raise ValueError(
            f"agent name {AUTO!r}: that name asks the router to choose an agent; give it another"
        )
    if upstream is not None and not is_name(upstream):
        raise ValueError(f"upstream {upstream!r}: use 1 to 64 letters, digits, '.', '_' or '-'")
    if obj is None and factory is None:
        raise ValueError(f"agent {name!r}: give the agent object or a factory")
    if factory is not None and not inspect.isroutine(factory) and not callable(factory):
        raise ValueError(f"agent {name!r}: the factory must be callable")
    if min(history_messages or 0, history_tokens or 0) < 0:
        raise ValueError(f"agent {name!r}: history_messages and history_tokens are 0 or more")
    if budgets:
        from landline.gates.budgets.rules import Rule

        for text in budgets:
            Rule.of(text, agent=name)
    return AgentSpec(
        agent=obj,
        name=name,
        title=title,
        description=description,
        version=version,
        starters=tuple(starters),
        scopes=tuple(scopes),
        tools=dict(tools or {}),
        make=factory,
        deadline_s=deadline_s,
        idle_timeout_s=idle_timeout_s,
        history_messages=history_messages,
        history_tokens=history_tokens,
        client_context=client_context,
        context=context,
        labels=dict(labels or {}),
        mcp=tuple(mcp),
        guards=tuple(guards),
        budgets=tuple(budgets),
        unknown_tools=unknown_tools,
        upstream=upstream,
        merge_deltas=merge_deltas,
    )
