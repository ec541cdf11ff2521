"""A workflow that asks and tells: `landline serve examples/workflow.py`. It needs no model.

Stop the server while a question is open, start it again, and answer: the lesson goes on where it was.
"""

import landline


@landline.workflow(name="lesson", description="A short lesson with a quiz")
async def lesson(ui: landline.AsyncUI) -> str:
    name = await ui.text_input(sender="teacher", recipient="student", prompt="What is your name?")
    await ui.text_message(
        sender="teacher", recipient="student", body=f"Welcome, {name}. Water boils at 100 °C."
    )
    answer = await ui.multiple_choice(
        sender="teacher", recipient="student", prompt="At how many °C does it boil?", choices=["50", "100"]
    )
    return "Right!" if answer == "100" else "Not quite: at 100 °C."
