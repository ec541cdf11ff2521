"""The upstream as a running server: uvicorn in a thread of its own, and the view of it that tests take."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from landline.testing.upstream.app import App
from landline.testing.upstream.journal import Exchange, Journal
from landline.testing.upstream.plan import Defaults, Script
from landline.testing.upstream.request import Request

__all__ = ["ScriptedUpstream"]

_LOGGERS = ("uvicorn.error", "uvicorn.access")
_STOP_WITHIN_S = 5.0


class ScriptedUpstream:
    """An OpenAI-compatible model server on 127.0.0.1 that says what it is told, from `with` to its end.

    Its loop is its own thread's: a test may block, cancel or freeze its own without slowing the upstream.
    Leaving the block breaks off what is still streaming.

    Args:
        script: Replies by turn of each conversation, or a callable from request to reply; None for the echo.
        defaults: Pace and model name for replies that set none.
        port: 0 takes a free one.
        keep: How many requests are remembered; older ones are forgotten, also as `previous_response_id`.

    Raises:
        OSError: On entering: the port is taken.
    """

    def __init__(
        self, script: Script = None, *, defaults: Defaults | None = None, port: int = 0, keep: int = 10_000
    ) -> None:
        self._journal = Journal(keep)
        self._app = App(script, self._journal, defaults or Defaults())
        self._port = port
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=2048)
        self._port = listener.getsockname()[1]
        self._server = _Server(self._app, listener)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop()

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, `/v1` included."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def requests(self) -> list[Request]:
        """The model calls so far, in order of arrival; refused bodies are not among them."""
        return self._journal.requests

    @property
    def open_streams(self) -> int:
        """How many responses are under way right now, streamed or not."""
        return self._journal.open

    def exchange(self, request_index: int) -> Exchange:
        """A request with its outcome and the tokens sent so far.

        Raises:
            IndexError: No such request has come, or it is forgotten.
        """
        found = self._journal.exchange(request_index)
        if found is None:
            raise IndexError(f"no request {request_index}")
        return found

    async def wait_request(self, request_index: int, timeout_s: float = 5.0) -> Request:
        """Wait until that request has come in.

        Raises:
            TimeoutError: It has not, in that time.
        """
        if not await self._wait(lambda: self._journal.exchange(request_index) is not None, timeout_s):
            raise TimeoutError(f"request {request_index} has not come within {timeout_s} s")
        return self.exchange(request_index).request

    async def wait_disconnected(self, request_index: int, timeout_s: float = 1.0) -> Exchange:
        """Wait until the client has closed the connection of that request before its response ended.

        Raises:
            TimeoutError: The response is still open, or the request has not come, after that time.
            RuntimeError: The response ended in another way, so that it can no longer be disconnected.
        """

        def ended() -> bool:
            found = self._journal.exchange(request_index)
            return found is not None and found.outcome != "open"

        if not await self._wait(ended, timeout_s):
            raise TimeoutError(f"the client has not left request {request_index} within {timeout_s} s")
        exchange = self.exchange(request_index)
        if exchange.outcome != "disconnected":
            raise RuntimeError(f"request {request_index} ended: {exchange.outcome}")
        return exchange

    async def wait_idle(self, timeout_s: float = 5.0) -> None:
        """Wait until no response is under way.

        Raises:
            TimeoutError: One still is.
        """
        if not await self._wait(lambda: self._journal.open == 0, timeout_s):
            raise TimeoutError(f"{self.open_streams} responses are still open after {timeout_s} s")

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        # In a thread, since the news comes from one: the caller's loop may be of any kind.
        return await asyncio.to_thread(self._journal.wait, condition, timeout_s)


class _Server(uvicorn.Server):
    """uvicorn, started and stopped from another thread, without its ticking and its grace."""

    def __init__(self, app: App, listener: socket.socket) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        self._upstream = app
        self._listener = listener
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(_STOP_WITHIN_S) or self._loop is None:
            raise RuntimeError("the scripted upstream did not start")

    def stop(self) -> None:
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_WITHIN_S)
        if self._thread.is_alive():
            raise RuntimeError("the scripted upstream did not stop")

    def _run(self) -> None:
        quiet = _Quiet(threading.get_ident())
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(quiet)
        try:
            self.run(sockets=[self._listener])
        finally:
            for name in _LOGGERS:
                logging.getLogger(name).removeFilter(quiet)
            self._ready.set()

    async def main_loop(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._upstream.hang_up()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            _, slow = await asyncio.wait(tasks, timeout=1.0)
            for task in slow:
                task.cancel()
        await asyncio.sleep(0)  # closing transports say goodbye in the next round


class _Quiet(logging.Filter):
    """Drops what uvicorn logs in this server's thread, except errors that no fault explains.

    Levels and handlers stay as they are: they are global, and belong to the server under test.
    """

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        expected = record.levelno < logging.ERROR or "returned without" in record.getMessage()
        return not (record.thread == self._thread and expected)
