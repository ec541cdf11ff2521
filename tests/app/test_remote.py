"""`landline.remote` from the owner's side: found like any agent, bound to the server's own way out, refused early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import landline
from landline.adapters.remote import RemoteAdapter
from landline.adapters.remote.adapter import landline as installed
from landline.app.build import Landline
from landline.app.loading import load_agents
from landline.app.plugins import adapters
from landline.model.callers import LOCAL
from landline.model.errors import AgentFailed, Unsupported
from landline.model.messages import TextPart
from landline.ports.runs import StartRun
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.upstream import ScriptedUpstream, Text

URL = "http://127.0.0.1:9"


@pytest.mark.contract("AGT-1")
def test_remote_agents_in_a_file_are_found_by_protocol(tmp_path: Path) -> None:
    (tmp_path / "far.py").write_text(
        "import landline\n"
        f"lines = landline.remote({URL!r})\n"
        f"model = landline.remote({URL!r} + '/v1', protocol='openai-chat', agent='m')\n"
        f"answers = landline.remote({URL!r} + '/v1', protocol='openai-responses', agent='m')\n"
        f"peer = landline.agent(landline.remote({URL!r}, protocol='a2a'), name='named')\n"
        f"flow = landline.remote({URL!r}, protocol='fastagency', agent='w')\n"
    )
    found = {
        item.name: item.adapter.framework
        for item in load_agents(str(tmp_path / "far.py"), adapters())
        if item.adapter
    }
    assert found == {
        "named": "remote_a2a",
        "lines": "remote_landline",
        "model": "remote_openai_chat",
        "answers": "remote_openai_responses",
        "flow": "remote_fastagency",
    }


@pytest.mark.contract("AGT-1", "ADP-10")
def test_naming_a_remote_agent_loads_no_client() -> None:
    code = (
        f"import sys, landline; landline.remote({URL!r}); "
        "from landline.app.plugins import adapters; adapters(); "
        "print([m for m in ('httpx', 'a2a', 'websockets', 'pydantic_ai') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "ftp://a"}, "http"),
        ({"url": "http://user:secret@a"}, "user"),
        ({"url": "http://a/?key=1"}, "query"),
        ({"url": "http://a", "protocol": "smoke"}, "protocol"),
        ({"url": "http://a", "protocol": "openai-chat"}, "model"),
        ({"url": "http://a", "protocol": "fastagency"}, "workflow"),
    ],
)
def test_what_cannot_be_called_is_refused_when_it_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        landline.remote(**given)


def test_the_credential_is_in_no_representation() -> None:
    agent = landline.remote("http://a", token="canary-71")
    assert "canary-71" not in repr(agent) + repr(landline.agent(agent, name="a"))
    assert agent.headers == {"authorization": "Bearer canary-71"}


async def test_an_adapter_without_a_way_out_refuses() -> None:
    line = MemoryLine()
    with pytest.raises(AgentFailed) as failed:
        await drive(installed, line, turn_of(line, landline.agent(landline.remote(URL), name="a"), "hi"))
    assert failed.value.code == "egress_missing"


@pytest.mark.contract("ADP-2", "AGT-2")
async def test_a_served_model_answers_and_its_limits_are_told_before_a_run(tmp_path: Path) -> None:
    with ScriptedUpstream(lambda _: Text("far away")) as upstream:
        remote = landline.remote(upstream.base_url, protocol="openai-chat", agent="m")
        app = Landline([landline.agent(remote, name="model")], open=True, data=tmp_path)
        async with app.started():
            info = app.registry.get(LOCAL, "model")
            assert "tools" not in info.capabilities
            assert {"max_tokens", "temperature", "top_p"} <= set(info.settings)
            asked = StartRun(input=[TextPart(text="hi")], agent="model")
            with pytest.raises(Unsupported):
                await app.runs.start(
                    LOCAL, StartRun(input=asked.input, agent="model", settings={"model": "x"})
                )
            started = await app.runs.start(LOCAL, asked)
            async for _ in app.runs.follow(LOCAL, started.run.id):
                pass
            run = await app.runs.get(LOCAL, started.run.id)
            assert (run.status, run.output) == ("completed", "far away")


def test_two_servers_in_one_process_have_each_their_own_way_out(tmp_path: Path) -> None:
    remote = landline.remote(URL)
    one = Landline([remote], open=True, data=tmp_path / "one", egress_allow="inside.test")
    two = Landline([remote], open=True, data=tmp_path / "two")
    assert one.core.agents.list(LOCAL) == two.core.agents.list(LOCAL)
    loaded = [*(one._loaded or ()), *(two._loaded or ())]  # pyright: ignore[reportPrivateUsage] - nobody else asks which adapter was bound
    bound = [item.adapter for item in loaded]
    assert len(bound) == 2
    assert all(isinstance(adapter, RemoteAdapter) for adapter in bound)
    assert len({id(adapter) for adapter in [*bound, installed]}) == 3
    assert one.settings.egress_allow == ("inside.test",)
