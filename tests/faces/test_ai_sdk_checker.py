"""The checker of the AI SDK's stream rejects what is broken."""

from typing import Any

import pytest

from landline.testing.faces.ai_sdk import Chunk, StreamError, check_stream, read_frames

START: Chunk = {"type": "start", "messageId": "r"}
STEP: Chunk = {"type": "start-step"}
STEPPED: Chunk = {"type": "finish-step"}
FINISH: Chunk = {"type": "finish", "finishReason": "stop"}
TEXT: list[Chunk] = [
    {"type": "text-start", "id": "t"},
    {"type": "text-delta", "id": "t", "delta": "Hi"},
    {"type": "text-end", "id": "t"},
]
CALL: list[Chunk] = [
    {"type": "tool-input-start", "toolCallId": "c", "toolName": "x"},
    {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": '{"a":'},
    {"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "1}"},
    {"type": "tool-input-available", "toolCallId": "c", "toolName": "x", "input": {"a": 1}},
]
RESULT: Chunk = {"type": "tool-output-available", "toolCallId": "c", "output": 1}
ASKED: Chunk = {"type": "tool-approval-request", "approvalId": "q", "toolCallId": "c"}
WHOLE = [START, STEP, *CALL, RESULT, STEPPED, STEP, *TEXT, STEPPED, FINISH]


def changed(index: int, **fields: Any) -> list[Chunk]:
    return [*WHOLE[:index], {**WHOLE[index], **fields}, *WHOLE[index + 1 :]]


@pytest.mark.contract("FACE-17")
def test_a_whole_stream_holds_and_may_stop_anywhere_when_it_is_cut() -> None:
    message = check_stream(WHOLE)
    assert (message.id, message.text, message.tool("c")["output"]) == ("r", "Hi", 1)
    for cut in range(len(WHOLE)):
        check_stream(WHOLE[:cut], whole=False)
        with pytest.raises(StreamError, match="no terminal"):
            check_stream(WHOLE[:cut])


BROKEN: dict[str, list[Chunk]] = {
    "no start": WHOLE[1:],
    "two starts": [START, *WHOLE],
    "an empty id": changed(0, messageId=""),
    "an unknown chunk": [START, {"type": "text"}, FINISH],
    "no type": [START, {}, FINISH],
    "an unknown field": changed(1, more=1),
    "a missing field": [START, {"type": "finish"}],
    "a field of another type": changed(10, id=1),
    "two ends": [*WHOLE, FINISH],
    "a chunk after an error": [START, {"type": "error", "errorText": "x"}, FINISH],
    "an unknown reason": [START, {"type": "finish", "finishReason": "tired"}],
    "text outside a step": [START, *TEXT, FINISH],
    "a call outside a step": [START, *CALL, FINISH],
    "a step in a step": [START, STEP, STEP, STEPPED, FINISH],
    "the end of no step": [START, STEPPED, FINISH],
    "an open step": [START, STEP, FINISH],
    "an open text": [START, STEP, TEXT[0], STEPPED, FINISH],
    "an error over an open text": [START, STEP, TEXT[0], {"type": "error", "errorText": "x"}],
    "a delta of no text": [START, STEP, TEXT[1], STEPPED, FINISH],
    "a text twice": [START, STEP, *TEXT, *TEXT, STEPPED, FINISH],
    "a text in a text": [START, STEP, TEXT[0], {"type": "text-start", "id": "u"}, STEPPED, FINISH],
    "an empty delta": changed(10, delta=""),
    "an input that does not add up": changed(5, input={"a": 2}),
    "an input that is no JSON": [*WHOLE[:4], *WHOLE[5:]],
    "an input of no call": [START, STEP, CALL[3], STEPPED, FINISH],
    "a call of two names": changed(5, toolName="y"),
    "a call twice": [START, STEP, *CALL, *CALL, STEPPED, FINISH],
    "a delta of a whole input": [START, STEP, *CALL, CALL[1], STEPPED, FINISH],
    "a result of no call": [START, RESULT, FINISH],
    "a result of half a call": [START, STEP, CALL[0], RESULT, STEPPED, FINISH],
    "two results": [*WHOLE[:7], RESULT, *WHOLE[7:]],
    "no result": [*WHOLE[:6], *WHOLE[7:]],
    "results in the last step": [START, STEP, *CALL, RESULT, STEPPED, FINISH],
    "an answer to no question": [
        START, {"type": "tool-approval-response", "approvalId": "q", "approved": True}, FINISH,
    ],
    "a denial that nobody gave": [
        START, STEP, *CALL, ASKED, {"type": "tool-output-denied", "toolCallId": "c"}, STEPPED, FINISH,
    ],
    "a step with a call taken back": [START, STEP, *CALL, {"type": "reset-step"}, STEPPED, FINISH],
    "two sources of one id": [
        START, STEP, *[{"type": "source-url", "sourceId": "s", "url": "u"}] * 2, STEPPED, FINISH,
    ],
    "a file elsewhere": [
        START, STEP, {"type": "file", "url": "https://example.com", "mediaType": "x/y"}, STEPPED, FINISH,
    ],
}  # fmt: skip


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_rejected(name: str) -> None:
    with pytest.raises(StreamError):
        check_stream(BROKEN[name])


@pytest.mark.contract("FACE-17")
def test_a_stream_that_goes_on_keeps_its_id() -> None:
    before = check_stream([START, STEP, *CALL, ASKED, STEPPED, {**FINISH, "finishReason": "tool-calls"}])
    check_stream([START, RESULT, STEP, STEPPED, FINISH], before=before)
    with pytest.raises(StreamError, match="another id"):
        check_stream([{**START, "messageId": "s"}, RESULT, STEP, STEPPED, FINISH], before=before)


GOOD = b'data: {"type":"start-step"}\n\n'


@pytest.mark.contract("FACE-17")
def test_frames_are_read_strictly() -> None:
    assert read_frames(b": hb\n\n" + GOOD + b"retry: 1000\n" + GOOD + b"data: [DONE]\n\n") == [STEP, STEP]
    for body, why in {
        GOOD: "missing",
        GOOD + b"data: [DONE]": "cut",
        b"data: [DONE]\n\n" + GOOD: "after",
        b"event: x\n" + GOOD + b"data: [DONE]\n\n": "no frame",
        b"data: 1\n\ndata: [DONE]\n\n": "object",
    }.items():
        with pytest.raises(StreamError, match=why):
            read_frames(body)
