"""An agent of Google's ADK, over LiteLLM and its OpenAI client."""

import os

from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm

__all__ = ["root_agent"]

root_agent = LlmAgent(
    name="bench",
    model=LiteLlm(model="openai/bench", api_base=os.environ["BENCH_UPSTREAM"], api_key="bench"),
    instruction="Say what you are told to say.",
)
