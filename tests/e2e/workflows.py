"""Workflows for a real server: they tell, work, ask twice, and say what each step gave.

No step comes right after the first answer: a kill there would leave its outcome unknown, which is another test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landline import UI, AsyncUI, Workflow

wf = Workflow()
LEDGER = Path("ledger.txt")


def _work(name: str) -> str:
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(f"{name}\n")
    return f"{name} done"


@wf.register(name="lesson", description="A sync workflow")
def lesson(ui: UI, params: dict[str, Any]) -> str:
    """Ask for a topic and a grade."""
    first = ui.step("prepare", _work, "sync first")
    ui.text_message(sender="teacher", recipient="student", body=f"Welcome to {params['topic']}.")
    question = ui.text_input(sender="teacher", recipient="student", prompt="What is your question?")
    ui.system_message(message={"question": question})
    grade = ui.multiple_choice(prompt="Which grade?", choices=["A", "B"], default="B")
    second = ui.step("prepare", _work, "sync second")
    return f"{first}, {second}, {question}, {grade}"


@wf.register(name="async_lesson", description="An async workflow")
async def async_lesson(ui: AsyncUI, params: dict[str, Any]) -> str:
    """Ask for a topic and a grade."""
    first = await ui.step("prepare", _work, "async first")
    await ui.text_message(sender="teacher", recipient="student", body=f"Welcome to {params['topic']}.")
    question = await ui.text_input(sender="teacher", recipient="student", prompt="What is your question?")
    await ui.system_message(message={"question": question})
    grade = await ui.multiple_choice(prompt="Which grade?", choices=["A", "B"], default="B")
    second = await ui.step("prepare", _work, "async second")
    return f"{first}, {second}, {question}, {grade}"
