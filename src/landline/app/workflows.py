"""Workflows in FastAgency's manner: functions of a `ui` to tell and ask, each served as an agent by its name."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

from landline.adapters.plain import UI, AsyncUI
from landline.app.agents import agent
from landline.ports.adapter import AgentSpec

__all__ = ["UI", "AsyncUI", "Workflow", "workflow"]

Body = TypeVar("Body", bound=Callable[..., Any])


def workflow(
    *, name: str, description: str | None = None, **described: Any
) -> Callable[[Callable[..., Any]], AgentSpec]:
    """Describe a workflow: `@workflow(name="lesson", description="A lesson")` above `async def lesson(ui): ...`.

    The function takes `ui` and, if it likes, `params`: the entries of the message's JSON object, or `{"input": text}`
    for any other text; annotated with a pydantic model, a dataclass or a TypedDict the message must be JSON that fits it.
    An async function is given an `AsyncUI` and awaits its calls; a sync one is given a `UI` and runs in a thread.

    Returns:
        A decorator that gives the described agent, as `landline.agent` does; the function is its `agent`.

    Args:
        name: Letters, digits, `_` and `-`; unique in the server.
        description: What it is for; the function's docstring without it.
        described: Anything else that `landline.agent` takes, such as `starters` or `deadline_s`.

    Raises:
        TypeError: The function's first parameters are not `ui`, or `ui` and `params`.
        ValueError: The name is not url-safe.
    """

    def decorate(function: Callable[..., Any]) -> AgentSpec:
        return agent(_checked(function), name=name, description=description, **described)

    return decorate


class Workflow(Sequence[AgentSpec]):
    """Several workflows of one file, registered one by one; each is served as an agent of its own.

    wf = Workflow()

    @wf.register(name="lesson", description="A lesson between a teacher and a student")
    def lesson(ui: UI, params: dict[str, Any]) -> str: ...
    """

    def __init__(self) -> None:
        self._agents: dict[str, AgentSpec] = {}

    def register(self, name: str, description: str | None = None, **described: Any) -> Callable[[Body], Body]:
        """As `workflow`, but the decorated function stays what it is, so that another workflow may call it.

        Raises:
            TypeError: The function's first parameters are not `ui`, or `ui` and `params`.
            ValueError: The name is taken, or not url-safe.
        """

        def decorate(function: Body) -> Body:
            if name in self._agents:
                raise ValueError(f"two workflows are named {name!r}")
            self._agents[name] = agent(_checked(function), name=name, description=description, **described)
            return function

        return decorate

    @property
    def names(self) -> list[str]:
        """The workflows' names, in the order they were registered."""
        return list(self._agents)

    def get_description(self, name: str) -> str | None:
        """Return what was said of a workflow. Raises KeyError."""
        return self._agents[name].description

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[AgentSpec]:
        return iter(self._agents.values())

    @overload
    def __getitem__(self, index: int) -> AgentSpec: ...
    @overload
    def __getitem__(self, index: slice) -> list[AgentSpec]: ...
    def __getitem__(self, index: int | slice) -> AgentSpec | list[AgentSpec]:
        return list(self._agents.values())[index]


def _checked(function: Body) -> Body:
    """Refuse where it is written what would be called with something else than a `ui`."""
    parameters = list(inspect.signature(function).parameters.values())
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    if not parameters or parameters[0].name != "ui" or needed not in (["ui"], ["ui", "params"]):
        raise TypeError(f"a workflow takes (ui) or (ui, params), and {function!r} does not")
    return function
