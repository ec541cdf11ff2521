"""The strict checker of Chat Completions streams rejects what is broken."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from landline.testing.faces.openai_chat import ChatStreamError, check_chat, check_completion

Chunks = list[dict[str, Any]]
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "notes"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], "usage": None}


def call(index: int, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more}]}


def begun(index: int = 0, id_: str = "x") -> dict[str, Any]:
    return call(index, id=id_, type="function", function={"name": "f", "arguments": ""})


def good() -> Chunks:
    return [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "Hi"}),
        chunk(begun()),
        chunk(call(0, function={"arguments": '{"a":'})),
        chunk(call(0, function={"arguments": "1}"})),
        chunk({}, "tool_calls"),
        {**HEAD, "choices": [], "usage": USAGE},
    ]


def sent(chunks: Chunks, last: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(one)}\n\n" for one in chunks) + last


@pytest.mark.contract("FACE-17")
def test_a_good_stream_adds_up() -> None:
    text = ": hb\n\n" + sent(good())
    told = check_chat(text.encode(), content_type="text/event-stream; charset=utf-8", include_usage=True)
    assert (told.content, told.reasoning, told.finish_reason, told.usage) == (
        "Hi",
        "Hm.",
        "tool_calls",
        USAGE,
    )
    assert [(one.id, one.name, one.arguments) for one in told.calls] == [("x", "f", '{"a":1}')]
    cut = sent(good()[:3], "")
    assert check_chat(cut, include_usage=True, whole=False).content == "Hi"
    error = {"error": {"message": "m", "type": "server_error", "param": None, "code": "c"}}
    assert check_chat(sent([*good()[:3], error], ""), include_usage=True).error == error["error"]


def without(index: int) -> Callable[[Chunks], str]:
    return lambda chunks: sent(chunks[:index] + chunks[index + 1 :])


def with_(index: int, *more: dict[str, Any]) -> Callable[[Chunks], str]:
    return lambda chunks: sent([*chunks[:index], *more, *chunks[index:]])


def instead(index: int, one: dict[str, Any]) -> Callable[[Chunks], str]:
    return lambda chunks: sent([*chunks[:index], one, *chunks[index + 1 :]])


ERROR = {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}
BROKEN: dict[str, Callable[[Chunks], str]] = {
    "no role": without(0),
    "role twice": with_(1, chunk({"role": "assistant"})),
    "role of another": instead(0, chunk({"role": "user"})),
    "no end": lambda chunks: sent(chunks, ""),
    "no reason": lambda chunks: sent(chunks[:6]),
    "a strange reason": instead(6, chunk({}, "whim")),
    "two reasons": with_(7, chunk({}, "stop")),
    "a delta after the reason": with_(7, chunk({"content": "more"})),
    "a delta with the reason": instead(6, chunk({"content": "x"}, "tool_calls")),
    "no usage": without(7),
    "usage twice": with_(7, {**HEAD, "choices": [], "usage": USAGE}),
    "usage too early": with_(1, {**HEAD, "choices": [], "usage": USAGE}),
    "usage beside a choice": instead(2, {**chunk({"content": "Hi"}), "usage": USAGE}),
    "usage without tokens": instead(7, {**HEAD, "choices": [], "usage": {**USAGE, "total_tokens": -1}}),
    "no usage field": instead(2, {k: v for k, v in chunk({"content": "Hi"}).items() if k != "usage"}),
    "another id": instead(2, {**chunk({"content": "Hi"}), "id": "d"}),
    "another object": instead(2, {**chunk({"content": "Hi"}), "object": "chat.completion"}),
    "a field of nobody's": instead(2, {**chunk({"content": "Hi"}), "x": 1}),
    "a delta of nobody's": instead(2, chunk({"text": "Hi"})),
    "arguments cut": without(5),
    "arguments of no object": instead(5, chunk(call(0, function={"arguments": "1"}))),
    "a call without its id": instead(3, chunk(call(0, type="function", function={"name": "f", "arguments": ""}))),
    "a call's id twice": with_(4, chunk(call(0, id="x", function={"arguments": ""}))),
    "a number left out": with_(6, chunk(begun(2))),
    "an id of two calls": with_(6, chunk(begun(1, "x")), chunk(call(1, function={"arguments": "{}"}))),
    "calls without calls": lambda chunks: sent(chunks[:3] + chunks[6:]),
    "a citation of nothing": with_(3, chunk({"annotations": [{"url_citation": {"start_index": 0, "end_index": 9, "url": "u"}}]})),
    "frames after the end": lambda chunks: sent(chunks, "data: [DONE]\n\ndata: [DONE]\n\n"),
    "chunks after an error": with_(2, ERROR),
    "an error of another shape": with_(7, {"error": {"message": "m"}}),
    "a named frame": lambda chunks: "event: x\n" + sent(chunks),
    "a frame with an id": lambda chunks: "id: 1\n" + sent(chunks),
    "two choices": instead(2, {**HEAD, "choices": [*chunk({})["choices"], *chunk({})["choices"]], "usage": None}),
    "a cut frame": lambda chunks: sent(chunks, "data: [DO"),
}  # fmt: skip


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_stream_is_rejected(broken: str) -> None:
    with pytest.raises((ChatStreamError, ValueError)):
        check_chat(BROKEN[broken](good()), include_usage=True)


@pytest.mark.contract("FACE-17")
def test_a_stream_of_another_type_or_with_usage_that_nobody_asked_for_is_rejected() -> None:
    with pytest.raises(ChatStreamError):
        check_chat(sent(good()), content_type="application/json", include_usage=True)
    with pytest.raises(ChatStreamError):
        check_chat(sent(good()))


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "broken",
    [
        {"object": "chat.completion.chunk"},
        {"created": None},
        {"usage": {}},
        {"choices": [{"index": 0, "message": {"role": "user", "content": "Hi"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": None}]},
    ],
)
def test_a_broken_completion_is_rejected(broken: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "Hi"}
    whole: dict[str, Any] = {**HEAD, "object": "chat.completion", "usage": USAGE}
    whole["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert check_completion(whole).content == "Hi"
    with pytest.raises(ChatStreamError):
        check_completion({**whole, **broken})
