"""AG2 on the real engine and a real SQLite file; what holds of every framework is in test_framework_engines."""

import pytest

from landline.adapters.ag2 import adapter
from landline.model.callers import LOCAL
from landline.model.runs import Answer
from landline.ports.adapter import AgentSpec
from landline.testing.adapters import ToolBox
from tests.adapters.test_ag2_humans import asking
from tests.adapters.test_ag2_workflows import desk
from tests.engine.conftest import Boot, told


@pytest.mark.contract("ADP-3", "RUN-8")
async def test_a_tools_questions_outlive_the_server(boot: Boot) -> None:
    box = ToolBox()
    server = await boot(adapter, asking(box))
    run = await server.start()
    for said in ("red", "big"):
        await told(server, run.id)
        waiting = await server.get(run.id)
        assert waiting.status == "waiting"
        await server.crash()
        await server.boot()
        answer = Answer(question_id=waiting.questions[0].question_id, value=said)
        await server.core.runs.answer(LOCAL, run.id, [answer])
    await told(server, run.id)
    done = await server.get(run.id)
    assert (done.status, done.output) == ("completed", "red big; seen")
    assert box.counts["look"] == 1
    assert await server.store.verify(LOCAL) == []


@pytest.mark.contract("ADP-2", "RUN-8")
async def test_a_workflow_waits_for_a_human_and_goes_on_elsewhere(boot: Boot) -> None:
    box = ToolBox()
    server = await boot(adapter, AgentSpec(agent=desk(box, approval=True), name="desk"))
    run = await server.start()
    await told(server, run.id)
    waiting = await server.get(run.id)
    await server.crash()
    await server.boot()
    answer = Answer(question_id=waiting.questions[0].question_id, approve=True)
    await server.core.runs.answer(LOCAL, run.id, [answer])
    events = await told(server, run.id)
    assert (await server.get(run.id)).output == "I was told: charged"
    changed = [(e["from"], e["to"]) for e in events if e["type"] == "agent.changed"]
    assert changed == [("desk", "billing")]
    assert box.counts == {"route": 1, "charge": 1}
