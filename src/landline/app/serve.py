"""Serving over HTTP with a drain that is kept (REL-4): uvicorn, with our own way to stop.

A stop has three phases: not ready and no new runs at once; running runs get the grace time; then every stream is
closed with a retry hint, what still runs is left for the next start, and the process ends.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn

from landline.app.build import Landline
from landline.app.collecting import settle
from landline.app.connections import MAX_SOCKET_MESSAGE, HttpWire, SocketWire, look
from landline.telemetry.logs import configure

__all__ = ["LandlineServer", "serve"]

logger = logging.getLogger(__name__)

CLOSE_S = 1.0
"""What connections get to take their last bytes."""

LEAVE_S = 0.3
"""What tasks and threads that are left get to end, once everything is written and closed."""

POLL_S = 0.05
LOOK_TICKS = 10
"""Connections are looked at once a second."""


class LandlineServer(uvicorn.Server):
    """A uvicorn server that stops in order."""

    def __init__(self, config: uvicorn.Config, instance: Landline, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._instance = instance
        self._started = started

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal ends the grace time. The signal is not raised again: a stop is no failure."""
        if self.should_exit:
            self.force_exit = True
        else:
            self._instance.core.drain()
            logger.info("stopping on %s", signal.Signals(sig).name)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell whoever asked to be told."""
        await super().startup(sockets)
        self._started()

    async def main_loop(self) -> None:
        """Serve until a signal, then give running runs their grace time while reads go on."""
        await super().main_loop()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._instance.settings.grace_s
        while (  # noqa: ASYNC110 - the signal handler sets force_exit from outside the loop
            len(self._instance.core.driver) and loop.time() < end and not self.force_exit
        ):
            await asyncio.sleep(POLL_S)
        self._instance.drain.start()
        self.force_exit = False

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections: late clients, dead peers, readers that do not read (TRU-12)."""
        if counter % LOOK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            look(self.server_state.connections, now, self._instance.settings.slow_reader_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close connections, cutting those that do not end in time, then the engine and the database."""
        closing = asyncio.get_running_loop().call_later(CLOSE_S, self._cut)
        try:
            await super().shutdown(sockets)
            if self.force_exit:  # a signal meanwhile ends the waiting for connections, not the order
                await self.lifespan.shutdown()
        finally:
            closing.cancel()
        if not await _ended_rest():
            _leave(0)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()


def serve(instance: Landline, *, started: Callable[[], None] = settle) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; `started` is called once, before the first request."""
    held = instance.settings
    configure(level=held.log_level, form=held.log_format)
    config = uvicorn.Config(
        instance.app,
        host=held.host,
        port=held.port,
        http=HttpWire,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws=SocketWire,
        # What is sent is small and often secret: not worth a bomb's way in, nor the memory of a window each.
        ws_per_message_deflate=False,
        ws_max_size=MAX_SOCKET_MESSAGE,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=CLOSE_S,  # pyright: ignore[reportArgumentType] - seconds, passed on to wait_for
    )
    server = LandlineServer(config, instance, started)
    server.run()
    code = 0 if server.started else 1
    if not _joined_threads():
        _leave(code)
    return code


async def _ended_rest() -> bool:
    """End what is left in the loop: whether it is ended.

    An agent may swallow its cancel or sit in a thread; the loop and the interpreter would wait for it for ever.
    """
    loop = asyncio.get_running_loop()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    ending = loop.create_task(loop.shutdown_default_executor())
    _, remaining = await asyncio.wait({*left, ending}, timeout=LEAVE_S)
    return not remaining


def _joined_threads() -> bool:
    """Wait for threads that the interpreter would wait for, of an agent's own executor say: whether they have ended."""
    end = time.monotonic() + LEAVE_S
    spared = {threading.current_thread(), threading.main_thread()}
    left = [thread for thread in threading.enumerate() if not thread.daemon and thread not in spared]
    for thread in left:
        thread.join(max(0.0, end - time.monotonic()))
    return not any(thread.is_alive() for thread in left)


def _leave(code: int) -> NoReturn:
    """End the process now; the database is closed and the runs that are left are the next start's."""
    logger.warning("leaving agents behind that do not stop; their runs are taken up at the next start")
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
