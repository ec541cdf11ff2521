"""What tools give back, as plain JSON for the log and as the framework's own messages, before and after a crash."""

import base64
from typing import Any, cast

import msgspec
from langchain_core.messages import ToolMessage

from landline.adapters.langgraph.values import Pool

__all__ = ["BROUGHT_CODES", "HandledError", "dump_result", "load_result", "refusal"]

# The framework's own text around an exception that nobody wrote a word for.
_CATCH_ALL = ("Error: ", "Please fix your mistakes.")


BROUGHT_CODES = "mcp_"
"""How the codes of tools that Landline brings begin."""


class HandledError(Exception):
    """The tool failed and the graph told the model so: `message` is what the model is told."""

    def __init__(self, message: ToolMessage) -> None:
        super().__init__(message.name)
        self.message = message

    def failure(self) -> tuple[str, str]:
        """Return code and text for the log: words meant for the model, never an exception's own."""
        text = str(self.message.content)
        if text.startswith(_CATCH_ALL[0]) and text.rstrip().endswith(_CATCH_ALL[1]):
            return "tool_error", f"The tool {self.message.name} failed."
        artifact = self.message.artifact
        code = str(cast("dict[str, Any]", artifact).get("code", "")) if isinstance(artifact, dict) else ""
        return code if code.startswith(BROUGHT_CODES) else "tool_failed", text


def refusal(call: dict[str, Any], text: str, *, code: str = "") -> ToolMessage:
    """Return what the model is told of a call that was not run, or that failed with the `code` of a brought tool."""
    # No model is told of an artifact; it brings the code to the log.
    told = {"code": code} if code.startswith(BROUGHT_CODES) else None
    return ToolMessage(
        content=text, artifact=told, name=call["name"], tool_call_id=call["id"], status="error"
    )


def dump_result(output: Any) -> tuple[Any, bytes | None]:
    """Return (what the log shows, the record that restores what it does not show).

    A result that is text, or JSON as text, is shown whole and needs no record. Blocks, artifacts, commands to the graph
    and lists of results are shown as far as they are JSON and recorded beside the log.
    """
    shown = _shown(output)
    if isinstance(output, ToolMessage) and _rebuilt(output, shown) == output:
        return shown, None
    pool = Pool([])
    value = pool.dump(output)
    return shown, msgspec.json.encode(
        {"value": value, "new": [msgspec.Raw(dump) for dump in pool.take_new()]}
    )


def load_result(call: dict[str, Any], shown: Any, record: bytes | None) -> Any:
    """Return what the graph is given: built from the shown JSON, or what the record restores."""
    if record is None:
        return ToolMessage(content=_text_of(shown), name=call["name"], tool_call_id=call["id"])
    kept = msgspec.json.decode(record, type=_Kept)
    pool = Pool([])
    pool.give_back(kept.new)
    return pool.load(kept.value)


class _Kept(msgspec.Struct):
    value: Any
    new: list[msgspec.Raw]


def _rebuilt(output: ToolMessage, shown: Any) -> ToolMessage:
    return ToolMessage(
        content=_text_of(shown), name=output.name, tool_call_id=output.tool_call_id, id=output.id
    )


def _text_of(shown: Any) -> str:
    return shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()


def _shown(output: Any) -> Any:
    if isinstance(output, ToolMessage):
        return _json_of(cast("Any", output.content))
    if isinstance(output, list):
        shown = [_shown(item) for item in cast("list[Any]", output)]
        return shown[0] if len(shown) == 1 else shown
    update = getattr(output, "update", None)
    messages = cast("Any", update).get("messages") if isinstance(update, dict) else None
    told = [message for message in messages or () if isinstance(message, ToolMessage)]
    return _shown(told) if told else None


def _json_of(content: Any) -> Any:
    """Show numbers, lists and objects as such: the framework hands on a tool's result as JSON text."""
    if isinstance(content, str):
        if content[:1] not in '{["-0123456789tfn':
            return content
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return content
    if isinstance(content, list):
        blocks = cast("list[Any]", content)
        return [_without_bytes(block) for block in blocks]
    return content


def _without_bytes(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    items = cast("dict[str, Any]", block)
    if isinstance(data := items.get("base64"), str):
        size = len(base64.b64decode(data))
        return {**{key: value for key, value in items.items() if key != "base64"}, "size": size}
    return items
