"""The notes agent: three tools over the user's own notes. Deleting needs an approval, by the agent's description."""

from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.models import Model

from landline.demo.notebook import Notebook

__all__ = ["notes_agent"]

INSTRUCTIONS = (
    "You keep the user's notes with your tools. Notes have ids; when the user names a note by its words, list the notes "
    "to find its id. Deleting is confirmed by the user outside of this conversation, so never ask for confirmation. "
    "Answer in one or two sentences."
)


def create_note(ctx: RunContext[Notebook], title: str, content: str) -> str:
    """Keep a new note."""
    note = ctx.deps.add(title, content)
    return f"Created note [{note.id}] {note.title}."


def list_notes(ctx: RunContext[Notebook]) -> str:
    """List the notes with their ids."""
    notes = ctx.deps.read()
    return "\n".join(f"- [{note.id}] {note.title}" for note in notes) or "No notes found."


def delete_note(ctx: RunContext[Notebook], note_id: int) -> str:
    """Delete the note with this id."""
    if ctx.deps.remove(note_id):
        return f"Deleted note [{note_id}]."
    return f"There is no note [{note_id}]."


def notes_agent(model: Model) -> Agent[Notebook, Any]:
    """Return the agent on `model`."""
    return Agent(
        model,
        name="notes",
        deps_type=Notebook,
        instructions=INSTRUCTIONS,
        tools=[create_note, list_notes, delete_note],
    )
