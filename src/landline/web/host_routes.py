"""Routes of the host app that faces may offer beside the agents (FACE-11): what a face sees of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request

__all__ = ["HostAnswer", "HostRoute", "HostRoutes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HostRoute:
    """A route as something to call: `parameters` is the JSON schema of an object, `changes` whether it may write."""

    name: str
    title: str | None
    description: str | None
    parameters: Mapping[str, Any]
    changes: bool
    repeatable: bool
    output_schema: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class HostAnswer:
    """What the route answered; `data` is its JSON where `is_json`."""

    status: int
    media_type: str
    body: bytes
    is_json: bool = False
    data: Any = None


class HostRoutes(Protocol):
    """The routes a host app chose to export."""

    def list(self) -> Sequence[HostRoute]:
        """Return the routes; the same for every caller, as the host itself refuses those who may not."""
        ...

    async def call(self, request: Request, name: str, arguments: Mapping[str, Any]) -> HostAnswer:
        """Call a route inside this process, with the credential headers of `request` and nothing else of it.

        Raises:
            NotFound: No route of this name is exported.
            Invalid: The arguments do not say what the route's path needs.
        """
        ...
