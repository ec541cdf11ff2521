"""A strict reader of what the MCP face answers to one message (FACE-17); it believes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

__all__ = ["Answered", "check_answer"]

_STATUSES = {"queued", "running", "waiting", "completed", "failed", "cancelled"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One answer: its `response`, and what came before it on the stream."""

    response: dict[str, Any]
    notifications: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def result(self) -> dict[str, Any]:
        """The result; asserts that there is one."""
        assert "result" in self.response, self.response
        return self.response["result"]

    @property
    def error(self) -> dict[str, Any]:
        """The error; asserts that there is one."""
        assert "error" in self.response, self.response
        return self.response["error"]


def check_answer(
    content_type: str,
    body: bytes,
    *,
    message_id: str | int,
    progress_token: str | int | None = None,
    modern: bool = True,
) -> Answered:
    """Return the answer to the message `message_id`, having checked all of it.

    JSON is one response. A stream holds whole frames of kind `message`, each one JSON-RPC message; exactly one of them,
    the last, is the response. Progress comes only when it was asked for, under the token it was asked for with, and rises
    with every notification. On the wire without a handshake a stream holds no requests.

    Raises:
        AssertionError: Something does not hold.
    """
    kind = content_type.partition(";")[0].strip()
    assert kind in {"application/json", "text/event-stream"}, content_type
    messages = [_message(body)] if kind == "application/json" else _messages(body)
    assert messages, "the stream ended without a response"
    notifications: list[dict[str, Any]] = []
    requests: list[dict[str, Any]] = []
    for message in messages[:-1]:
        assert "method" in message, f"a response before the end: {message}"
        (requests if "id" in message else notifications).append(message)
    response = messages[-1]
    assert "method" not in response, f"the stream ended without a response: {response}"
    assert response.get("id") == message_id, f"it answers {response.get('id')!r}, not {message_id!r}"
    assert ("result" in response) != ("error" in response), "a response has a result or an error"
    assert not (modern and requests), f"requests on a stream of the newer wire: {requests}"
    _check_progress(notifications, progress_token)
    if "result" in response:
        _check_result(response["result"], modern=modern)
    else:
        assert isinstance(response["error"]["code"], int)
        assert response["error"]["message"]
    return Answered(response=response, notifications=notifications, requests=requests)


def _messages(body: bytes) -> list[dict[str, Any]]:
    text = body.decode("utf-8").replace("\r\n", "\n")
    assert not text or text.endswith("\n\n"), "the last frame is cut"
    found: list[dict[str, Any]] = []
    for frame in text.split("\n\n")[:-1]:
        lines = [line for line in frame.split("\n") if not line.startswith(":")]
        if not lines:
            continue  # a comment, against silence
        fields = dict(line.split(": ", 1) for line in lines)
        assert len(fields) == len(lines), f"a field twice: {frame}"
        assert fields.get("event", "message") == "message", frame
        if fields.get("data"):
            found.append(_message(fields["data"].encode()))
    return found


def _message(data: bytes) -> dict[str, Any]:
    message: Any = json.loads(data)
    assert isinstance(message, dict), message
    known = cast("dict[str, Any]", message)
    assert known.get("jsonrpc") == "2.0", known
    return known


def _check_progress(notifications: list[dict[str, Any]], token: str | int | None) -> None:
    last = float("-inf")
    for told in notifications:
        if told["method"] != "notifications/progress":
            continue
        assert token is not None, "progress that nobody asked for"
        assert told["params"]["progressToken"] == token, told
        assert told["params"]["progress"] > last, f"progress that does not rise: {told}"
        last = told["params"]["progress"]


def _check_result(result: Mapping[str, Any], *, modern: bool) -> None:
    if modern:
        assert result.get("resultType") in {"complete", "input_required"}, result
    if result.get("resultType") == "input_required":
        assert result["inputRequests"] or result["requestState"]
        return
    meta = cast("dict[str, Any]", result.get("_meta", {}))
    if "landline/run_id" not in meta:
        return
    data = result["structuredContent"]
    assert data["run_id"] == meta["landline/run_id"], "two runs in one result"
    assert data["thread_id"] == meta["landline/thread_id"], "two threads in one result"
    assert data["status"] in _STATUSES, data
    assert bool(result.get("isError")) == (data["status"] in {"failed", "cancelled"}), data
    assert (data["status"] == "waiting") == ("questions" in data), data
    output = data.get("output")
    if data["status"] == "completed" and isinstance(output, str) and output:
        texts = [block["text"] for block in result["content"] if block["type"] == "text"]
        assert texts[:1] == [output], "the text is not the output"
