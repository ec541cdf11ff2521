"""A workflow that asks in every way FastAgency's wire has, an agent that wants approval, and the fixture's plain agent."""

from __future__ import annotations

from typing import Any

import landline
from landline import AsyncUI, Workflow
from landline.adapters.plain import PlainRun
from landline.testing.fixture import fixture_plain

__all__ = ["agents", "fixture_plain", "wf"]

wf = Workflow()


@wf.register(name="lesson", description="A lesson that asks")
async def lesson(ui: AsyncUI, params: dict[str, Any]) -> str:
    """Ask for a question, a grade and subjects."""
    await ui.text_message(sender="teacher", recipient="student", body="Welcome to the lesson.")
    question = await ui.text_input(sender="teacher", recipient="student", prompt="What is your question?")
    grade = await ui.multiple_choice(prompt="Which grade?", choices=["good", "bad"], default="bad")
    subjects = await ui.multiple_choice(
        prompt="Which subjects?", choices=["art", "music", "law"], single=False
    )
    await ui.text_message(sender="teacher", recipient="student", body=f"You asked: {question}")
    return f"{question} | {grade} | {subjects}"


async def eraser(run: PlainRun) -> str:
    """Erase what the message names, if a human agrees."""
    return await run.tool("erase", _erase, name=run.input)


async def _erase(name: str) -> str:
    return f"Erased {name}."


agents = [landline.agent(eraser, name="eraser", tools={"erase": landline.tool(approval=True)})]
