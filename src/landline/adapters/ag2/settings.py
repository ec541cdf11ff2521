"""Settings of a run: what the agent's own config can be told, by the names that callers use."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from landline.model.errors import Unsupported

__all__ = ["settings_of", "with_settings"]

_FIELDS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "top_p": ("top_p",),
    "seed": ("seed",),
    "stop": ("stop", "stop_sequences"),
    "parallel_tool_calls": ("parallel_tool_calls",),
    "model": ("model",),
}
"""A setting's name, and the field it is in the configs of one provider or another."""


def settings_of(config: Any) -> tuple[str, ...]:
    """Return the settings that `config` takes; none for one that is no plain record."""
    fields = _fields(config)
    return tuple(name for name, known in _FIELDS.items() if fields & set(known))


def with_settings(config: Any, settings: Mapping[str, Any]) -> Any:
    """Return the owner's config with a run's settings, streaming where it can; the owner's is not touched.

    AG2's configs do not stream unless told to; a run's reader always wants to see words as they come.

    Raises:
        Unsupported: The config does not take one of them.
    """
    known = settings_of(config)
    unknown = [name for name in settings if name not in known]
    if unknown:
        takes = ", ".join(known) or "none"
        raise Unsupported(f"This agent takes no setting {unknown[0]!r}; it takes {takes}.")
    fields = _fields(config)
    changes = {
        next(field for field in _FIELDS[name] if field in fields): given for name, given in settings.items()
    }
    if "streaming" in fields:
        changes["streaming"] = True
    return dataclasses.replace(config, **changes) if changes else config


def _fields(config: Any) -> set[str]:
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return set()
    return {field.name for field in dataclasses.fields(config) if field.init}
