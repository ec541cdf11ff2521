"""A turn of an agent on another Landline: its log is read into ours, event by event, each once (ADP-4).

The run there is started under a key made of our run's id, so that whoever takes our run up again finds the same run. What
was read is kept as a cursor beside our events, in the same commit: after a crash reading goes on at the next event there.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from landline.adapters.remote.failures import broken, failed, refused
from landline.adapters.remote.native_cursor import Cursor
from landline.adapters.remote.native_events import Translation
from landline.adapters.remote.native_input import key_of, native_of, start_body
from landline.adapters.remote.native_questions import answers_of, asks_of, still_open
from landline.adapters.remote.peer import Peer, Stream, open_peer
from landline.model.errors import AgentFailed, LandlineError
from landline.model.events import Event, RunCancelled, RunCompleted, RunFailed, RunWaiting, Unknown
from landline.ports.adapter import Finished, Turn
from landline.ports.egress import Egress

__all__ = ["run_turn"]

API = "/api/v1"
PAUSE_S = 0.5
CONTACT_TRIES = 6
"""How often a server that never answered is tried: three seconds."""
RESUME_TRIES = 120
"""How often a server that was heard before is tried again: a minute, longer than a restart takes."""
CANCEL_S = 0.8
_AGAIN = frozenset({429, 502, 503, 504})


async def run_turn(turn: Turn, egress: Egress) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    await turn.line.before_model(elsewhere=True)
    async with open_peer(turn.agent, egress) as peer:
        run = _RemoteRun(turn, peer)
        try:
            async with aclosing(run.play()) as items:
                async for item in items:
                    yield item
        except (asyncio.CancelledError, GeneratorExit):
            # A server that stops leaves the run there to its next start; only a cancel is passed on.
            if turn.line.cancelled:
                await run.cancel()
            raise


class _RemoteRun:
    """The run over there, read from where the last segment stopped."""

    def __init__(self, turn: Turn, peer: Peer) -> None:
        self._turn, self._peer = turn, peer
        self._cursor = Cursor.of(turn.line)
        self._events = Translation(self._cursor, turn.line)
        self._tries = 0
        self._body: dict[str, Any] | None = None

    async def play(self) -> AsyncGenerator[Event | Finished]:
        """Read the log there to its end, through cut connections and questions."""
        while True:
            if self._cursor.waiting is not None:
                await self._answer()
            async with aclosing(self._connection()) as items:
                async for item in items:
                    yield item
                    if isinstance(item, Finished):
                        return
            if self._cursor.waiting is None:
                await self._peer.pause(PAUSE_S)

    async def _connection(self) -> AsyncGenerator[Event | Finished]:
        """Read one connection until it ends, whole or cut."""
        self._tries += 1
        try:
            async with self._open() as stream:
                if stream.status in _AGAIN:
                    self._patience(refused(stream.status, stream.headers))
                    return
                await self._check(stream)
                async with aclosing(stream.frames()) as frames:
                    async for frame in frames:
                        if frame.event in ("stream.closing", "error"):
                            break
                        async with aclosing(self._take(frame.data)) as items:
                            async for item in items:
                                yield item
                        if self._cursor.waiting is not None:
                            return
                self._patience(failed("truncated"))
        except httpx.HTTPError as error:
            self._patience(broken(error))
        except LandlineError as error:
            raise broken(error) from error

    def _open(self) -> Any:
        cursor = self._cursor
        if cursor.run:
            path = f"{API}/runs/{quote(cursor.run, safe='')}/events"
            return self._peer.stream("GET", path, headers={"last-event-id": str(cursor.seq)})
        return _Start(self)

    async def body(self) -> dict[str, Any]:
        """Return the request that starts the run; the same each time, or its key would not fit."""
        if self._body is None:
            self._body = await start_body(self._turn, self._peer)
        return self._body

    def start(self, mode: str, body: dict[str, Any]) -> Any:
        """Open the request that starts the run, or finds it when it was started before."""
        headers = {"idempotency-key": key_of(self._turn)}
        return self._peer.stream("POST", f"{API}/runs", body={**body, "mode": mode}, headers=headers)

    async def _check(self, stream: Stream) -> None:
        if stream.is_events:
            return
        if stream.status == 204:
            # It ended before our cursor, which no end has passed: that is another log.
            raise failed("invalid_response")
        answer = await stream.whole()
        if stream.status == 409:
            raise failed("busy" if answer.problem_code() == "thread_busy" else "refused")
        if stream.status == 410:
            raise failed("lost")
        answer.check()
        raise failed("invalid_response")

    def _patience(self, error: Exception) -> None:
        """Let another try be made, or give up with `error`."""
        if self._tries >= (RESUME_TRIES if self._cursor.run else CONTACT_TRIES):
            raise error

    async def _take(self, data: str) -> AsyncGenerator[Event | Finished]:
        place = self._cursor.take(data)
        if place is None:
            return
        self._tries = 0
        match event := place.event:
            case RunWaiting(questions=questions):
                self._cursor.wait(asks_of(questions, at=place.at), seq=place.seq)
            case RunCompleted():
                yield await self._finish(event)
            case RunFailed(error=error):
                raise AgentFailed(error.message[:500], code=error.code[:64])
            case RunCancelled():
                raise failed("cancelled")
            case Unknown() | Event():
                for told in self._events.of(event, place):
                    yield told

    async def _finish(self, ended: RunCompleted) -> Finished:
        if self._events.speaking:
            raise failed("invalid_response")
        native = native_of(self._turn, self._cursor, head=ended.message_id, said=self._events.last_text)
        return Finished(output=ended.output, native=native, model=await self._model())

    async def _model(self) -> str | None:
        """Return the model's name, which only the run's own page tells; not worth a failure."""
        try:
            answer = await self._peer.ask("GET", f"{API}/runs/{quote(self._cursor.run, safe='')}")
            model = answer.check().object().get("model")
        except LandlineError:
            return None
        return model if isinstance(model, str) else None

    async def _answer(self) -> None:
        """Pass the humans' answers on; one that was passed on before is not an answer too many.

        Raises:
            Suspended: Not all are given.
        """
        waiting = self._cursor.waiting or []
        # They are tools of the agent over there, under the rules of the server over there.
        self._turn.line.knows(*(asked.tool for asked in waiting if asked.tool is not None))
        given = answers_of(waiting, await self._turn.line.ask(*(asked.ask() for asked in waiting)))
        run = f"{API}/runs/{quote(self._cursor.run, safe='')}"
        if not given:
            return self._passed_on({}, given)
        while True:
            self._tries += 1
            try:
                answer = await self._peer.ask("POST", f"{run}/answers", body={"answers": given})
                if answer.status == 409:
                    answer = await self._peer.ask("GET", run)
                if answer.status in _AGAIN:
                    self._patience(refused(answer.status, answer.headers))
                else:
                    return self._passed_on(answer.check().object(), given)
            except AgentFailed as error:
                if error.code not in ("remote_unreachable", "remote_truncated", "remote_timeout"):
                    raise
                self._patience(error)
            await self._peer.pause(PAUSE_S)

    def _passed_on(self, run: dict[str, Any], given: list[dict[str, Any]]) -> None:
        if still_open(run, given):
            raise AgentFailed(
                "The remote agent needs the approval of more callers than this server is.",
                code="remote_approvers",
            )
        self._tries = 0
        self._cursor.go_on()

    async def cancel(self) -> None:
        """Stop the run there, and read what it said until it stopped: the partial answer is kept whole."""
        try:
            async with asyncio.timeout(CANCEL_S):
                if not self._cursor.run:
                    # The answer to our start was not there yet: the key finds out what was started.
                    async with self.start("background", await self.body()) as stream:
                        self._cursor.run = str((await stream.whole()).check().object()["id"])
                run = f"{API}/runs/{quote(self._cursor.run, safe='')}"
                await self._peer.ask("POST", f"{run}/cancel")
                page = await self._peer.ask("GET", f"{run}/events?after={self._cursor.seq}&limit=100")
                await self._last_words(page.check().object().get("items", []))
        except (TimeoutError, httpx.HTTPError, LandlineError, KeyError):
            return  # our own run ends as cancelled whether or not the other server hears of it

    async def _last_words(self, items: list[Any]) -> None:
        line = self._turn.line
        for item in items:
            place = self._cursor.take(msgspec.json.encode(item).decode())
            if place is None:
                continue
            if isinstance(place.event, RunCancelled):
                for call_id in place.event.still_finishing:
                    line.finishing(call_id)
            elif not isinstance(place.event, RunWaiting | RunCompleted | RunFailed):
                await line.emit(*self._events.of(place.event, place))


class _Start:
    """The starting request as a context: its body may have to upload files first."""

    def __init__(self, run: _RemoteRun) -> None:
        self._run = run
        self._opened: Any = None

    async def __aenter__(self) -> Stream:
        self._opened = self._run.start("stream", await self._run.body())
        return await self._opened.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)
