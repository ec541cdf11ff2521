"""The checker of Responses streams finds what is broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from landline.faces.openai.responses_encode import DONE, Encoder, sse
from landline.model.events import QuestionAsked, ReasoningDelta, RunWaiting, ToolCalled, ToolCompleted
from landline.testing.faces.openai_responses import (
    ResponsesStreamError,
    check_events,
    check_response,
    check_stream,
)
from tests.faces.logs import said
from tests.faces.test_openai_responses_encode import log, record

pytestmark = pytest.mark.contract("FACE-17")

Events = list[dict[str, Any]]


def transcript() -> Events:
    asked = QuestionAsked(
        question_id="q", kind="input", prompt="", tool="see", call_id="d", arguments={"n": 1}
    )
    events = log(
        ReasoningDelta(message_id="m", delta="hm"),
        *said("m", "Hel", "lo"),
        ToolCalled(call_id="c", name="look", arguments={}),
        ToolCompleted(call_id="c", result=1),
        asked,
        RunWaiting(questions=[]),
    )
    encoder = Encoder(record(client_tools=["see"]))
    return copy.deepcopy([frame for event in events for frame in encoder.feed(event)])


def place(events: Events, kind: str) -> int:
    return next(index for index, event in enumerate(events) if event["type"] == kind)


def without(kind: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        del events[place(events, kind)]
        for number, event in enumerate(events):
            event["sequence_number"] = number

    return change


def with_(kind: str, **more: Any) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        events[place(events, kind)] |= more

    return change


def other_status(events: Events) -> None:
    events[-1]["response"]["status"] = "in_progress"


def other_output(events: Events) -> None:
    events[-1]["response"]["output"][1]["content"][0]["text"] = "Bye"


def twice(events: Events) -> None:
    events.append({**events[-1], "sequence_number": len(events)})


def other_id(events: Events) -> None:
    events[1]["response"]["id"] = "resp_x"


def test_a_good_one_passes() -> None:
    events = transcript()
    assert check_events(events).text == "Hello"
    assert (
        check_stream(b": hb\n\n" + sse(events) + DONE, content_type="text/event-stream; charset=utf-8").text
        == "Hello"
    )


@pytest.mark.parametrize(
    "breaks",
    [
        without("response.created"),
        without("response.output_item.added"),
        without("response.content_part.added"),
        without("response.output_text.delta"),
        without("response.output_text.done"),
        without("response.content_part.done"),
        without("response.output_item.done"),
        without("response.reasoning_summary_text.done"),
        without("response.mcp_call_arguments.done"),
        without("response.function_call_arguments.delta"),
        without("response.completed"),
        with_("response.output_text.delta", delta="x"),
        with_("response.output_text.delta", item_id="msg_x"),
        with_("response.output_text.done", text="x"),
        with_("response.function_call_arguments.done", arguments="{"),
        with_("response.in_progress", sequence_number=7),
        other_status,
        other_output,
        other_id,
        twice,
    ],
)
def test_a_broken_one_is_found(breaks: Callable[[Events], None]) -> None:
    events = transcript()
    breaks(events)
    with pytest.raises(ResponsesStreamError):
        check_events(events)


GOOD = sse(transcript())


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        DONE + GOOD,
        GOOD + DONE + GOOD,
        GOOD.replace(b"event: response.created\n", b"event: response.queued\n") + DONE,
        GOOD.replace(b"event: response.created\n", b"") + DONE,
        GOOD[: GOOD.index(b"event: response.completed")] + DONE,
    ],
)
def test_a_broken_body_is_found(body: bytes) -> None:
    with pytest.raises(ResponsesStreamError):
        check_stream(body)


def test_the_content_type_is_looked_at() -> None:
    with pytest.raises(ResponsesStreamError):
        check_stream(sse(transcript()) + DONE, content_type="application/json")


def no_usage(response: dict[str, Any]) -> None:
    del response["usage"]


def an_error(response: dict[str, Any]) -> None:
    response["error"] = {"code": "x", "message": "y"}


def doubled(response: dict[str, Any]) -> None:
    response["output"].append(response["output"][0])


def unended(response: dict[str, Any]) -> None:
    response["output"][1]["status"] = "in_progress"


@pytest.mark.parametrize("breaks", [no_usage, an_error, doubled, unended])
def test_a_broken_response_is_found(breaks: Callable[[dict[str, Any]], None]) -> None:
    response = transcript()[-1]["response"]
    check_response(response)
    breaks(response)
    with pytest.raises(ResponsesStreamError):
        check_response(response)
