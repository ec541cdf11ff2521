"""Several AG2 agents as one: AG2's workflow channel, with its transitions and handoffs, on one run's line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ag2 import Agent
from ag2.events import Input
from ag2.network import (
    ChannelMetadata,
    ChannelState,
    Envelope,
    Participant,
    ParticipantRole,
    TransitionGraph,
    WorkflowAdapter,
    ensure_parts,
)

__all__ = ["USER", "AG2Workflow"]

USER = "user"
"""The sender of what the user said; a transition or a handoff to it ends the turn."""


class AG2Workflow:
    """Agents that speak in the order of a `TransitionGraph`, in which they have the names of the agents.

    AG2's hub runs such a channel in tasks of its own and remembers it in its store. A run of Landline remembers by
    itself, so this uses AG2's workflow as what it is beneath the hub: pure functions from what was said to who speaks
    next. Tools get the channel's state (`ChannelStateInject`); there is no hub, no channel and no client to inject.
    Each turn of the user begins with the graph's first speaker.

    Args:
        agents: The participants, in the order of a round robin. Their names differ.
        graph: Who speaks after whom.
        context_vars: What the channel's state holds when a turn begins.

    Raises:
        ValueError: Two agents share a name, or the graph begins with none of them.
    """

    def __init__(
        self,
        agents: Iterable[Agent[Any]],
        graph: TransitionGraph,
        *,
        context_vars: Mapping[str, Any] | None = None,
    ) -> None:
        self.agents = tuple(agents)
        self.definition = graph.to_dict()
        self.context_vars = dict(context_vars or {})
        names = [agent.name for agent in self.agents]
        if len(set(names)) < len(names) or USER in names:
            raise ValueError(f"the agents of a workflow have different names, and none is {USER!r}")
        if graph.initial_speaker not in names:
            raise ValueError(f"the graph begins with {graph.initial_speaker!r}, which is none of {names}")

    def channel(self, channel_id: str) -> "Channel":
        """Return a channel in which nothing was said yet."""
        return Channel(self, channel_id)


class Channel:
    """What was said in one turn of a workflow, and whose turn it is."""

    def __init__(self, workflow: AG2Workflow, channel_id: str) -> None:
        self.adapter = WorkflowAdapter()
        self.wal: list[Envelope] = []
        names = [agent.name for agent in workflow.agents]
        first = str(workflow.definition["initial_speaker"])
        self.metadata = ChannelMetadata(
            channel_id=channel_id,
            manifest=self.adapter.manifest,
            creator_id=first,
            participants=[
                Participant(
                    name, ParticipantRole.INITIATOR if name == first else ParticipantRole.PARTICIPANT, order
                )
                for order, name in enumerate(names)
            ],
            state=ChannelState.ACTIVE,
            created_at="",
            knobs={"graph": workflow.definition, "context_vars": dict(workflow.context_vars)},
        )
        self.state = self.adapter.initial_state(self.metadata)
        self._names = set(names)

    @property
    def speaker(self) -> str | None:
        """Whose turn it is: an agent's name, or None when it is the user's again."""
        name = self.state.expected_next_speaker
        return name if self.metadata.state is ChannelState.ACTIVE and name in self._names else None

    def rendered(self, envelope: Envelope) -> Sequence[Input] | None:
        """Return an envelope as an agent reads it."""
        return ensure_parts(cast("Any", self.adapter).render_envelope(envelope)) or None

    def heard(self, envelope: Envelope) -> Envelope:
        """Add what nobody's turn depends on: the user's words, or an earlier turn."""
        envelope = replace(envelope, channel_id=self.metadata.channel_id, envelope_id=str(len(self.wal)))
        self.wal.append(envelope)
        return envelope

    def said(self, envelope: Envelope) -> Envelope:
        """Add what the speaker said, and find who speaks next."""
        envelope = self.heard(envelope)
        self.state = self.adapter.fold(envelope, self.state)
        result = self.adapter.on_accepted(self.metadata, envelope, self.state)
        if result.next_state is not None:
            self.metadata.state = result.next_state
        return envelope
