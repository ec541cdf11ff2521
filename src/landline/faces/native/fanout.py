"""Fan-out over REST (RUN-11): several agents at one input, each in a run of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.native import decode, documents, encode
from landline.faces.native.params import IdempotencyParam
from landline.faces.native.turn import PREFIX, to_the_end
from landline.faces.native.wire import FanoutBody
from landline.model.callers import Caller
from landline.model.errors import ErrorInfo, LandlineError
from landline.model.runs import Run
from landline.ports.routing import Fanout
from landline.ports.runs import Started
from landline.web.caller import CallerOf, with_contexts
from landline.web.face import FacePorts
from landline.web.route import Entry, requires
from landline.web.waiting import until_gone

__all__ = ["FanoutRoutes"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One agent's part: its run, which tells its result or failure, or why no run of it was stored."""

    agent: str
    run: Run | None = None
    error: ErrorInfo | None = None


class FanoutRoutes:
    """The handler, and the table that says where it is."""

    def __init__(self, ports: FacePorts, fanout: Fanout) -> None:
        self._ports, self._fanout = ports, fanout

    @requires("runs:write")
    async def start(
        self, request: Request, body: FanoutBody, caller: CallerOf, key: IdempotencyParam = None
    ) -> Response:
        """Start one run for each agent, each in a thread of its own; `wait` answers when all ended or wait themselves."""
        idempotency = (
            decode.idempotency(key, route="POST /fanout", body=await request.json()) if key else None
        )
        wanted = [replace(each, idempotency=idempotency) for each in decode.fanout(body)]
        started = await self._fanout.start(caller, await with_contexts(self._ports, caller, request, wanted))
        runs = [one.run for one in started if isinstance(one, Started)]
        headers: dict[str, str] = {}
        if any(isinstance(one, Started) and one.replayed for one in started):
            headers["idempotency-replayed"] = "true"
        status = 202
        if body.mode == "wait":
            follows = self._all_to_the_end(caller, runs)
            match await until_gone(follows, request=request, door=self._ports.door):
                case "gone":
                    if body.on_disconnect == "cancel":
                        await asyncio.gather(*(self._ports.runs.cancel(caller, run.id) for run in runs))
                    return Response(status_code=499)  # nobody reads it
                case "drained":
                    headers["retry-after"] = "2"
                case "done":
                    status = 200
        told = [
            await self._outcome(caller, agent, one) for agent, one in zip(body.agents, started, strict=True)
        ]
        return encode.json_response({"items": told}, status=status, headers=headers)

    async def _all_to_the_end(self, caller: Caller, runs: Sequence[Run]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for run in runs:
                tasks.create_task(to_the_end(self._ports, caller, run.id))

    async def _outcome(self, caller: Caller, agent: str, one: Started | LandlineError) -> Outcome:
        if isinstance(one, LandlineError):
            return Outcome(agent=agent, error=one.info)
        return Outcome(agent=agent, run=await self._ports.runs.get(caller, one.run.id))

    def routes(self) -> list[Entry]:
        """Return the table."""
        example: dict[str, Any] = {"items": [{"agent": "notes", "run": documents.RUN}]}
        done = documents.answer("Fanout", example, "mode wait: every run, also those that failed or wait.")
        begun = "mode background, or a wait that the server's stop cut short: the runs as accepted."
        return [
            Entry(method="POST", path=f"{PREFIX}/fanout", endpoint=self.start, name="start_fanout",
                  summary="Ask several agents at once",
                  docs={"responses": {200: done, 202: {**done, "description": begun},
                                      **documents.problems(404, 409, 415, 429, 507)}}),
        ]  # fmt: skip
