"""A host app's dependency as the run's context: solved with the request, held open to the end of the first segment."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Depends
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from starlette.requests import Request

from landline.model.callers import Caller
from landline.model.errors import Invalid
from landline.ports.runs import HeldContext

__all__ = ["HostContext"]


class HostContext:
    """Solves `dependency` for a request as FastAPI would for one of the host's own routes."""

    def __init__(self, dependency: Callable[..., Any]) -> None:
        def takes(value: Any = Depends(dependency)) -> Any:
            return value

        self._dependant = get_dependant(path="", call=takes)

    async def __call__(self, request: Request, caller: Caller) -> HeldContext:
        """Return the dependency's value, held open.

        Raises:
            Invalid: The request lacks what the dependency needs; an HTTPException of the dependency passes as it is.
        """
        held = AsyncExitStack()
        try:
            # FastAPI keeps the exit stacks of generator dependencies in the scope; these outlive the request.
            scope = {**request.scope, "fastapi_inner_astack": held, "fastapi_function_astack": held}
            solved = await solve_dependencies(
                request=Request(scope, request.receive),
                dependant=self._dependant,
                async_exit_stack=held,
                embed_body_fields=False,
            )
        except BaseException:
            await held.aclose()
            raise
        if solved.errors:
            await held.aclose()
            raise Invalid("The request lacks what the agent's context needs.", code="context_missing")
        return HeldContext(value=solved.values["value"], release=held.aclose)
