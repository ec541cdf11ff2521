"""The strict checker of AG-UI rejects what is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landline.testing.faces.ag_ui import AgUiFrame, check_ag_ui, read_ag_ui
from landline.testing.grammar import GrammarError

START: dict[str, Any] = {"type": "RUN_STARTED", "threadId": "t", "runId": "r", "protocolVersion": "1.0"}
END: dict[str, Any] = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r", "outcome": {"type": "success"}}
OPEN: dict[str, Any] = {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"}
SAY = {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "x"}
CLOSE = {"type": "TEXT_MESSAGE_END", "messageId": "m"}
CALL = {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "look"}
ARGS = {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "{}"}
CALLED = {"type": "TOOL_CALL_END", "toolCallId": "c"}
RESULT = {
    "type": "TOOL_CALL_RESULT",
    "messageId": "c:result",
    "toolCallId": "c",
    "content": "",
    "role": "tool",
}
SPAN = {"type": "REASONING_START", "messageId": "s"}
THINK = {"type": "REASONING_MESSAGE_START", "messageId": "s", "role": "reasoning"}
STEP = {"type": "STEP_STARTED", "stepName": "b"}
ERROR = {"type": "RUN_ERROR", "message": "no", "code": "x"}
SNAPSHOT: dict[str, Any] = {
    "type": "MESSAGES_SNAPSHOT",
    "messages": [{"id": "m", "role": "assistant", "content": "y"}],
}


NOTHING_ASKED: dict[str, Any] = {**END, "outcome": {"type": "interrupt", "interrupts": []}}
NOTHING_LEFT: dict[str, Any] = {**END, "outcome": {"type": "success", "pendingToolCallIds": []}}


def stream(*events: dict[str, Any]) -> list[AgUiFrame]:
    return [AgUiFrame(id=f"{seq}.0", event=event) for seq, event in enumerate(events, 1)]


def waiting(**interrupt: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"id": "q", "reason": "input_required", "responseSchema": {}, **interrupt}
    return {**END, "outcome": {"type": "interrupt", "interrupts": [told]}}


def test_a_whole_stream_passes() -> None:
    run = check_ag_ui(stream(START, OPEN, SAY, SAY, CLOSE, CALL, ARGS, CALLED, RESULT, STEP,
                             {"type": "STEP_FINISHED", "stepName": "b"}, END))  # fmt: skip
    assert (run.answer, run.arguments, run.results, run.outcome) == ("xx", {"c": {}}, {"c": ""}, "success")
    assert check_ag_ui(stream(ERROR)).outcome == "error"


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([START], id="no end"),
        pytest.param([END], id="no start"),
        pytest.param([START, START, END], id="started twice"),
        pytest.param([START, END, END], id="ended twice"),
        pytest.param([START, END, ERROR], id="an error after the end"),
        pytest.param([START, {**END, "runId": "other"}], id="another run ends"),
        pytest.param([START, OPEN, SAY, END], id="text left open"),
        pytest.param([START, SAY, END], id="text never opened"),
        pytest.param([START, OPEN, OPEN, CLOSE, END], id="text opened twice"),
        pytest.param([START, OPEN, CLOSE, OPEN, CLOSE, END], id="a message told again"),
        pytest.param([START, OPEN, {**SAY, "delta": ""}, CLOSE, END], id="an empty delta"),
        pytest.param([START, OPEN, {**SAY, "messageId": "n"}, CLOSE, END], id="a delta of another message"),
        pytest.param([START, {**OPEN, "role": "system"}, CLOSE, END], id="a role that is not streamed"),
        pytest.param([START, CALL, ARGS, END], id="a call left open"),
        pytest.param([START, CALL, {**ARGS, "delta": "{"}, CALLED, END], id="arguments that are no JSON"),
        pytest.param([START, CALL, CALLED, END], id="no arguments"),
        pytest.param([START, RESULT, END], id="a result without a call"),
        pytest.param([START, CALL, ARGS, RESULT, CALLED, END], id="a result before the call ends"),
        pytest.param([START, CALL, ARGS, CALLED, RESULT, RESULT, END], id="two results"),
        pytest.param([START, CALL, ARGS, CALLED, CALL, ARGS, CALLED, END], id="a call told twice"),
        pytest.param([START, SPAN, END], id="a span left open"),
        pytest.param([START, THINK, END], id="reasoning without a span"),
        pytest.param(
            [START, SPAN, THINK, {"type": "REASONING_END", "messageId": "s"}, END], id="span before message"
        ),
        pytest.param([START, STEP, END], id="a step left open"),
        pytest.param([START, {"type": "STEP_FINISHED", "stepName": "b"}, END], id="a step never opened"),
        pytest.param([START, {"type": "NOVEL"}, END], id="an unknown kind"),
        pytest.param([START, {**OPEN, "extra": 1}, CLOSE, END], id="an unknown member"),
        pytest.param(
            [START, {"type": "TEXT_MESSAGE_START", "messageId": "m"}, CLOSE, END], id="a missing member"
        ),
        pytest.param([{**START, "parentRunId": None}, END], id="null where nothing belongs"),
        pytest.param([{**START, "timestamp": 1.5}, END], id="half a millisecond"),
        pytest.param([START, OPEN, SAY, CLOSE, SNAPSHOT, END], id="a snapshot of another text"),
        pytest.param([START, OPEN, SNAPSHOT, CLOSE, END], id="a snapshot in mid-message"),
        pytest.param([START, {**END, "outcome": {"type": "novel"}}], id="an unknown outcome"),
        pytest.param([START, NOTHING_ASKED], id="no interrupts"),
        pytest.param(
            [START, waiting(reason="tool_call", toolCallId="c")], id="an interrupt of an untold call"
        ),
        pytest.param([START, waiting(responseSchema=None)], id="an interrupt without a schema"),
        pytest.param(
            [START, {**END, "result": 1, "outcome": {"type": "cancelled"}}], id="cancelled with a result"
        ),
        pytest.param(
            [START, CALL, ARGS, CALLED, NOTHING_LEFT],
            id="a pending call is not named",
        ),
    ],
)
def test_a_broken_stream_is_rejected(events: list[dict[str, Any]]) -> None:
    with pytest.raises(GrammarError):
        check_ag_ui(stream(*events))


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "ids", [["1.0", "1.2"], ["2.0", "1.0"], ["1.0", "2.1"], ["1.0", "1.0"], ["1.0", None]]
)
def test_ids_rise_without_a_gap_in_an_event(ids: list[str | None]) -> None:
    frames = [AgUiFrame(id=id_, event=event) for id_, event in zip(ids, [START, END], strict=True)]
    with pytest.raises(GrammarError):
        check_ag_ui(frames)


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "body", ["data: {}\r\n\r\n", 'data: {"type":"X"}', "id: 1.0\n\n", "data: 1\ndata: 2\n\n"]
)
def test_broken_framing_is_rejected(body: str) -> None:
    with pytest.raises(GrammarError):
        read_ag_ui(body)


def test_comments_are_no_frames_and_the_content_type_counts() -> None:
    frames = read_ag_ui(
        f": hb\n\nid: 1.0\ndata: {json.dumps(START)}\n\nretry: 5\n\nid: 2.0\ndata: {json.dumps(END)}\n\n"
    )
    assert check_ag_ui(frames).outcome == "success"
    with pytest.raises(GrammarError):
        check_ag_ui(frames, content_type="application/json")
