"""`landline usage`: what runs used, from the data folder of a server (TRU-10)."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from typing import Any

import pytest

import landline as root
from landline.cli.exits import Exit
from landline.model.events import UsageReported
from tests.architecture.source import ROOT
from tests.cli.conftest import Project

pytestmark = pytest.mark.contract("TRU-10", "CLI-1")


async def talks(run: Any) -> str:
    used = UsageReported(input_tokens=900, output_tokens=100, total_tokens=1000, model="my-model")
    await run.emit(used)
    return "done"


async def silent(run: Any) -> str:
    return "nothing used"


def serve_some(project: Project) -> None:
    """Leave the usage of three runs of two agents in the project's data folder."""
    agents = [root.agent(talks, name="talks"), root.agent(silent, name="silent")]
    data = str(project.folder / ".landline")
    server = root.Landline(agents, open=True, data=data, prices={"my-model": (0.5, 1.5)})

    async def serve() -> None:
        import httpx

        transport = httpx.ASGITransport(server.app)
        async with (
            server.started(),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            for agent in ("talks", "talks", "silent"):
                body = {"agent": agent, "input": "hi", "mode": "wait"}
                answer = await client.post("/api/v1/runs", json=body)
                assert answer.json()["status"] == "completed", answer.text

    asyncio.run(serve())


def test_usage_is_summed_by_any_group_as_a_table_and_as_json(landline: Project) -> None:
    serve_some(landline)
    rows = json.loads(landline("usage", "--by", "agent", "--json").stdout)
    by_agent = {row["agent"]: row for row in rows}
    assert by_agent["talks"]["runs"] == 2
    assert (by_agent["talks"]["input_tokens"], by_agent["talks"]["output_tokens"]) == (1800, 200)
    assert by_agent["talks"]["cost_usd"] == pytest.approx(2 * (900 * 0.5 + 100 * 1.5) / 1e6)
    assert (by_agent["silent"]["runs"], by_agent["silent"]["cost_usd"]) == (1, None)
    (day,) = json.loads(landline("usage", "--json").stdout)
    assert day["runs"] == 3
    assert json.loads(landline("usage", "--json", "--from", day["day"], "--to", day["day"]).stdout) == [day]
    assert json.loads(landline("usage", "--json", "--to", "2020-01-01").stdout) == []
    assert json.loads(landline("usage", "--json", "--tenant", "other").stdout) == []
    only = json.loads(landline("usage", "--json", "--by", "user,key,model", "--model", "my-model").stdout)
    assert [(row["model"], row["key"], row["model_calls"]) for row in only] == [("my-model", None, 2)]
    text = landline("usage", "--by", "agent,model")
    assert text.stdout.splitlines()[0].split()[:3] == ["AGENT", "MODEL", "RUNS"]
    assert "0.0012" in text.stdout
    less = landline("usage", "--by", "agent", "--limit", "1")
    assert (len(less.stdout.splitlines()), "more than 1" in less.stderr) == (2, True)


def test_a_wrong_group_or_day_is_said(landline: Project) -> None:
    for options, code in (
        (("--by", "colour"), "bad_group"),
        (("--by", "day,day"), "bad_group"),
        (("--from", "soon"), "bad_day"),
        (("--to", "2026-13-01"), "bad_day"),
    ):
        done = landline("usage", *options)
        assert (done.returncode, code in done.stderr) == (Exit.USAGE, True), options


def test_the_commands_of_the_guide_run(landline: Project) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "budgets.md").read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("landline ")]
    assert len(lines) == 3
    for line in lines:
        assert landline(*shlex.split(line)[1:]).returncode == Exit.OK, line
