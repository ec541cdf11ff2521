"""Pydantic AI passes the suite that every adapter passes."""

from landline.testing.adapters import AdapterConformance
from tests.adapters.pydantic_ai_kit import PydanticAIKit


class TestPydanticAI(AdapterConformance):
    kit = PydanticAIKit()
