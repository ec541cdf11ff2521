"""OpenAI's Python client with less work for each event it reads and each request it writes, and the same results.

Two of its steps are written in Python so that they can be lenient or general, and cost more than all of its other work:

- A chunk of Chat Completions is built field by field without being validated, and an event of Responses is tried as each of
  sixty. Here pydantic's compiled validator builds the one it is, in strict mode; what does not fit exactly is built as
  before. The objects are equal; `model_fields_set` of a chunk names fields that the client does not know too.
- The body of a request is walked once for each type that a message could have, to rename fields and format dates. Where
  the types of a request have nothing to rename or format, as Chat Completions, plain JSON data is what it would become.

Both stand in the place of names without a public form; where these are missing or look different, nothing is replaced.
"""

import inspect
import logging
import sys
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, cast, get_args, get_type_hints

from pydantic import ValidationError

__all__ = ["quicken"]

logger = logging.getLogger(__name__)

_BODIES = "openai._utils._transform"
_READ = ("self", "data", "cast_to", "response")
_WRITE = ("data", "expected_type")
_LEAVES = frozenset({str, int, float, bool, type(None)})

_claims: list[Collection[int]] = []
"""Of each server that wants this, the HTTP clients (by `id`) whose streams stay as they are."""
_replaced: list[Callable[[], None]] = []
"""What takes it back."""


def quicken(untouched: Collection[int] = ()) -> Callable[[], None]:
    """Have OpenAI's asynchronous clients do less in this process, and return what ends it; call that once.

    Nothing is imported: where nobody has loaded the client there is nothing to do.

    Args:
        untouched: The `id` of each HTTP client whose streams are read as before.
    """
    claim = frozenset(untouched)
    _claims.append(claim)
    if not _replaced:
        _replace_reading()
        _replace_writing()

    def end() -> None:
        del _claims[next(place for place, other in enumerate(_claims) if other is claim)]
        while not _claims and _replaced:
            _replaced.pop()()

    return end


def _replace_reading() -> None:
    client_class = getattr(sys.modules.get("openai"), "AsyncOpenAI", None)
    chunk_class = getattr(sys.modules.get("openai.types.chat"), "ChatCompletionChunk", None)
    original = getattr(client_class, "_process_response_data", None)
    if client_class is None or chunk_class is None or not _takes(original, _READ):
        logger.debug("the client of OpenAI reads as it does: it is not there, or another than is known")
        return

    # The events of Responses are of one type of many, by their field `type`.
    event_type = getattr(sys.modules.get("openai.types.responses"), "ResponseStreamEvent", None)
    events = _by_type(event_type)

    def process(self: Any, *, data: Any, cast_to: Any, response: Any) -> Any:
        model = None
        if cast_to is chunk_class:
            model = chunk_class
        elif cast_to is event_type and type(data) is dict:
            kind = cast("dict[str, Any]", data).get("type")
            model = events.get(kind) if type(kind) is str else None
        if model is not None and not any(id(self._client) in claim for claim in _claims):
            try:
                return model.model_validate(data, strict=True)
            except ValidationError:
                pass  # a server that is not quite like OpenAI's: the client's own way is lenient
        return cast("Any", original)(self, data=data, cast_to=cast_to, response=response)

    # On the class itself, which inherits it: taking it off again gives the inherited one back.
    client_class._process_response_data = process
    _replaced.append(lambda: delattr(client_class, "_process_response_data"))


def _replace_writing() -> None:
    bodies = sys.modules.get(_BODIES)
    original: Any = getattr(bodies, "async_transform", None)
    library = sys.modules.get("openai")
    omitted: tuple[Any, ...] = (getattr(library, "Omit", None), getattr(library, "NotGiven", None))
    if bodies is None or None in omitted or not _takes(original, _WRITE):
        logger.debug("the client of OpenAI writes as it does: it is not there, or another than is known")
        return

    async def transform(data: Any, expected_type: Any) -> Any:
        if type(data) is dict and isinstance(expected_type, type) and _as_it_is(expected_type):
            values = cast("dict[str, Any]", data).items()
            given = {key: value for key, value in values if not isinstance(value, omitted)}
            if _plain(given):
                return given
        return await original(data, expected_type)

    vars(bodies)["async_transform"] = transform
    _replaced.append(lambda: vars(bodies).update(async_transform=original))


def _by_type(union: Any) -> dict[str, Any]:
    """Return the models of `Annotated[Union[…], …]` by what their field `type` says; what two say is left out."""
    found: dict[str, Any] = {}
    twice: set[str] = set()
    for model in get_args(get_args(union)[0]) if get_args(union) else ():
        field = getattr(model, "model_fields", {}).get("type")
        for kind in get_args(getattr(field, "annotation", None)):
            if kind in found:
                twice.add(kind)
            found[kind] = model
    return {kind: model for kind, model in found.items() if kind not in twice}


def _takes(function: Any, names: tuple[str, ...]) -> bool:
    return callable(function) and tuple(inspect.signature(function).parameters) == names


def _plain(value: Any) -> bool:
    """Tell whether a value is JSON data in Python's own types: nothing in it would be put in another form."""
    kind = cast("type[Any]", type(value))
    if kind in _LEAVES:
        return True
    if kind is dict:
        return all(map(_plain, cast("dict[Any, Any]", value).values()))
    return kind is list and all(map(_plain, cast("list[Any]", value)))


@cache
def _as_it_is(kind: type) -> bool:
    """Tell whether no field in `kind`, a type of request bodies, has another name on the wire or a format."""
    seen, left = dict[int, Any](), list[Any]([kind])
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        for note in getattr(one, "__metadata__", ()):
            if getattr(note, "alias", None) is not None or getattr(note, "format", None) is not None:
                return False
        left.extend(get_args(one))
        if isinstance(one, type) and hasattr(one, "__total__"):  # a TypedDict, of whichever module
            try:
                left.extend(get_type_hints(one, include_extras=True).values())
            except (NameError, TypeError):  # a type that cannot be looked into
                return False
    return True
