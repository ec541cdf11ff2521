"""Which run belongs to which call that is still going on, so that a client that takes a call back stops its run."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult

from landline.faces.mcp.calls import Call, Context, caller_of, request_of
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.ports.runs import Runs

__all__ = ["GONE", "RUN", "Going"]

GONE: Final = "mcp_gone"
"""Set in a request's state once its client has closed the connection."""

RUN: Final = "mcp_run"
"""In a request's state: the id of the run that it follows."""

_MOST: Final = 4096

_logger = logging.getLogger("landline.faces.mcp")

_Key = tuple[str, str]


class Going:
    """The calls that follow a run."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._calls: OrderedDict[_Key, tuple[Caller, str]] = OrderedDict()
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Be able to cancel runs of calls that are on their way out; on leaving, what was begun has ended."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None

    @contextmanager
    def on(self, call: Call, run_id: str) -> Generator[None]:
        """Be following a run. A cancelled call is kept until its notification, which comes after, has been seen."""
        call.request.scope["state"][RUN] = run_id
        key = _key(call.context, call.context.request_id)
        if key is not None:
            self._calls[key] = (call.caller, run_id)
            if len(self._calls) > _MOST:
                self._calls.popitem(last=False)
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:  # whatever ended it, the call is over; it is raised on
            self._forget(key)
            raise
        self._forget(key)

    def left(self, call: Call, run_id: str) -> None:
        """Cancel the run of a stateless call whose client closed its response: that is how this wire says cancel."""
        if call.modern and call.request.scope["state"].get(GONE):
            self._cancel(call.caller, run_id)

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """See every message, as a middleware of the protocol's server: cancel the run of a call that is taken back."""
        if ctx.method == "notifications/cancelled":
            key = _key(ctx, (ctx.params or {}).get("requestId"))
            found = self._calls.get(key) if key else None
            if key and found and found[0] == caller_of(ctx):
                del self._calls[key]
                self._cancel(*found)
        return await call_next(ctx)

    def _cancel(self, caller: Caller, run_id: str) -> None:
        # In a task of its own: who calls this is being cancelled, or must answer at once.
        if self._tasks is not None:
            self._tasks.create_task(self._surely_cancel(caller, run_id))

    async def _surely_cancel(self, caller: Caller, run_id: str) -> None:
        try:
            await self._runs.cancel(caller, run_id)
        except LandlineError as error:
            _logger.warning("run %s of a call that was taken back could not be cancelled: %s", run_id, error)
        except Exception:  # a failure here must not end the other calls of the group
            _logger.exception("run %s of a call that was taken back could not be cancelled", run_id)

    def _forget(self, key: _Key | None) -> None:
        if key is not None:
            self._calls.pop(key, None)


def _key(context: Context, request_id: Any) -> _Key | None:
    """Return what names a call on the older wire, where a later message can take it back."""
    session = request_of(context).headers.get("mcp-session-id")
    if session is None or not isinstance(request_id, str | int):
        return None
    return session, str(request_id)
