"""LangGraph passes the suite that every adapter passes."""

from landline.testing.adapters import AdapterConformance
from tests.adapters.langgraph_kit import LangGraphKit


class TestLangGraph(AdapterConformance):
    kit = LangGraphKit()
