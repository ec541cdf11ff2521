"""A schema that the client wants, on the frameworks' real model clients: what is asked of a provider, and what comes of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from landline.adapters.langgraph.brought import BroughtTools
from landline.model.errors import AgentFailed
from landline.model.events import OutputPartial
from landline.ports.adapter import Adapter, AgentSpec, BroughtTool, Suspended, ToolPolicy
from landline.testing.adapters import check_grammar
from landline.testing.line import MemoryLine, drive, turn_of
from landline.testing.upstream import ScriptedUpstream, Structured, Text, ToolCall, ToolCalls
from tests.adapters.clients_kit import ADAPTERS, MakeAgent

PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city"],
}
STRICT: dict[str, Any] = {**PLACE, "required": ["city", "people"], "additionalProperties": False}
OSLO = {"city": "Oslo", "people": 7}


Make = Callable[[ScriptedUpstream], tuple[Adapter, Any]]


async def never(_: Any) -> Any:
    raise AssertionError("the client carries it out")


ASK = BroughtTool(
    name="ask_map",
    description="Asks the map.",
    parameters={
        "type": "object",
        "properties": {"at": {"type": "string"}, "zoom": {"type": "integer"}},
        "required": ["at"],
    },
    policy=ToolPolicy(approval=True, idempotent=True),
    call=never,
    client=True,
)
every = pytest.mark.parametrize("framework", ADAPTERS)


@pytest.fixture
def make(agent_on: MakeAgent, framework: str) -> Make:
    # LangGraph's agents take brought tools only with this middleware.
    more = {"middleware": [BroughtTools()]} if framework == "langgraph" else {}
    return lambda upstream: (ADAPTERS[framework], agent_on(upstream, tools=(), **more))


def schema_in(body: Any) -> dict[str, Any]:
    """The schema that a request asks its answer to fit, as a response format or as a tool for the answer."""
    text: Any = body.get("text", {})
    form: Any = body.get("response_format", text.get("format"))
    if form is not None and form["type"] == "json_schema":
        return form.get("json_schema", form)["schema"]
    tool: Any = body["tools"][-1]
    return tool.get("function", tool)["parameters"]


@every
@pytest.mark.contract("ADP-2", "FACE-6", "FACE-7")
@pytest.mark.parametrize("schema", [PLACE, STRICT], ids=["loose", "strict"])
async def test_the_schema_is_asked_for_and_the_answer_is_an_object(make: Make, schema: Any) -> None:
    with ScriptedUpstream([Structured(OSLO)]) as upstream:
        adapter, agent = make(upstream)
        line = MemoryLine()
        spec = AgentSpec(agent=agent, name="a")
        finished = await drive(adapter, line, turn_of(line, spec, "hi", output_schema=schema))
        check_grammar(line.events)
        assert finished.output == line.of(OutputPartial)[-1].output == OSLO
        asked = schema_in(upstream.requests[0].body)
        assert {name: asked["properties"][name]["type"] for name in ("city", "people")} == {
            "city": "string",
            "people": "integer",
        }
        # AG2's clients make every property required: what fits that fits what was wanted.
        assert set(asked["required"]) >= set(schema["required"])


@every
@pytest.mark.contract("ADP-2", "FACE-6")
async def test_what_does_not_fit_fails_the_run(make: Make) -> None:
    with ScriptedUpstream(lambda _: Structured({"city": 7})) as upstream:
        adapter, agent = make(upstream)
        line = MemoryLine()
        with pytest.raises(AgentFailed) as failed:
            await drive(
                adapter, line, turn_of(line, AgentSpec(agent=agent, name="a"), "hi", output_schema=PLACE)
            )
        assert failed.value.code == "output_schema_mismatch"


@every
@pytest.mark.contract("ADP-2", "FACE-6", "FACE-7")
async def test_a_tool_of_the_client_and_a_schema_go_together(make: Make) -> None:
    calls = ToolCalls([ToolCall("ask_map", {"at": "59N"})])
    with ScriptedUpstream([calls, Structured(OSLO), Text("plain")]) as upstream:
        adapter, agent = make(upstream)
        spec, line = AgentSpec(agent=agent, name="a"), MemoryLine()
        with pytest.raises(Suspended):
            await drive(adapter, line, turn_of(line, spec, "hi", output_schema=PLACE, tools=[ASK]))
        line.answer(next(iter(line.questions)), value={"seen": "a fjord"})
        line = line.resumed()
        finished = await drive(adapter, line, turn_of(line, spec, "hi", output_schema=PLACE, tools=[ASK]))
        check_grammar(line.events)
        assert finished.output == OSLO
        assert "a fjord" in json.dumps(upstream.requests[1].body)
