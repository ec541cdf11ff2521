"""The student and the teacher: a plain workflow function that speaks, asks the user in mid-run, and goes on.

It may be interrupted anywhere. What was prepared in a step is not prepared again, what was said is not said again,
and the answer to its question may come days later, to another process.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from landline.demo.models import Voice

__all__ = ["lesson"]


def lesson(voice: Voice, *, delay_s: float) -> Callable[[Any], Awaitable[None]]:
    """Return the workflow, spoken by `voice`."""

    async def student_teacher(run: Any) -> None:
        """A lesson between a teacher and a student; the user gives the student's next question."""
        topic = _topic(run.input)

        async def speak(speaker: str, before: str) -> str:
            # Preparing the words again does no harm, so a crash in the middle of it needs no human.
            words = await run.step(f"{speaker} prepares", voice, speaker, topic, before, idempotent=True)
            for piece in re.findall(r"\S+\s*", f"**{speaker.capitalize()}:** {words}"):
                if not run.replaying:
                    await asyncio.sleep(delay_s)
                await run.text(piece)
            return words

        opening = await speak("teacher", "")
        first_question = await speak("student", opening)
        await speak("teacher", first_question)
        asked = await run.ask(f"You are in the class too. What should the student ask next about {topic}?")
        question = str(asked or "").strip() or "Can you sum it up for me?"
        await run.text(f"**Student:** {question}")
        await speak("teacher", question)
        await speak("student", "goodbye")

    return student_teacher


def _topic(words: str) -> str:
    """Return what the lesson is about, from the user's words."""
    words = " ".join(words.split()).strip(" .!?")
    words = re.sub(
        r"^(please )?(teach|tell|explain)( to)?( me| us)?( about)?\s+|^(a )?lesson (on|about)\s+|^what (is|are)\s+",
        "",
        words,
        flags=re.IGNORECASE,
    )
    return words[:80] or "how a lesson works"
