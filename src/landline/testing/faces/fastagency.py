"""A strict checker of FastAgency's messages (FACE-17)."""

from collections.abc import Sequence
from typing import Any

__all__ = ["check_workflow"]

_ENVELOPE = {"workflow_uuid", "sender", "recipient", "auto_reply", "uuid", "type", "content"}
_CONTENT = {
    "workflow_started": {"name", "description", "params"},
    "text_message": {"body"},
    "suggested_function_call": {"function_name", "call_id", "arguments"},
    "function_call_execution": {"function_name", "call_id", "retval"},
    "text_input": {"prompt", "suggestions", "password"},
    "multiple_choice": {"prompt", "choices", "default", "single"},
    "system_message": {"message"},
    "error": {"short", "long"},
    "workflow_completed": {"result"},
}


def check_workflow(messages: Sequence[dict[str, Any]], *, whole: bool = True) -> str | None:
    """Check the messages of one socket and return the workflow's result.

    Each has the whole envelope and exactly the content of its kind; the first starts the workflow, exactly one ends it, as
    the last (unless not `whole`); an execution follows its call; no message comes twice, unless it asks again.

    Raises:
        AssertionError: Saying what is wrong.
    """
    assert messages, "there is no message"
    assert len({message["workflow_uuid"] for message in messages}) == 1, "two workflows in one socket"
    begun, called, seen = False, set[str](), set[str]()
    for index, message in enumerate(messages):
        kind, content = message["type"], message["content"]
        assert set(message) == _ENVELOPE, f"{index}: the envelope has {sorted(message)}"
        assert kind in _CONTENT, f"{index}: there is no kind {kind}"
        assert set(content) == _CONTENT[kind], f"{index}: {kind} has {sorted(content)}"
        asks = kind in ("text_input", "multiple_choice")
        assert begun or kind in ("workflow_started", "text_input", "error"), (
            f"{index}: {kind} before the start"
        )
        begun = begun or kind in ("workflow_started", "error")
        if not asks and kind != "error":
            key = f"{kind} {message['uuid']}"
            assert key not in seen, f"{index}: told twice"
            seen.add(key)
        if kind == "suggested_function_call":
            called.add(content["call_id"])
        if kind == "function_call_execution":
            assert content["call_id"] in called, f"{index}: an execution without its call"
        if kind == "workflow_completed":
            assert index == len(messages) - 1, f"{index}: something follows the end"
    last = messages[-1]
    if whole:
        assert last["type"] == "workflow_completed", "the workflow has no end"
        return str(last["content"]["result"])
    return None
