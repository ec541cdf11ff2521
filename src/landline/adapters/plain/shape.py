"""What can be known of a function without calling it: how it is called, what it gives, and its version.

The rule for calling, in full: a function without parameters is called with nothing; one whose first parameter is
annotated `str` gets the text of the user's message; one whose first parameter is named `ui` is a workflow and gets a
`UI` (an `AsyncUI` when it is async) and, if its second one is named `params`, the message as parameters; one whose first
parameter is annotated with a pydantic model, a dataclass or a TypedDict gets the message's text, read as JSON, as one of
these; any other gets the run. Further parameters need defaults.
"""

import inspect
import types
import typing
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import pydantic_core
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from landline.model.errors import AgentFailed
from landline.model.ids import fingerprint

__all__ = [
    "Shape",
    "data_of",
    "function_of",
    "input_schema",
    "output_schema",
    "params_of",
    "reads_schema",
    "reads_settings",
    "shape_of",
    "takes_input",
    "version_of",
]

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
    """How a function is called; `data` is the type of its typed input, and of a workflow's typed params."""

    takes: Literal["run", "ui", "data", "text", "nothing"]
    blocking: bool
    params: bool = False
    data: Any = None


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
        TypeError: It needs more than one argument, or its input's type has no JSON schema.
    """
    given = [
        parameter
        for parameter in inspect.signature(agent).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    blocking = not (inspect.iscoroutinefunction(agent) or inspect.isasyncgenfunction(agent))
    if not given or given[0].kind is inspect.Parameter.KEYWORD_ONLY:
        _need_no_more(given)
        return Shape("nothing", blocking)
    first, rest = given[0], given[1:]
    if first.annotation in (str, "str"):
        _need_no_more(rest)
        return Shape("text", blocking)
    hints = _hints(agent)
    if first.name == "ui":
        has_params = bool(rest) and rest[0].name == "params"
        _need_no_more(rest[1:] if has_params else rest)
        return Shape("ui", blocking, params=has_params, data=_data(hints.get("params")))
    _need_no_more(rest)
    data = _data(hints.get(first.name))
    return Shape("run" if data is None else "data", blocking, data=data)


def _need_no_more(parameters: list[inspect.Parameter]) -> None:
    for parameter in parameters:
        if parameter.default is parameter.empty:
            raise TypeError(
                f"an agent's function takes the run, the text (annotated `str`), `ui` and `params`, or nothing, "
                f"and this one also needs {parameter.name!r}"
            )


def _hints(agent: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function_of(agent))
    except (NameError, TypeError):  # names that exist for type checkers only
        return {}


def _data(annotation: Any) -> Any:
    """Return the type of typed input, None for any other annotation. Raises TypeError."""
    if not _is_structured(annotation):
        return None
    try:
        _adapter_of(annotation).json_schema()
    except PydanticUserError as error:
        raise TypeError(
            f"the input's type {annotation.__name__} has no JSON schema: {error.message}"
        ) from error
    return annotation


@lru_cache(maxsize=512)
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def data_of(kind: Any, text: str) -> Any:
    """Return the message's `text`, read as JSON, as a `kind`.

    Raises:
        AgentFailed: It does not fit (`invalid_input`); the message says where.
    """
    try:
        return _adapter_of(kind).validate_json(text)
    except ValidationError as error:
        said = "; ".join(map(_fault, error.errors(include_url=False, include_input=False)[:5]))
        raise AgentFailed(
            f"The input must be JSON that fits the agent's input schema: {said}.", code="invalid_input"
        ) from error


def _fault(found: pydantic_core.ErrorDetails) -> str:
    # What a validator of the user's own raised is exception text: it may hold anything (EVT-8).
    own = found["type"] in {"value_error", "assertion_error"}
    where = ".".join(map(str, found["loc"])) or "the input"
    return f"{where}: {'not accepted' if own else found['msg']}"


def params_of(text: str) -> dict[str, Any]:
    """Return a workflow's untyped params: the entries of a JSON object, or any other text as `{"input": text}`."""
    try:
        read = pydantic_core.from_json(text)
    except ValueError:
        read = None
    return typing.cast("dict[str, Any]", read) if isinstance(read, dict) else {"input": text}


def input_schema(agent: Callable[..., Any]) -> dict[str, Any]:
    """Return what the function says of the text it takes; {} when it says nothing, as one that takes the run does.

    Typed input is a text that holds JSON, and so says the schema (`contentSchema`, JSON Schema 2020-12); a workflow's
    untyped params are any JSON object.
    """
    shape = shape_of(agent)
    if shape.data is not None:
        schema = _adapter_of(shape.data).json_schema()
        return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    if shape.takes == "ui":
        return {"type": "string", "contentMediaType": "application/json"}
    return {"type": "string"} if shape.takes == "text" else {}


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


def reads_schema(agent: Callable[..., Any]) -> bool:
    """Tell whether the function's own code reads `run.output_schema`; if not, its answer would fit by chance only."""
    function = function_of(agent)
    return function is not None and _names(function.__code__, "output_schema")


def takes_input(agent: Callable[..., Any]) -> bool:
    """Tell whether the function's own code looks at `run.inputs`; if not, it cannot be steered."""
    function = function_of(agent)
    return function is not None and _names(function.__code__, "inputs")


def _names(code: types.CodeType, name: str) -> bool:
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return name in code.co_names or any(_names(const, name) for const in inner)


def output_schema(agent: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON schema of what the function is annotated to return or yield; {} when that says nothing."""
    annotation = _hints(agent).get("return")
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
