"""ag-ui-validate reads the AG-UI streams of the fixture agents at BASE_URL by its own transport; 0 when nothing is wrong.

Errors and warnings count; what it merely tells (`info`) is printed. Exits with 1 as well when a stream did not hold what
it was asked for, so that an empty one proves nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections import Counter
from typing import Any

from ag_ui_validate import ValidatorOptions
from ag_ui_validate.transport import TransportOptions, validate_endpoint

AGENTS = (
    "fixture_plain",
    "fixture_pydantic_ai",
    "fixture_openai_agents",
    "fixture_langgraph",
    "fixture_ag2",
)
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "parameters": PLACE}
TEXT, CALL, RESULT = "TEXT_MESSAGE_CONTENT", "TOOL_CALL_START", "TOOL_CALL_RESULT"
SAID: dict[str, tuple[str, ...]] = {
    "Hello! Please respond briefly.": (TEXT, "RUN_FINISHED"),
    "think of bread": ("REASONING_MESSAGE_CONTENT", TEXT, "RUN_FINISHED"),
    "slow": (TEXT, "RUN_FINISHED"),
    "look up both": (CALL, RESULT, TEXT, "RUN_FINISHED"),
    "the weather": (CALL, "RUN_FINISHED"),
    "fail": ("RUN_ERROR",),
}
"""What is said to each agent: the types of event that must be in the answer."""


def run_input(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a `RunAgentInput` of a new thread, unless `more` names one."""
    fresh = {"threadId": str(uuid.uuid4()), "runId": str(uuid.uuid4())}
    return {
        **fresh,
        "state": {},
        "messages": list(messages),
        "tools": [],
        "context": [],
        "forwardedProps": {},
        **more,
    }


def user(text: str) -> dict[str, Any]:
    """Return a message of the user."""
    return {"id": str(uuid.uuid4()), "role": "user", "content": text}


async def read(
    agent: str, sent: dict[str, Any], name: str, wanted: tuple[str, ...]
) -> tuple[list[dict[str, Any]], bool]:
    """Run the agent, and return its events and whether the validator found nothing wrong with them.

    A continued run gives results of calls that the run before told, which a validator of one stream cannot know.
    """
    events: list[dict[str, Any]] = []
    options = TransportOptions(
        validator=ValidatorOptions(severity_overrides={"AGUI207": "off"} if "resume" in sent else None),
        input=sent,
        timeout_ms=60_000,
        on_event=lambda raw, _: events.append(json.loads(raw)),
    )
    result = await validate_endpoint(f"{os.environ['BASE_URL']}/ag-ui/{agent}", options)
    report = result.report
    wrong = [f"{one.rule} {one.message}" for one in report.diagnostics if one.severity != "info"]
    wrong += [*report.internal_errors, *([result.transport_error] if result.transport_error else [])]
    wrong += [f"no {type_}" for type_ in wanted if type_ not in {event["type"] for event in events}]
    told = Counter(one.rule for one in report.diagnostics if one.severity == "info")
    print(
        f"{agent}: {name}: {result.event_count} events, {len(wrong)} wrong {dict(told) or ''}".rstrip(),
        flush=True,
    )
    for fault in wrong:
        print(f"FAILED {agent}: {name}: {fault}")
    return events, not wrong


async def approve(agent: str) -> bool:
    """Let the agent wait for an approval, give it, and judge both streams."""
    sent = run_input(user("approve"))
    events, held = await read(agent, sent, "approve", (CALL, "RUN_FINISHED"))
    interrupts = events[-1].get("outcome", {}).get("interrupts", [])
    answers = [
        {"interruptId": one["id"], "status": "resolved", "payload": {"approved": True}} for one in interrupts
    ]
    again = run_input(threadId=sent["threadId"], resume=answers)
    _, after = await read(agent, again, "approve, resumed", (RESULT, TEXT, "RUN_FINISHED"))
    return held and after and len(interrupts) == 1


async def main() -> int:
    """See the module."""
    held: list[bool] = []
    for agent in AGENTS:
        for text, wanted in SAID.items():
            sent = run_input(user(text), tools=[WEATHER] if text == "the weather" else [])
            held.append((await read(agent, sent, text, wanted))[1])
        held.append(await approve(agent))
    print(f"{sum(held)} of {len(held)} held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
