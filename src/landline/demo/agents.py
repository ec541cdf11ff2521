"""The demo's three agents, described for a server."""

import logging
from collections.abc import Mapping
from pathlib import Path

import landline
from landline.demo.lesson import lesson
from landline.demo.models import Chosen, choose
from landline.ports.adapter import AgentSpec

__all__ = ["agents"]

logger = logging.getLogger(__name__)

INSTALL = 'pip install "landline[pydantic-ai]"'
WORD_DELAY_S = 0.03


def agents(data: Path, env: Mapping[str, str], *, delay_s: float = WORD_DELAY_S) -> list[AgentSpec]:
    """Return the demo's agents, on the model that `env` has a key for, else on the offline script.

    Without Pydantic AI only `student_teacher` is there, and the log says how to get the others.

    Args:
        data: Folder for the notes; made when the first note is written.
        env: The environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `ANTHROPIC_API_KEY`, `LANDLINE_DEMO_MODEL`, …).
        delay_s: Pause after each word of the offline script.
    """
    chosen = choose(env, delay_s=delay_s)
    specs: list[AgentSpec] = []
    if chosen.pydantic_ai:
        specs = [_notes(data, chosen), _bank_support(chosen)]
    else:
        logger.warning("the demo's notes and bank_support agents need Pydantic AI: %s", INSTALL)
    return [*specs, _student_teacher(chosen, delay_s)]


def _notes(data: Path, chosen: Chosen) -> AgentSpec:
    from landline.demo.notebook import Notebooks
    from landline.demo.notes import notes_agent
    from landline.demo.notes_script import notes_script

    notebooks = Notebooks(data / "demo-notes.json")
    return landline.agent(
        notes_agent(chosen.model(notes_script)),
        name="notes",
        title="Notes",
        description="Keeps your notes. It asks you before it deletes one.",
        starters=(
            "Create a note titled Shopping: milk, bread, apples",
            "List my notes",
            "Delete note 1",
            "Help",
        ),
        tools={
            "create_note": landline.tool(),
            "list_notes": landline.tool(idempotent=True),
            "delete_note": landline.tool(approval=True, idempotent=True),
        },
        # Made anew for each segment, so that a run goes on after a restart with the right user's notes.
        context=lambda caller, run: notebooks.of(caller.tenant, caller.user),  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType] - `context` takes any callable
        labels=chosen.labels,
    )


def _bank_support(chosen: Chosen) -> AgentSpec:
    from landline.demo.bank import bank_agent, customer_of
    from landline.demo.bank_script import bank_script

    return landline.agent(
        bank_agent(chosen.model(bank_script)),
        name="bank_support",
        title="Bank support",
        description="Gives advice with a risk level, as structured output that grows while it streams.",
        starters=("What is my balance?", "I lost my card!", "There is a payment I did not make"),
        tools={"customer_balance": landline.tool(idempotent=True)},
        context=lambda caller, run: customer_of(caller.user),  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType] - `context` takes any callable
        labels=chosen.labels,
    )


def _student_teacher(chosen: Chosen, delay_s: float) -> AgentSpec:
    return landline.agent(
        lesson(chosen.voice, delay_s=delay_s if chosen.offline else 0),
        name="student_teacher",
        title="Student and teacher",
        description="A lesson between a teacher and a student, who asks you for the next question.",
        starters=("Photosynthesis", "How do fractions work?", "Why is the sky blue?"),
        labels=chosen.labels,
    )
