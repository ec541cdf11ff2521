"""Whether the installed framework has the places without a public name that this unit goes through.

Without one of them calls would go past the journal, or not at all, so the adapter refuses to begin.
"""

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["require_places"]

_SUPPORTED = "langgraph 1.2 with langgraph-prebuilt 1.1, langgraph-checkpoint 4 and langchain-core 1"
_PACKAGES = ("langgraph", "langgraph-prebuilt", "langgraph-checkpoint", "langchain-core")
_TOOL = ("self", "call", "input_type", "tool_runtime")
_MODEL = ("self", "messages", "stop", "run_manager", "kwargs")
_METHODS: tuple[tuple[str, str, str, tuple[str, ...] | None], ...] = (
    ("langgraph.prebuilt", "ToolNode", "_arun_one", _TOOL),
    ("langgraph.prebuilt", "ToolNode", "_run_one", _TOOL),
    ("langchain_core.language_models.chat_models", "BaseChatModel", "_agenerate_with_cache", _MODEL),
    ("langchain_core.language_models.chat_models", "BaseChatModel", "_generate_with_cache", _MODEL),
    ("langchain_core.tools", "BaseTool", "_arun", None),
    ("langchain_core.tools", "BaseTool", "_run", None),
)
_ATTRIBUTES = ("_tools_by_name", "_wrap_tool_call", "_awrap_tool_call")


@cache
def require_places() -> None:
    """Check it once.

    Raises:
        ImportError: Something is missing; it names the supported versions and the installed ones.
    """
    if missing := [*_missing()]:
        raise ImportError(
            f"Landline's adapter works with {_SUPPORTED}. Installed: {', '.join(map(_installed, _PACKAGES))}; "
            f"there the adapter does not find {', '.join(missing)}."
        )


def _missing() -> Iterator[str]:
    for module, owner, name, parameters in _METHODS:
        method = getattr(_found(module, owner), name, None)
        if method is None:
            yield f"{owner}.{name}"
        elif parameters is not None and tuple(inspect.signature(method).parameters) != parameters:
            yield f"{owner}.{name}({', '.join(parameters)})"
    if (node := _found("langgraph.prebuilt", "ToolNode")) is not None:
        yield from (f"ToolNode.{name}" for name in _ATTRIBUTES if not hasattr(node([]), name))
    serde = "langgraph.checkpoint.serde.jsonplus"
    serializer = _found(serde, "JsonPlusSerializer")
    if _found(serde, "_create_msgpack_ext_hook") is None:
        yield "jsonplus._create_msgpack_ext_hook"
    elif serializer is None or not hasattr(serializer(), "_unpack_ext_hook"):
        yield "JsonPlusSerializer._unpack_ext_hook"


def _found(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def _installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"
