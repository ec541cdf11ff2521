"""A run's settings, put into the requests to models: what a model does not take is refused, never left out."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel

from landline.model.errors import Unsupported

__all__ = ["SETTINGS", "check_settings", "check_taken", "with_settings"]

SETTINGS = ("temperature", "max_tokens", "top_p", "model")

_ATTRIBUTES = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "top_p": ("top_p",),
    "model": ("model_name", "model"),
}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no agent of this framework takes.

    Raises:
        Unsupported: There is one.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise Unsupported(f"This agent takes no setting {unknown[0]!r}; it takes {', '.join(SETTINGS)}.")


def with_settings(
    model: BaseChatModel, options: dict[str, Any], settings: Mapping[str, Any], taken: set[str]
) -> dict[str, Any]:
    """Return the options of a request to `model` with the run's settings; adds what it took to `taken`.

    A model made with `init_chat_model(configurable_fields=...)` has taken its settings from the configuration. Another
    one takes `temperature`, `max_tokens` and `top_p` for one request if it has such a field; which model it is stays the owner's.

    Raises:
        Unsupported: The model does not take one of them.
    """
    extra: dict[str, Any] = {}
    for name, value in settings.items():
        attributes = [name_ for name_ in _ATTRIBUTES[name] if hasattr(model, name_)]
        if not any(getattr(model, attribute) == value for attribute in attributes):
            if name == "model" or name not in type(model).model_fields:
                raise Unsupported(f"The model of this agent takes no setting {name!r}.")
            extra[name] = value
        taken.add(name)
    return {**options, **extra}


def check_taken(settings: Mapping[str, Any], taken: set[str]) -> None:
    """Refuse settings that no model of the run was asked with.

    Raises:
        Unsupported: There is one.
    """
    left = [name for name in settings if name not in taken]
    if left:
        raise Unsupported(f"This agent asked no model that takes the setting {left[0]!r}.")
