"""A host app's dependency as the run's context: solved with the request, held open to the end of the first segment."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Depends
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from starlette.exceptions import HTTPException
from starlette.requests import Request

from landline.model.callers import Caller
from landline.model.errors import Forbidden, Invalid, LandlineError, NotFound, Unauthenticated, Unavailable
from landline.ports.runs import HeldContext

__all__ = ["HostContext"]

_REFUSALS: dict[int, type[LandlineError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: Unavailable,
    503: Unavailable,
}


class HostContext:
    """Solves `dependency` for a request as FastAPI would for one of the host's own routes."""

    def __init__(self, dependency: Callable[..., Any]) -> None:
        def takes(value: Any = Depends(dependency)) -> Any:
            return value

        self._dependant = get_dependant(path="", call=takes)

    async def __call__(self, request: Request, caller: Caller) -> HeldContext:
        """Return the dependency's value, held open until it is released.

        Raises:
            LandlineError: The dependency refused, in its own words, or the request lacks what it needs.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        released = asyncio.Event()
        # One task opens and closes: what a dependency enters (a cancel scope, say) must be left where it was entered.
        holder = loop.create_task(self._hold(request, opened, released))

        async def release() -> None:
            released.set()
            await holder

        try:
            return HeldContext(value=await opened, release=release)
        except HTTPException as error:
            refusal = _REFUSALS.get(error.status_code, Invalid)
            raise refusal(str(error.detail), code="refused_by_host") from None
        except asyncio.CancelledError:
            released.set()
            raise

    async def _hold(self, request: Request, opened: asyncio.Future[Any], released: asyncio.Event) -> None:
        async with AsyncExitStack() as held:
            # FastAPI looks for these stacks in the scope; here they outlive the request.
            scope = {**request.scope, "fastapi_inner_astack": held, "fastapi_function_astack": held}
            try:
                solved = await solve_dependencies(
                    request=Request(scope, request.receive),
                    dependant=self._dependant,
                    async_exit_stack=held,
                    embed_body_fields=False,
                )
            # Whatever the host's code raises is told to the request, which waits.
            except BaseException as error:
                if not opened.done():
                    opened.set_exception(_told(error))
                if isinstance(error, Exception | SystemExit):
                    return
                raise
            if opened.done():
                return
            if solved.errors:
                opened.set_exception(
                    Invalid("The request lacks what the agent's context needs.", code="context_missing")
                )
                return
            opened.set_result(solved.values["value"])
            await released.wait()


def _told(error: BaseException) -> Exception:
    """Return the error as one that fails the request alone: a dependency that exits must not end the server."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    told = RuntimeError(f"the context dependency raised {type(error).__name__}")
    told.__cause__ = error
    return told
