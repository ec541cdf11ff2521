"""LangGraph graphs and LangChain agents on the line. Importing this does not import the framework; using an agent does."""

from landline.adapters.langgraph.adapter import LangGraphAdapter, adapter

__all__ = ["LangGraphAdapter", "adapter"]
