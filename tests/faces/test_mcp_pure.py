"""What the MCP face makes of events, questions and arguments, without a server."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitResult, TextContent

from landline.faces.mcp import decode, encode, forms, schemas
from landline.faces.mcp.encode import Heard
from landline.faces.mcp.forms import Filled, Unfit
from landline.faces.mcp.wire import GivenAnswer, GivenFile
from landline.model import events as e
from landline.model.agents import AgentInfo
from landline.model.errors import ErrorInfo, Invalid
from landline.model.runs import Answer, Question, Run, Usage
from tests.faces import logs
from tests.faces.fakes import AT

pytestmark = pytest.mark.contract("FACE-11")

RUN = Run(id="r" * 36, thread_id="t" * 36, agent="notes", status="completed", created_at=AT, output="Hello")


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def heard(*log: e.Event) -> tuple[Heard, list[str | None]]:
    found = Heard()
    return found, [found.hear(stamped) for stamped in logs.log(*log)]


LOG: Sequence[e.Event] = (
    e.RunCreated(status="queued", message_id="u", input=[]),
    e.RunStarted(agent="notes", attempt=1),
    e.MessageStarted(message_id="m1", role="assistant"),
    e.ReasoningDelta(message_id="m1", delta="hm"),
    e.TextDelta(message_id="m1", delta="Let me see."),
    e.MessageCompleted(message_id="m1", text="Let me see."),
    e.ToolCalled(call_id="c1", name="search", arguments={}),
    e.ToolCalled(call_id="c2", name="read", arguments={}),
    e.ToolProgress(call_id="c2", message="half", fraction=0.5),
    e.ToolCompleted(call_id="c1", result=1),
    e.ToolFailed(call_id="c2", error=ErrorInfo(code="x", message="no such file")),
    e.Custom(name="progress", data={"message": None, "fraction": 1}),
    e.Custom(name="other", data=[1]),
    e.AgentChanged(source="notes", target="bank"),
    e.UsageReported(input_tokens=1, output_tokens=1, total_tokens=2),
    e.MessageStarted(message_id="m2", role="assistant"),
    e.FileAdded(message_id="m2", file_id="f1", name="a.png", media_type="image/png"),
    e.SourceAdded(message_id="m2", title="A book"),
    e.TextDelta(message_id="m2", delta="x" * 600),
    e.RunCompleted(output="x" * 600, message_id="m2", usage=Usage()),
)
TOLD = [
    None, None, "Writing", None, None, None, "Calling search", "Calling read", "half (50%)", "search is done",
    "read failed: no such file", "Going on (100%)", None, "bank goes on", None, "Writing", "File: a.png",
    "Source: A book", "Writing: 611 characters so far", None,
]  # fmt: skip


def test_a_log_is_told_step_by_step_and_the_same_again() -> None:
    first, told = heard(*LOG)
    assert told == TOLD
    again, told_again = heard(*LOG)
    assert (again.text, told_again) == (first.text, TOLD)
    assert first.seq == len(LOG)
    assert first.text == "Let me see.\n\n" + "x" * 600
    assert [file.file_id for file in first.files] == ["f1"]


@pytest.mark.parametrize(
    "forgets",
    [
        e.MessageRetracted(message_id="m1", reason="cut"),
        e.RunResumed(attempt=2, reason="recovered", drop_message_id="m1"),
    ],
)
def test_what_was_taken_back_does_not_count(forgets: e.Event) -> None:
    found, _ = heard(
        e.MessageStarted(message_id="m1", role="assistant"),
        e.TextDelta(message_id="m1", delta="wrong"),
        e.FileAdded(message_id="m1", file_id="f1", name="a", media_type="text/plain"),
        e.SourceAdded(message_id="m1", title="A"),
        forgets,
        e.MessageStarted(message_id="m2", role="assistant"),
        e.TextDelta(message_id="m2", delta="right"),
    )
    assert (found.text, found.files, found.sources) == ("right", [], [])


def test_unknown_events_are_skipped() -> None:
    stamped = e.Stamped(7, "r", "t", AT, "from.the.future", b'{"type":"from.the.future"}')
    found = Heard()
    assert found.hear(stamped) is None
    assert found.seq == 7


@pytest.mark.parametrize(
    ("changes", "text", "failed"),
    [
        ({}, "Hello", False),
        ({"output": {"a": 1}}, '{"a": 1}', False),
        ({"output": None}, "So far.", False),
        ({"status": "failed", "output": None, "error": ErrorInfo(code="x", message="No.")},
         "So far.\n\nThe agent failed: No. (x)", True),
        ({"status": "cancelled", "output": None}, "So far.\n\nThe run was cancelled.", True),
    ],
)  # fmt: skip
def test_a_run_that_ended_is_a_result(changes: dict[str, Any], text: str, failed: bool) -> None:
    run = msgspec.structs.replace(RUN, **changes)
    so_far, _ = heard(
        e.MessageStarted(message_id="m", role="assistant"), e.TextDelta(message_id="m", delta="So far.")
    )
    result = encode.run_result(run, so_far)
    assert (text_of(result), result.is_error) == (text, failed)
    assert result.structured_content["status"] == run.status
    assert result.meta == {"landline/run_id": run.id, "landline/thread_id": run.thread_id}


APPROVAL = Question(
    question_id="q1", kind="approval", prompt="Delete?", tool="erase", arguments={"name": "x"}
)
INPUT = Question(question_id="q2", kind="input", prompt="Name?")
CHOICE = Question(question_id="q3", kind="choice", prompt="Which?", choices=["a", "b"])
SEVERAL = Question(
    question_id="q4", kind="choice", prompt="?", choices=["a", "b"], arguments={"single": False}
)
FORM = Question(
    question_id="q5", kind="input", prompt="Who?",
    arguments={"name": "person", "schema": {
        "type": "object",
        "properties": {"age": {"type": "integer"}, "kind": {"type": "string", "oneOf": [{"const": "cat"}]},
                       "many": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
                       "ok": {"type": "boolean"}, "size": {"type": "number"}},
        "required": ["age"],
    }},
)  # fmt: skip


def test_a_waiting_run_says_honestly_what_it_needs() -> None:
    run = msgspec.structs.replace(RUN, status="waiting", output=None, questions=[APPROVAL, CHOICE])
    result = encode.run_result(run, Heard())
    said = text_of(result)
    assert RUN.id in said
    assert "is not done" in said
    assert "landline_answer" in said
    assert 'erase with {"name": "x"}' in said
    assert "One of: a, b." in said
    assert [question["question_id"] for question in result.structured_content["questions"]] == ["q1", "q3"]
    assert not result.is_error
    mute = text_of(encode.run_result(run, Heard(), may_answer=False))
    assert "landline_answer" not in mute


@pytest.mark.parametrize(
    ("question", "filled", "answer"),
    [
        (APPROVAL, Filled(action="accept", content={"approve": True}), Answer(question_id="q1", approve=True)),
        (APPROVAL, Filled(action="accept", content={"approve": False, "reason": "no"}),
         Answer(question_id="q1", approve=False, reason="no")),
        (APPROVAL, Filled(action="decline"), Answer(question_id="q1", approve=False, reason="The user declined.")),
        (APPROVAL, Filled(action="cancel"), None),
        (INPUT, Filled(action="accept", content={"answer": "Ada"}), Answer(question_id="q2", value="Ada")),
        (INPUT, Filled(action="decline"), None),
        (CHOICE, Filled(action="accept", content={"choice": "b"}), Answer(question_id="q3", value="b")),
        (SEVERAL, Filled(action="accept", content={"choice": ["a", "b"]}), Answer(question_id="q4", value=["a", "b"])),
        (FORM, Filled(action="accept", content={"age": 3, "kind": "cat", "many": ["x"], "ok": True, "size": 1.5}),
         Answer(question_id="q5", value='{"age":3,"kind":"cat","many":["x"],"ok":true,"size":1.5}')),
    ],
)  # fmt: skip
def test_what_a_user_fills_in_is_an_answer(question: Question, filled: Filled, answer: Answer | None) -> None:
    assert forms.answer_of(question, filled) == answer


@pytest.mark.contract("FACE-11", "TRU-19")
@pytest.mark.parametrize(
    ("question", "content"),
    [
        (APPROVAL, {}),
        (APPROVAL, None),
        (APPROVAL, {"approve": "yes"}),
        (APPROVAL, {"approve": 1}),
        (APPROVAL, {"approve": True, "arguments": {}}),
        (INPUT, {"answer": 3}),
        (INPUT, {"answer": "x" * 200_001}),
        (CHOICE, {"choice": "c"}),
        (SEVERAL, {"choice": ["c"]}),
        (SEVERAL, {"choice": "a"}),
        (FORM, {"kind": "cat"}),
        (FORM, {"age": True}),
        (FORM, {"age": 1, "kind": "dog"}),
        (FORM, {"age": 1, "many": ["y"]}),
    ],
)
def test_what_does_not_fit_the_form_is_no_answer(question: Question, content: dict[str, Any] | None) -> None:
    with pytest.raises(Unfit):
        forms.answer_of(question, Filled(action="accept", content=content))
    response = ElicitResult.model_construct(action="accept", content=content)
    (key,) = forms.keys_of([question])
    assert decode.responses([question], {key: response}) == []


def test_a_form_shows_the_exact_arguments_it_approves() -> None:
    params = forms.request_of(APPROVAL).params
    assert isinstance(params, ElicitRequestFormParams)
    assert params.message == 'Delete?\n\nerase {"name":"x"}'


@pytest.mark.parametrize(
    "schema",
    [None, {}, {"properties": {}}, {"properties": {"a": {"type": "object"}}}, {"properties": {"a": 1}},
     {"properties": {f"f{n}": {"type": "string"} for n in range(65)}}],
)  # fmt: skip
def test_a_form_that_no_client_need_show_is_a_plain_question(schema: Any) -> None:
    question = Question(question_id="q", kind="input", prompt="?", arguments={"schema": schema})
    assert forms.schema_of(question)["required"] == ["answer"]


def test_questions_are_named_once() -> None:
    twin = Question(question_id="q6", kind="input", prompt="?", arguments={"name": "person"})
    odd = Question(question_id="q7", kind="input", prompt="?", arguments={"name": "../x"})
    assert list(forms.keys_of([FORM, twin, odd])) == ["person", "q6", "q7"]


@pytest.mark.contract("FACE-11", "TRU-19")
def test_an_approval_that_nobody_asked_for_is_none() -> None:
    given = {
        "q1": ElicitResult(action="accept", content={"approve": True}),
        "q2": ElicitResult(action="accept", content={"answer": "Ada"}),
    }
    assert [answer.question_id for answer in decode.responses([APPROVAL, INPUT], given, unasked=True)] == [
        "q2"
    ]
    assert len(decode.responses([APPROVAL, INPUT], given)) == 2


@pytest.mark.parametrize(
    "state", ["", "x", "r.1", f"{'0' * 36}.x", f"{'0' * 36}.1-TAMPERED", f"{'0' * 36}." + "1" * 13]
)
def test_a_state_that_was_not_written_here_is_refused(state: str) -> None:
    with pytest.raises(Invalid):
        decode.read_state(state)


def test_a_state_comes_back_as_it_went() -> None:
    run_id = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
    assert decode.read_state(decode.state_of(run_id, 12)) == (run_id, 12)


def test_files_are_base64_and_answers_are_given_once() -> None:
    assert decode.file_bytes(GivenFile(name="a", data="aGk=")) == b"hi"
    with pytest.raises(Invalid):
        decode.file_bytes(GivenFile(name="a", data="data:text/plain;base64,aGk="))
    with pytest.raises(Invalid):
        decode.answers([GivenAnswer(question_id="q"), GivenAnswer(question_id="q")])


INFO = AgentInfo(name="notes", title="Notes", framework="plain", version="1")
DATA: dict[str, Any] = {
    "type": "string",
    "contentSchema": {"$ref": "#/$defs/Note", "$defs": {"Note": {"type": "object"}}},
}


def test_schemas_say_what_an_agent_takes_and_gives() -> None:
    plain = schemas.input_schema(INFO)
    assert (plain["required"], set(plain["properties"])) == (["message"], {"message", "thread_id"})
    files = msgspec.structs.replace(INFO, capabilities=["images"], labels={"mcp.message": "Report."})
    taking = schemas.input_schema(files)
    assert "required" not in taking
    assert "files" in taking["properties"]
    assert taking["properties"]["message"]["default"] == "Report."
    typed = schemas.input_schema(msgspec.structs.replace(INFO, input_schema=DATA))
    assert typed["properties"]["message"] == {"$ref": "#/$defs/Note"}
    assert typed["$defs"] == {"Note": {"type": "object"}}
    gives = schemas.output_schema(msgspec.structs.replace(INFO, output_schema=DATA["contentSchema"]))
    assert gives["properties"]["output"] == {"$ref": "#/$defs/Note"}
    assert "Note" in gives["$defs"]
    assert DATA["contentSchema"]["$defs"]  # what was given is as it was


@pytest.mark.parametrize(
    "arguments",
    [{"message": 3}, {"message": {"a": 1}}, {"message": ""}, {"message": "x" * 200_001}, {"message": "x", "more": 1},
     {"message": "x", "thread_id": "t" * 65}, {"message": "x", "files": [{"name": "a"}]}],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        schemas.read_arguments(INFO, arguments)
    assert "xxx" not in refused.value.detail


@pytest.mark.contract("FACE-14")
def test_the_protocols_package_is_loaded_when_the_face_is_made_and_not_before() -> None:
    script = (
        "import sys, landline, landline.faces.mcp, landline.app.build\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'mcp', 'mcp_types', 'jsonschema'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_face_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['mcp'] = None\nsys.modules['mcp_types'] = None\n"
        "import landline.faces.mcp as unit\ntry:\n    unit.face(None)\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "landline[mcp]" in done.stdout
