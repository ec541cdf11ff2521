"""Models by name, over one client that all runs of an event loop share and that can be closed."""

from collections.abc import Callable
from typing import Any

from agents import Model, ModelProvider, MultiProvider
from agents.models import _openai_shared as chosen
from openai import AsyncOpenAI

__all__ = ["SharedProvider"]


class SharedProvider(ModelProvider):
    """The SDK's own choice of models, made when the first agent asks: without a key other agents still run.

    The SDK's own client is one for the whole process, is never closed and cannot move to another event loop.
    """

    def __init__(self, fit: Callable[[Any], Any] | None = None) -> None:
        self._fit = fit
        self._models: MultiProvider | None = None
        self._client: AsyncOpenAI | None = None

    def get_model(self, model_name: str | None) -> Model:
        """Return the model of this name, or the SDK's default model.

        Raises:
            OpenAIError: There are no credentials.
        """
        if self._models is None:
            client = chosen.get_default_openai_client()
            if client is None:
                client = self._client = AsyncOpenAI(api_key=chosen.get_default_openai_key())
            if self._fit is not None:
                self._fit(client)
            self._models = MultiProvider(openai_client=client)
        return self._models.get_model(model_name)

    async def aclose(self) -> None:
        """Close the client, unless it is the owner's."""
        models, client = self._models, self._client
        self._models = self._client = None
        if models is not None:
            await models.aclose()
        if client is not None:
            await client.close()
