"""A turn of a FastAgency workflow, over its FastAPI adapter: initiated by POST, lived through on one WebSocket.

That wire has no cursor and no second reader: a workflow lives as long as its socket. A question keeps the socket in this
process until it is answered. When the process or the socket is lost, what the workflow did stays done, and whether it
begins again from its start is asked of a human.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import httpx
import msgspec

from landline.adapters.remote.agent import RemoteAgent
from landline.adapters.remote.failures import broken, failed
from landline.adapters.remote.fastagency_wire import Message, decode, question_of, reply_to, tell
from landline.adapters.remote.parked import Parked
from landline.adapters.remote.peer import Peer, open_peer
from landline.model.errors import LandlineError
from landline.model.events import Event
from landline.model.messages import text_of
from landline.ports.adapter import Ask, Finished, Turn
from landline.ports.egress import Egress

__all__ = ["run_turn"]

KEY = "remote.workflow"
DISCOVERY = "/fastagency/discovery"
INITIATE = "/fastagency/initiate_workflow"
SOCKET = "/fastagency/ws"
MAX_MESSAGE = 4 * 1024 * 1024
OPEN_S = 10.0
_LOST = (
    "The connection to the remote workflow was lost. What it has done stays done, and it cannot go on from there. "
    "Start it again from its beginning?"
)


class _Workflow(msgspec.Struct):
    """What is stored: `asked` counts questions, `open` is the one that waits, `again` counts the starts after the first."""

    started: bool = False
    asked: int = 0
    open: Message | None = None
    again: int = 0
    calls: list[str] = []


async def run_turn(turn: Turn, egress: Egress, parked: Parked) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    await turn.line.before_model(elsewhere=True)
    run = _WorkflowRun(turn, egress, parked)
    try:
        async with aclosing(run.play()) as items:
            async for item in items:
                yield item
    except (httpx.HTTPError, LandlineError) as error:
        raise broken(error) from error
    except OSError as error:
        raise failed("unreachable") from error
    except Exception as error:  # the socket library's errors are told by their module
        if not type(error).__module__.startswith("websockets"):
            raise
        raise failed("truncated" if run.spoken else "unreachable") from error
    finally:
        run.let_go()


class _WorkflowRun:
    """The workflow over there, on its socket."""

    def __init__(self, turn: Turn, egress: Egress, parked: Parked) -> None:
        self._turn, self._line, self._egress, self._parked = turn, turn.line, egress, parked
        stored = turn.line.recorded(KEY)
        self._state = msgspec.json.decode(stored, type=_Workflow) if stored else _Workflow()
        self._socket: Any = None
        self.spoken = False

    async def play(self) -> AsyncGenerator[Event | Finished]:
        """Live through the workflow, from its start or from the question that is answered now."""
        state = self._state
        if state.open is not None:
            answer = await self._ask(state.open)
            self._socket = self._parked.take(self._turn.run_id)
            if self._socket is not None:
                await self._socket.send(answer)
                state.open = None
                self._store()
        if self._socket is None:
            if state.started or self._turn.attempt > 1:
                await self._allow_again()
            await self._begin()
        async for text in cast("AsyncIterator[str | bytes]", self._socket):
            self.spoken = True
            said = decode(text)
            if said.asks:
                await self._wait(said)
            told = tell(said, f"{state.again}-", state.calls)
            if told.events:
                self._store()
            for event in told.events:
                yield event
            if told.finished is not None:
                yield told.finished
                return
        raise failed("truncated")

    def let_go(self) -> None:
        """Close the socket, unless it is kept for an answer: the workflow ends with it."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _wait(self, said: Message) -> None:
        """Ask, and keep the socket meanwhile.

        Raises:
            Suspended: Always: the question is new.
        """
        self._state.asked += 1
        self._state.open = said
        self._store()
        self._parked.put(self._turn.run_id, self._socket)
        self._socket = None
        await self._ask(said)

    async def _ask(self, said: Message) -> str:
        key = f"remote:{self._state.again}:{self._state.asked}"
        (answer,) = await self._line.ask(question_of(said, key=key))
        return reply_to(said, answer)

    async def _allow_again(self) -> None:
        state = self._state
        (answer,) = await self._line.ask(
            Ask(key=f"remote:again:{state.again}", kind="approval", prompt=_LOST)
        )
        if not answer.approve:
            raise failed("lost")
        state.again += 1
        state.asked, state.open, state.calls = 0, None, []

    def _store(self) -> None:
        self._line.record(KEY, msgspec.json.encode(self._state))

    async def _begin(self) -> None:
        """Initiate the workflow and open its socket, with the opening message sent."""
        agent: RemoteAgent = self._turn.agent
        async with open_peer(agent, self._egress) as peer:
            await _check_known(peer, cast("str", agent.agent))
            asked = {
                "workflow_name": agent.agent,
                "workflow_uuid": uuid5(NAMESPACE_URL, f"{self._turn.run_id}/{self._state.again}").hex,
                "user_id": None,
                "params": {"message": text_of(self._turn.input)},
            }
            begun = (await peer.ask("POST", INITIATE, body=asked)).check().object()
        self._socket = await _open(agent, self._egress)
        self._state.started = True
        self._store()
        await self._socket.send(msgspec.json.encode(begun).decode())


async def _check_known(peer: Peer, name: str) -> None:
    """Refuse a workflow that the server does not list: on the socket it would only end without a word."""
    listed = (await peer.ask("GET", DISCOVERY)).check().json()
    names = (
        [entry.get("name") for entry in cast("list[dict[str, Any]]", listed)]
        if isinstance(listed, list)
        else []
    )
    if name not in names:
        raise failed("not_found")


async def _open(agent: RemoteAgent, egress: Egress) -> Any:
    from websockets.asyncio.client import connect

    address = "ws" + agent.base.removeprefix("http") + SOCKET
    held = await egress.connect(address, trusted=[agent.origin])
    try:
        return await connect(
            address,
            sock=held,
            additional_headers=dict(agent.headers),
            max_size=MAX_MESSAGE,
            open_timeout=OPEN_S,
            proxy=None,
        )
    except BaseException:  # a cancel too must not leave the socket open
        held.close()
        raise
