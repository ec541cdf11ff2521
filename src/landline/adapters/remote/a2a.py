"""A turn of an A2A agent: one task there, followed to its end over cut connections and questions.

A task that is known is found again after a crash. A message whose answer was lost before the task's id came may have
begun a task that nobody knows: then a human is asked whether to send it again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import httpx
import msgspec
from msgspec import Raw

from landline.adapters.remote.a2a_said import Said
from landline.adapters.remote.a2a_wire import Card, News, card_of, message, news_of, result_of, rpc, said_ids
from landline.adapters.remote.failures import broken, failed
from landline.adapters.remote.peer import Peer, open_peer
from landline.model.errors import AgentFailed, LandlineError
from landline.model.events import Custom, Event
from landline.model.messages import Native, text_of
from landline.ports.adapter import Ask, Finished, Turn
from landline.ports.egress import Egress

__all__ = ["run_turn"]

FRAMEWORK = "remote_a2a"
VERSION = 1
KEY = "remote.task"
CARD = "/.well-known/agent-card.json"
POLL_S = 0.5
TRIES = 60
CANCEL_S = 0.8
_AGAIN = frozenset({"remote_unreachable", "remote_truncated", "remote_timeout", "remote_unavailable"})
_LOST = "The server stopped while the message was on its way to the remote agent. It may or may not have arrived. Send it again?"
_ENDS = {
    "failed": "unavailable",
    "rejected": "refused",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "auth_required": "auth",
}


class _Task(msgspec.Struct):
    """What is stored: `asked` counts questions, `open` is the prompt of the one that waits, `messages` counts
    the complete ones before the answer, `output` is the answer once it has `ended`.
    """

    id: str = ""
    context: str = ""
    shown: dict[str, str] = {}
    asked: int = 0
    open: str | None = None
    again: int = 0
    messages: int = 0
    ended: bool = False
    output: Any = None


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as the next one finds it."""

    url: str
    context: str
    user: str
    assistant: str


async def run_turn(turn: Turn, egress: Egress) -> AsyncIterator[Event | Finished]:
    """Yield the turn's events, then its `Finished`; see `ports.adapter.Adapter.run`."""
    await turn.line.before_model(elsewhere=True)
    async with open_peer(turn.agent, egress) as peer:
        run = _TaskRun(turn, peer)
        try:
            async with aclosing(run.play()) as items:
                async for item in items:
                    yield item
        except (asyncio.CancelledError, GeneratorExit):
            if turn.line.cancelled:
                await run.cancel()
            raise
        except (httpx.HTTPError, LandlineError) as error:
            raise broken(error) from error


