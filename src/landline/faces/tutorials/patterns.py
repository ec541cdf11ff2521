"""The patterns' routes (FACE-4): several agents at once, one by name, one by content, and three more ways to stream."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.tutorials import decode
from landline.faces.tutorials.documents import answer, problems, stream
from landline.faces.tutorials.encode import TextTurn, taken_back
from landline.faces.tutorials.errors import Gone
from landline.faces.tutorials.frames import Indexed, TextFrames, Tokens
from landline.faces.tutorials.turn import agent_named, answered, json_response, owned, started, streamed
from landline.faces.tutorials.wire import AgentChatBody, MessageBody, MultiAgentBody, StreamChatBody
from landline.model.callers import Caller
from landline.model.errors import Draining, Invalid, LandlineError, NotFound
from landline.model.runs import TERMINAL, Run
from landline.ports.routing import AUTO, Fanout
from landline.ports.runs import Started
from landline.ports.store import RunQuery
from landline.web.caller import CallerOf, with_contexts
from landline.web.face import FacePorts
from landline.web.route import Entry, requires, streams
from landline.web.waiting import until_gone

__all__ = ["MultiAgentRoute", "PatternRoutes"]

_MOST_AGENTS: Final = 16

SessionParam = Annotated[str, Query(min_length=1, max_length=64, description="The session to listen to.")]
PlaceParam = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9A-Za-z-]{1,64}:[0-9]{1,9}:[0-9]{1,9}$",
        description="The id of the last frame that was seen; a browser sends it when it comes back.",
    ),
]


class PatternRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports

    @requires("runs:write", "runs:read")
    async def agent_chat(self, request: Request, body: AgentChatBody, caller: CallerOf) -> Response:
        """Answer a message with the agent that is named."""
        run = await started(self._ports, request, caller, decode.agent_chat(body))
        run, end = await answered(self._ports, request, caller, run)
        metadata = {"usage": run.usage, "session_id": run.thread_id}
        return json_response({"response": end.text, "agent_type": run.agent, "metadata": metadata})

    @requires("runs:write", "runs:read")
    async def auto_route(self, request: Request, body: MessageBody, caller: CallerOf) -> Response:
        """Answer a message with the agent that the router chooses for it."""
        run = await started(self._ports, request, caller, decode.message(body.message, agent=AUTO))
        run, end = await answered(self._ports, request, caller, run)
        return json_response({"response": end.text, "routed_to": run.routed_to})

    @requires("runs:write", "runs:read")
    @streams
    async def stream_chat(self, request: Request, body: StreamChatBody, caller: CallerOf) -> Response:
        """Stream the answer to a message as `{token}` and `{done}`."""
        info = None if body.agent == AUTO else agent_named(self._ports, caller, body.agent)
        wanted = decode.message(body.message, agent=AUTO if info is None else info.name)
        run = await started(self._ports, request, caller, wanted)
        return streamed(self._ports, caller, run.id, TextFrames(Tokens()))

    @requires("threads:read", "runs:read")
    async def listen(
        self, request: Request, caller: CallerOf, session_id: SessionParam, place: PlaceParam = None
    ) -> Response:
        """Stream the newest answer of a session as `{token, index}`; it starts nothing, so that coming back is harmless.

        204 means that the reader has seen the end, so that an EventSource stops asking.
        """
        _refuse_others(request)
        thread = await owned(self._ports, caller, session_id, what="Session")
        named, before, seen = (place or "::").split(":")
        run = await self._run(caller, thread.id, named)
        dropped = await self._taken_back(caller, run)
        # What was told before more was taken back does not count: this is a new reading, from the first.
        told = int(seen) if place and int(before) == len(dropped) else -1
        if told >= 0 and run.status in TERMINAL and not await self._more(caller, run, told, dropped):
            return Response(status_code=204)
        return streamed(
            self._ports, caller, run.id, _indexed(told, dropped), headers={"connection": "keep-alive"}
        )

    async def _run(self, caller: Caller, thread_id: str, run_id: str) -> Run:
        if run_id:
            run = await self._ports.runs.get(caller, run_id)
            if run.thread_id != thread_id:
                raise NotFound("The run is not of that session.")
            return run
        newest = (await self._ports.runs.history(caller, RunQuery(thread_id=thread_id, limit=1))).items
        if not newest:
            raise NotFound("Nothing was asked on this session yet.")
        return newest[0]

    async def _taken_back(self, caller: Caller, run: Run) -> set[str]:
        found: set[str] = set()
        async for batch in self._ports.runs.follow(caller, run.id, live=False):
            found |= taken_back(batch)
        return found

    async def _more(self, caller: Caller, run: Run, seen: int, dropped: set[str]) -> bool:
        frames = _indexed(seen, dropped)
        async for batch in self._ports.runs.follow(caller, run.id):
            if frames.take(batch):
                return True
        return False

    def routes(self) -> list[Entry]:
        """Return the table."""
        id_ = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
        usage = {"input_tokens": 12, "output_tokens": 4, "total_tokens": 16, "cost_usd": None}
        named = {"response": "Hello.", "agent_type": "sales", "metadata": {"usage": usage, "session_id": id_}}
        routed = {"response": "Hello.", "routed_to": "sales"}
        indexed = f'id: {id_}:0:0\ndata: {{"token":"Hello","index":0}}\n\n'
        turn = problems(404, 408, 409, 415, 502, 504)
        return [
            Entry(method="POST", path="/multi-agent/chat", endpoint=self.agent_chat, name="patterns_agent_chat",
                  summary="Chat with an agent by name", docs={"responses": {200: answer(named, "The answer."), **turn}}),
            Entry(method="POST", path="/auto-route/chat", endpoint=self.auto_route, name="patterns_auto_route",
                  summary="Chat with the agent that fits", docs={"responses": {200: answer(routed, "The answer."), **turn}}),
            Entry(method="POST", path="/stream-chat", endpoint=self.stream_chat, name="patterns_stream_chat",
                  summary="Chat, streamed as tokens",
                  docs={"responses": {200: stream('data: {"token":"Hello"}\n\ndata: {"done":true}\n\n'), **problems(404, 415)}}),
            Entry(method="GET", path="/stream", endpoint=self.listen, name="patterns_stream",
                  summary="Listen to a session's newest answer",
                  docs={"responses": {200: stream(indexed), 204: {"description": "The end was seen."}, **problems(404)}}),
        ]  # fmt: skip


class MultiAgentRoute:
    """One message for several agents; what fails does not sink the rest."""

    def __init__(self, ports: FacePorts, fanout: Fanout) -> None:
        self._ports, self._fanout = ports, fanout

    @requires("runs:write", "runs:read")
    async def ask(self, request: Request, body: MultiAgentBody, caller: CallerOf) -> Response:
        """Ask several agents at once, and answer when all have ended."""
        names = body.agents or self._all(caller)
        wanted = [decode.message(body.message, agent=name) for name in names]
        begun = await self._fanout.start(caller, await with_contexts(self._ports, caller, request, wanted))
        turns = [TextTurn(whole=True) for _ in begun]

        async def follow() -> None:
            async with asyncio.TaskGroup() as tasks:
                for one, turn in zip(begun, turns, strict=True):
                    if isinstance(one, Started):
                        tasks.create_task(self._follow(caller, one.run.id, turn))

        match await until_gone(follow(), request=request, door=self._ports.door):
            case "gone":
                raise Gone
            case "drained":
                raise Draining
            case "done":
                pass
        results = [_result(*each) for each in zip(names, begun, turns, strict=True)]
        return json_response({"results": results})

    def _all(self, caller: Caller) -> list[str]:
        names = [info.name for info in self._ports.agents.list(caller) if info.error is None]
        if not 0 < len(names) <= _MOST_AGENTS:
            raise Invalid(
                f"Name 1 to {_MOST_AGENTS} `agents`; there are {len(names)}.", code="too_many_agents"
            )
        return names

    async def _follow(self, caller: Caller, run_id: str, turn: TextTurn) -> None:
        async for batch in self._ports.runs.follow(caller, run_id):
            for stamped in batch:
                turn.take(stamped)
        turn.close()

    def routes(self) -> list[Entry]:
        """Return the table."""
        id_ = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
        told = {"results": [{"agent": "sales", "session_id": id_, "response": "Hello."},
                            {"agent": "support", "session_id": id_, "error": "The agent failed"}]}  # fmt: skip
        return [
            Entry(method="POST", path="/multi-agent", endpoint=self.ask, name="patterns_multi_agent",
                  summary="Ask several agents at once",
                  docs={"responses": {200: answer(told, "What each said."), **problems(404, 415)}}),
        ]  # fmt: skip


def _result(name: str, begun: Started | LandlineError, turn: TextTurn) -> dict[str, Any]:
    if not isinstance(begun, Started):
        return {"agent": name, "error": begun.detail}
    told: dict[str, Any] = {"agent": name, "session_id": begun.run.thread_id}
    assert turn.end is not None, "every log ends or waits"
    if turn.end.failure is not None:
        return {**told, "error": turn.end.failure.error}
    return {**told, "response": turn.end.text}


def _indexed(seen: int, dropped: set[str]) -> TextFrames:
    return TextFrames(Indexed(seen=seen, taken_back=len(dropped)), without=dropped)


def _refuse_others(request: Request) -> None:
    """A parameter that would start something is refused: a GET must not, since any page can send one."""
    if unknown := set(request.query_params) - {"session_id"}:
        raise Invalid(
            f"GET /stream takes session_id only, not {min(unknown)[:50]!r}: it listens. "
            "Ask with POST /chat or POST /stream-chat.",
            code="invalid_request",
        )
