"""The OpenAI Agents SDK passes the suite that every adapter passes."""

from landline.testing.adapters import AdapterConformance
from tests.adapters.openai_agents_kit import OpenAIAgentsKit


class TestOpenAIAgents(AdapterConformance):
    kit = OpenAIAgentsKit()
