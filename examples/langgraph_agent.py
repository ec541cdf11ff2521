"""A LangGraph graph with a memory of its own, served: `landline serve examples/langgraph_agent.py`. Needs no key."""

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

import landline


class Counted(MessagesState):
    """What the graph keeps over the turns of a thread."""

    turns: int


async def answer(state: Counted) -> dict[str, Any]:
    """Say back what was said; a model would be asked here: `await model.ainvoke(state["messages"])`."""
    turns = state.get("turns", 0) + 1
    return {
        "turns": turns,
        "messages": [AIMessage(content=f"{turns}: you said {state['messages'][-1].text}")],
    }


graph = StateGraph(Counted)
graph.add_node("answer", answer)  # pyright: ignore[reportUnknownMemberType] - the framework's generics
graph.add_edge(START, "answer")

compiled: Any = graph.compile()  # pyright: ignore[reportUnknownMemberType] - see above
agent = landline.agent(compiled, name="counted", starters=["Good morning"])
