"""What a script sees of a model call: the parsed body, and the few readings of it that both APIs share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

__all__ = ["Api", "InvalidBody", "Request", "parse"]

Api = Literal["chat", "responses"]
JsonObject = dict[str, Any]

_ASSISTANT_ITEMS = frozenset({"function_call", "reasoning"})


class InvalidBody(ValueError):
    """The body is not a JSON object with messages (chat) or input (responses)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One model call, as it came in.

    Args:
        index: Place among all calls of this server, from 0; `ScriptedUpstream.requests[index]`.
        turn: Model turns this conversation already has, from 0. Counted in the body, so concurrent
            conversations do not mix; a run of assistant items with nothing in between is one turn.
        attempt: Earlier calls with the very same body.
        headers: Names in lower case.
        text: The last user message's text.
    """

    index: int
    api: Api
    turn: int
    attempt: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    text: str

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.body.get("stream") is True

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body.get("model") or "scripted")

    @property
    def items(self) -> list[JsonObject]:
        """The messages (chat) or input items (responses)."""
        return _items(self.api, self.body)

    @property
    def tools(self) -> dict[str, JsonObject]:
        """The function tools on offer: name -> JSON schema of the arguments."""
        listed = (cast("JsonObject", tool.get("function", tool)) for tool in _objects(self.body.get("tools")))
        return {str(tool["name"]): tool.get("parameters") or {} for tool in listed if "name" in tool}

    @property
    def forced_tool(self) -> str | None:
        """The tool that `tool_choice` names, or the only one when a call is required."""
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict):
            named = cast("JsonObject", choice)
            name = cast("JsonObject", named.get("function") or named).get("name")
            return None if name is None else str(name)
        return next(iter(self.tools)) if choice == "required" and len(self.tools) == 1 else None

    @property
    def wants_json(self) -> bool:
        """Whether the answer's text has to be JSON."""
        wanted: object = self.body.get("response_format")
        if self.api == "responses":
            text: object = self.body.get("text")
            wanted = cast("JsonObject", text).get("format") if isinstance(text, dict) else None
        return isinstance(wanted, dict) and cast("JsonObject", wanted).get("type") in (
            "json_schema",
            "json_object",
        )


def parse(raw: bytes, *, api: Api) -> JsonObject:
    """Read a body, refusing what no conversation can be read from.

    Raises:
        InvalidBody: See there.
    """
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidBody(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidBody("the body is not a JSON object")
    found = cast("JsonObject", body)
    if api == "chat" and not isinstance(found.get("messages"), list):
        raise InvalidBody("'messages' must be a list")
    if api == "responses" and not isinstance(found.get("input"), (list, str)):
        raise InvalidBody("'input' must be a string or a list")
    return found


def turns_in(api: Api, body: Mapping[str, Any]) -> int:
    """Count the runs of assistant items."""
    sides = [
        item.get("role") == "assistant" or item.get("type") in _ASSISTANT_ITEMS for item in _items(api, body)
    ]
    return sum(now and not before for before, now in zip([False, *sides], sides, strict=False))


def last_user_text(api: Api, body: Mapping[str, Any]) -> str:
    """The text of the last user message, its parts joined; "" if there is none."""
    for item in reversed(_items(api, body)):
        if item.get("role") == "user":
            content: object = item.get("content")
            if isinstance(content, str):
                return content
            return "".join(part["text"] for part in _objects(content) if isinstance(part.get("text"), str))
    return ""


def _items(api: Api, body: Mapping[str, Any]) -> list[JsonObject]:
    found: object = body.get("messages") if api == "chat" else body.get("input")
    return [{"role": "user", "content": found}] if isinstance(found, str) else _objects(found)


def _objects(value: object) -> list[JsonObject]:
    if not isinstance(value, list):
        return []
    return [cast("JsonObject", item) for item in cast("list[object]", value) if isinstance(item, dict)]