class _TaskRun:
    """The task over there."""

    def __init__(self, turn: Turn, peer: Peer) -> None:
        self._turn, self._line, self._peer = turn, turn.line, peer
        stored = turn.line.recorded(KEY)
        self._task = msgspec.json.decode(stored, type=_Task) if stored else _Task(context=_context(turn))
        self._said = Said(self._task.shown)
        self._card: Card | None = None
        self._calls = 0

    def _keep(self) -> None:
        self._line.record(KEY, msgspec.json.encode(self._task))

    async def play(self) -> AsyncGenerator[Event | Finished]:
        """Follow the task to its end."""
        task = self._task
        if task.ended:
            for event in self._say_again():
                yield event
            yield self._finished()
            return
        news = self._take_up() if task.id else self._send_first()
        while True:
            last: News | None = None
            async with aclosing(news) as heard:
                async for last in heard:
                    for event in self._told(last):
                        yield event
                    if _settled(last):
                        break
            for item in self._turn_on(last):
                yield item
                if isinstance(item, Finished):
                    return
            if task.open is None:
                await self._peer.pause(POLL_S)
            news = self._take_up()

    def _turn_on(self, last: News | None) -> list[Event | Finished]:
        """Return what the state in which the agent stopped talking means: an end, a question, or nothing yet."""
        if last is None:
            raise failed("invalid_response")
        if last.state in _ENDS:
            raise failed(_ENDS[last.state])
        if last.kind == "message" or last.state == "completed":
            ending = self._end(last)
            self._keep()
            return ending
        return self._wait(last) if last.state == "input_required" else []

    def _told(self, news: News) -> list[Event]:
        events: list[Event] = []
        if news.task and not self._task.id:
            self._task.id, self._task.context = news.task, news.context or self._task.context
            self._keep()
            # An event carries the record to the disk before anything else is known of the task.
            events.append(Custom(name="remote.task", data={"state": news.state or "submitted"}))
        for artifact in [*news.artifacts, *([news] if news.kind == "artifact" else [])]:
            events += self._said.take(artifact)
        if news.state == "working" and news.text and news.kind == "status":
            events.append(Custom(name="remote.status", data={"text": news.text}))
        return events

    def _end(self, last: News) -> list[Event | Finished]:
        said, task = self._said, self._task
        events: list[Event | Finished] = []
        structured = said.data
        if last.kind == "message":
            structured = last.data[-1] if last.data else None
            task.context = last.context or task.context
        if not said.text and structured is None and not said.shown:
            events += said.say(last.text)
        task.ended, task.output = True, structured if structured is not None and not said.text else said.text
        events += said.complete(output=structured if not said.text else None)
        return [*events, self._finished()]

    def _finished(self) -> Finished:
        output = self._task.output
        turn = _Turn(
            url=self._turn.agent.base,
            context=self._task.context,
            user=text_of(self._turn.input),
            assistant=output if isinstance(output, str) else msgspec.json.encode(output).decode(),
        )
        native = Native(framework=FRAMEWORK, version=VERSION, messages=Raw(msgspec.json.encode([turn])))
        return Finished(output=output, native=native)

    def _say_again(self) -> list[Event]:
        """Return the answer's message unless readers have it whole."""
        emitted = self._line.emitted_text(self._task.messages)
        if emitted is not None and emitted[2]:
            return []
        output = self._task.output
        if isinstance(output, str):
            return [*self._said.say(output), *self._said.complete()]
        return list(self._said.complete(output=output))

    def _wait(self, last: News) -> list[Event | Finished]:
        """Note the question; it is asked when the task is taken up, now or in a later segment."""
        self._said.settle()
        self._task.shown = dict(self._said.shown)
        self._task.asked += 1
        self._task.messages += self._said.speaking
        self._task.open = last.text or "The remote agent needs an input to go on."
        self._keep()
        return list(self._said.complete())

    async def _send_first(self) -> AsyncGenerator[News]:
        task = self._task
        if self._turn.attempt > 1:
            # An earlier segment may have sent it, and no task is known.
            key = f"remote:again:{task.again}"
            (answer,) = await self._line.ask(Ask(key=key, kind="approval", prompt=_LOST))
            if not answer.approve:
                raise failed("lost")
            task.again += 1
            self._keep()
        text = text_of(self._turn.input)
        async with aclosing(self._send(text, number=0)) as heard:
            async for news in heard:
                yield news

    async def _take_up(self) -> AsyncGenerator[News]:
        """Go on with a known task: pass an answer on unless it arrived before, then follow.

        Raises:
            Suspended: The answer is not given yet.
        """
        task = self._task
        if task.open is not None:
            ask = Ask(key=f"remote:input:{task.asked}", kind="input", prompt=task.open)
            (answer,) = await self._line.ask(ask)
            result = await self._call("get", {"id": task.id})
            if news_of(result).state == "input_required" and self._message_id(task.asked) not in said_ids(
                result
            ):
                task.open = None
                async with aclosing(self._send(str(answer.value or ""), number=task.asked)) as heard:
                    async for news in heard:
                        yield news
                return
            task.open = None
        async with aclosing(self._follow()) as heard:
            async for news in heard:
                yield news

    def _message_id(self, number: int) -> str:
        again = f"-{self._task.again}" if self._task.again else ""
        return f"{self._turn.run_id}-{number}{again}"

    async def _send(self, text: str, *, number: int) -> AsyncGenerator[News]:
        card, task = await self._found(), self._task
        sent = message(card, text, id_=self._message_id(number), task=task.id, context=task.context)
        if not card.streaming:
            yield news_of(await self._call("send", {"message": sent}))
            return
        try:
            async with aclosing(self._stream("stream", {"message": sent})) as heard:
                async for news in heard:
                    yield news
        except (httpx.HTTPError, AgentFailed) as error:
            # What the task did meanwhile is asked for; without a task there is nothing to ask for.
            if not task.id or broken(error).code not in _AGAIN:
                raise

    async def _follow(self) -> AsyncGenerator[News]:
        """Yield the task as it is now.

        Not a new subscription: it may tell once more what the task's state has already, and nothing says so.
        """
        for tries in range(TRIES):
            try:
                yield news_of(await self._call("get", {"id": self._task.id}))
            except (httpx.HTTPError, LandlineError) as error:
                code = broken(error).code
                if code == "remote_unsupported":
                    return
                if code not in _AGAIN or tries == TRIES - 1:
                    raise
            else:
                return
            await self._peer.pause(POLL_S)

    async def _found(self) -> Card:
        if self._card is None:
            answer = await self._peer.ask("GET", CARD)
            self._card = card_of(answer.check().object(), origin=self._turn.agent.origin)
        return self._card

    async def _call(self, verb: str, params: dict[str, Any]) -> dict[str, Any]:
        card = await self._found()
        answer = await self._peer.ask(
            "POST", card.url, body=self._rpc(card, verb, params), headers=_version(card)
        )
        return result_of(answer.check().json())

    async def _stream(self, verb: str, params: dict[str, Any]) -> AsyncGenerator[News]:
        card = await self._found()
        body = self._rpc(card, verb, params)
        async with self._peer.stream("POST", card.url, body=body, headers=_version(card)) as stream:
            if not stream.is_events:
                # An error, or an agent that answers in one piece.
                yield news_of(result_of((await stream.whole()).check().json()))
                return
            async with aclosing(cast("Any", stream.frames())) as frames:
                async for frame in frames:
                    try:
                        yield news_of(result_of(msgspec.json.decode(frame.data)))
                    except msgspec.DecodeError:
                        raise failed("invalid_response") from None

    def _rpc(self, card: Card, verb: str, params: dict[str, Any]) -> dict[str, Any]:
        self._calls += 1
        return rpc(card, verb, params, id_=f"{self._turn.run_id}-{self._calls}")

    async def cancel(self) -> None:
        """Cancel the task there, if it is known."""
        if not self._task.id:
            return
        try:
            async with asyncio.timeout(CANCEL_S):
                await self._call("cancel", {"id": self._task.id})
        except (TimeoutError, httpx.HTTPError, LandlineError):
            return  # our own run ends as cancelled whether or not the other server hears of it


def _settled(news: News) -> bool:
    """Tell whether the agent says nothing more by itself."""
    return news.kind == "message" or news.state in _ENDS or news.state in ("completed", "input_required")


def _version(card: Card) -> dict[str, str]:
    return {} if card.legacy else {"a2a-version": "1.0"}


def _context(turn: Turn) -> str:
    """Return the context of the last turn on this branch that this agent answered, '' for a new one."""
    for entry in reversed(turn.history):
        native = entry.native
        if native is not None and (native.framework, native.version) == (FRAMEWORK, VERSION):
            (before,) = msgspec.json.decode(bytes(native.messages), type=list[_Turn])
            if before.url == turn.agent.base:
                return before.context
    return ""
