"""Which HTTP clients an agent's models use: found by looking through the objects that the agent is made of.

Only what is there is looked at, never a property, so that nothing is made by looking. The objects of frameworks and SDKs,
plain containers and the functions among them are looked through; others are not, but for what the functions name.
"""

import functools
from collections import deque
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any, cast

__all__ = ["clients_of"]

_OF_FRAMEWORKS = frozenset(
    {
        "ag2",
        "agents",
        "anthropic",
        "google",
        "groq",
        "langchain",
        "langchain_anthropic",
        "langchain_core",
        "langchain_google_genai",
        "langchain_openai",
        "langgraph",
        "mistralai",
        "openai",
        "pydantic_ai",
    }
)
_MOST_OBJECTS = 20_000
_PLAIN = (str, bytes, int, float, type, type(None))


def clients_of(*roots: Any) -> list[Any]:
    """Return the asynchronous clients of httpx and httpx2 within reach, each once.

    A model that is named by a word only, and made when a run begins, has none yet.
    """
    found: list[Any] = []
    seen: dict[int, Any] = {}
    left = deque[Any](roots)
    while left and len(seen) < _MOST_OBJECTS:
        obj = left.popleft()
        if id(obj) in seen or _is(obj, *_PLAIN):
            continue
        seen[id(obj)] = obj
        if _is_client(obj):
            found.append(obj)
        else:
            left.extend(_inside(obj))
    return found


def _is_client(obj: Any) -> bool:
    return any(
        cls.__name__ == "AsyncClient" and cls.__module__.split(".")[0] in ("httpx", "httpx2")
        for cls in type(obj).__mro__
    )


def _is(obj: Any, *kinds: type[Any]) -> bool:
    """Tell by type(): isinstance asks an object for its class, and a proxy that stands for nothing now raises."""
    return issubclass(type(obj), kinds)


def _inside(obj: Any) -> Iterator[Any]:
    if _is(obj, dict):
        yield from tuple(cast("dict[Any, Any]", obj).values())
    elif _is(obj, list, tuple, set, frozenset):
        yield from tuple(cast("tuple[Any, ...]", obj))
    elif _is(obj, MethodType):
        yield obj.__self__
        yield obj.__func__
    elif _is(obj, FunctionType):
        yield from _named(obj)
    elif _is(obj, functools.partial):
        yield from (obj.func, *obj.args, *obj.keywords.values())
    elif any(cls.__module__.split(".")[0] in _OF_FRAMEWORKS for cls in type(obj).__mro__):
        yield from tuple(getattr(obj, "__dict__", {}).values())
        for cls in type(obj).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                member = cls.__dict__.get(name)
                if hasattr(member, "__get__") and hasattr(obj, name):
                    yield getattr(obj, name)


def _named(function: FunctionType) -> Iterator[Any]:
    """Yield what a function holds and names: a graph's node calls a model of its module."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    if (function.__module__ or "").split(".")[0] not in _OF_FRAMEWORKS:
        names = function.__globals__
        yield from (names[name] for name in function.__code__.co_names if name in names)
