"""llm-comply against Responses and Chat Completions of the fixture agents at BASE_URL; exits with 0 at full marks.

Full marks: every test passes and nothing is warned of, but for the one test of each format that the suite skips itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

AGENTS = (
    "fixture_plain",
    "fixture_pydantic_ai",
    "fixture_openai_agents",
    "fixture_langgraph",
    "fixture_ag2",
)
SKIPPED = {
    "open-responses": ("reasoning-summary", 13),
    "openai-chat": ("chat-reasoning-summary", 9),
}
"""Formats: the test that is skipped, as no agent has the name of one of OpenAI's reasoning models; and how many tests."""


def main() -> int:
    """See the module."""
    wrong = [fault for agent in AGENTS for format_ in SKIPPED for fault in faults(agent, format_)]
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


def faults(agent: str, format_: str) -> list[str]:
    """Run one format for one agent and return what keeps it from full marks."""
    skipped, tests = SKIPPED[format_]
    command = [sys.executable, "-m", "llm_comply.cli", "--base-url", f"{os.environ['BASE_URL']}/v1"]
    command += ["--api-key", "none", "--model", agent, "--format", format_, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    try:
        results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    except ValueError:
        return [f"{agent} {format_}: {done.stdout}{done.stderr}"]
    count = {
        status: sum(one["status"] == status for one in results) for status in ("passed", "failed", "skipped")
    }
    print(
        f"{agent} {format_}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped",
        flush=True,
    )
    found = [
        f"{agent} {format_}: {one['id']} {one['status']}: {one.get('errors')} {one.get('warnings')}"
        for one in results
        if one.get("warnings") or one["status"] != ("skipped" if one["id"] == skipped else "passed")
    ]
    if len(results) != tests:
        found.append(f"{agent} {format_}: {len(results)} tests were run, not {tests}")
    return found


if __name__ == "__main__":
    sys.exit(main())
