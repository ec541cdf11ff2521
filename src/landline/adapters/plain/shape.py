"""What can be known of a function without calling it: how it is called, what it gives, and its version.

The rule for calling, in full: a function without parameters is called with nothing; one whose first parameter is
annotated `str` gets the text of the user's message; any other gets the run. Further parameters need defaults.
"""

import inspect
import types
import typing
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import lru_cache, partial
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from landline.model.ids import fingerprint

__all__ = ["Shape", "function_of", "output_schema", "reads_settings", "shape_of", "version_of"]

_STREAMS = (
    abc.AsyncGenerator,
    abc.AsyncIterable,
    abc.AsyncIterator,
    abc.Generator,
    abc.Iterable,
    abc.Iterator,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a function is called."""

    takes: Literal["run", "text", "nothing"]
    blocking: bool


def function_of(agent: Any) -> Callable[..., Any] | None:
    """Return the function in `agent` (a function, a bound method, a partial of one), or None for anything else."""
    while isinstance(agent, partial):
        agent = typing.cast("partial[Any]", agent).func
    if inspect.ismethod(agent):
        agent = agent.__func__
    return agent if inspect.isfunction(agent) else None


@lru_cache(maxsize=512)
def shape_of(agent: Callable[..., Any]) -> Shape:
    """Return how `agent` is called.

    Raises:
        TypeError: It needs more than one argument.
    """
    needed = [
        parameter
        for parameter in inspect.signature(agent).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    for parameter in needed[1:]:
        if parameter.default is parameter.empty:
            raise TypeError(
                f"an agent's function takes the run, the text (annotated `str`) or nothing, "
                f"and this one also needs {parameter.name!r}"
            )
    blocking = not (inspect.iscoroutinefunction(agent) or inspect.isasyncgenfunction(agent))
    if not needed or needed[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return Shape("nothing", blocking)
    annotation = needed[0].annotation
    return Shape("text" if annotation in (str, "str") else "run", blocking)


def version_of(agent: Callable[..., Any]) -> str:
    """Return a hash of the function's source, so that a change of its code is a new version."""
    function = function_of(agent)
    assert function is not None
    try:
        definition = inspect.getsource(function).encode()
    except (OSError, TypeError):  # made at run time: no source to read
        definition = function.__code__.co_code + repr(function.__code__.co_consts).encode()
    return fingerprint(definition)[:12]


def reads_settings(agent: Callable[..., Any]) -> bool:
    """Tell whether the function's own code reads `run.settings`; if not, accepting settings would be a pretence."""
    function = function_of(agent)
    return function is not None and _names(function.__code__, "settings")


def _names(code: types.CodeType, name: str) -> bool:
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return name in code.co_names or any(_names(const, name) for const in inner)


def output_schema(agent: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON schema of what the function is annotated to return or yield; {} when that says nothing."""
    function = function_of(agent)
    try:
        annotation = typing.get_type_hints(function).get("return")
    except (NameError, TypeError):  # names that exist for type checkers only
        return {}
    if typing.get_origin(annotation) in _STREAMS:
        annotation = next(iter(typing.get_args(annotation)), None)
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    structured: list[Any] = [member for member in members if _is_structured(member)]
    if not structured:
        return {"type": "string"} if str in members else {}
    try:
        schemas = [TypeAdapter(member).json_schema() for member in structured]
    except PydanticUserError:  # a field that has no JSON schema
        return {}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _is_structured(kind: Any) -> bool:
    return inspect.isclass(kind) and (issubclass(kind, BaseModel) or is_dataclass(kind) or is_typeddict(kind))
