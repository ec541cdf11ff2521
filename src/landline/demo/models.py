"""Which model the demo runs on: a real one when the environment has a key, else the offline script, by its name."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from landline.demo.lesson_script import lesson_script

if TYPE_CHECKING:
    from landline.demo.script import Rules

__all__ = ["SCRIPT_LABEL", "Chosen", "Voice", "choose"]

logger = logging.getLogger(__name__)

SCRIPT_LABEL = "offline script (not a language model)"
OPENAI_DEFAULT = "gpt-5.6-luna"
ANTHROPIC_DEFAULT = "claude-haiku-4-5"
ANTHROPIC_MISSING = (
    "ANTHROPIC_API_KEY is set, but the anthropic package is not installed "
    '(pip install "pydantic-ai-slim[anthropic]"): the demo runs on its offline script'
)

Voice = Callable[[str, str, str], Awaitable[str]]
"""Speaks one part of the lesson: (who speaks, the topic, what was said or asked just before)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The model of this demo. `real` is a Pydantic AI model, None for the script."""

    pydantic_ai: bool
    delay_s: float
    real: Any = None
    labels: Mapping[str, str] = field(default_factory=lambda: {"model": SCRIPT_LABEL})

    @property
    def offline(self) -> bool:
        """Whether the answers come from the script."""
        return self.real is None

    def model(self, rules: "Rules") -> Any:
        """Return the model for an agent whose script is `rules`."""
        if self.real is not None:
            return self.real
        from landline.demo.script import scripted_model

        return scripted_model(rules, delay_s=self.delay_s)

    async def voice(self, speaker: str, topic: str, before: str) -> str:
        """Speak a part of the lesson."""
        if self.real is None:
            return lesson_script(speaker, topic, before)
        from landline.demo.lesson_model import lesson_voice

        return await lesson_voice(self.real, speaker, topic, before)


def choose(env: Mapping[str, str], *, delay_s: float) -> Chosen:
    """Return the model that `env` has a key for.

    `LANDLINE_DEMO_MODEL` names the model of that provider; `offline` means the script although there is a key.
    """
    try:
        import pydantic_ai  # noqa: F401  # pyright: ignore[reportUnusedImport] - only whether it is there
    except ModuleNotFoundError:
        return Chosen(pydantic_ai=False, delay_s=delay_s)
    wanted = env.get("LANDLINE_DEMO_MODEL", "")
    if wanted != "offline":
        if env.get("OPENAI_API_KEY") or env.get("OPENAI_BASE_URL"):
            name = wanted or env.get("OPENAI_MODEL") or OPENAI_DEFAULT
            return Chosen(pydantic_ai=True, delay_s=delay_s, real=_openai(name, env), labels={"model": name})
        if key := env.get("ANTHROPIC_API_KEY"):
            name = wanted or ANTHROPIC_DEFAULT
            if (model := _anthropic(name, key)) is not None:
                return Chosen(pydantic_ai=True, delay_s=delay_s, real=model, labels={"model": name})
            logger.warning(ANTHROPIC_MISSING)
            return Chosen(
                pydantic_ai=True,
                delay_s=delay_s,
                labels={"model": SCRIPT_LABEL, "notice": ANTHROPIC_MISSING},
            )
    return Chosen(pydantic_ai=True, delay_s=delay_s)


def _openai(name: str, env: Mapping[str, str]) -> Any:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    # A server of one's own often needs no key, but the client insists on one.
    key = env.get("OPENAI_API_KEY") or "no-key"
    return OpenAIChatModel(
        name, provider=OpenAIProvider(base_url=env.get("OPENAI_BASE_URL") or None, api_key=key)
    )


def _anthropic(name: str, key: str) -> Any:
    try:
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
    except ImportError:
        return None
    return AnthropicModel(name, provider=AnthropicProvider(api_key=key))
