"""From a graph's interrupts to questions, and from answers to what the graph is given in their place (ADP-3).

What an interrupt's value looks like decides what is asked:

- the request of `HumanInTheLoopMiddleware`, batched or per call, and the older `HumanInterrupt`: one approval per action;
- `{"type": "approval", ...}`: an approval; the graph gets `{"approve", "reason", "arguments"}`;
- `{"choices": [...]}` (or `options`), or a response schema with an `enum`: a choice; the graph gets the value;
- a response schema of type boolean: an approval; the graph gets true or false;
- anything else: an input; the graph gets the value.
"""

from collections.abc import Sequence
from typing import Any, cast

from langgraph.types import Interrupt

from landline.adapters.langgraph.values import plain
from landline.model.runs import Answer
from landline.ports.adapter import Ask

__all__ = ["asks_of", "resume_value"]

_PROMPTS = ("prompt", "question", "message", "description", "text", "query", "instruction")
_REJECTED = "A human did not allow this call."
_NO_EDIT = "The arguments of this call may not be changed."


def asks_of(interrupt: Interrupt) -> list[Ask]:
    """Return the questions that one interrupt stands for; their keys are the same when it is met again."""
    key, value = f"interrupt:{interrupt.id}", interrupt.value
    if (actions := _actions(value)) is not None:
        return [
            _approval_or_reply(f"{key}:{number}", action, allowed)
            for number, (action, allowed) in enumerate(actions)
        ]
    shown = plain(value)
    prompt, choices = _prompt(shown), _choices(shown, interrupt.response_schema)
    if _is_approval(shown, interrupt.response_schema):
        items = cast("dict[str, Any]", shown) if isinstance(shown, dict) else {}
        tool = next((items[k] for k in ("tool", "name", "action") if isinstance(items.get(k), str)), None)
        arguments = items.get("arguments", items.get("args"))
        return [Ask(key=key, kind="approval", prompt=prompt, tool=tool, arguments=arguments)]
    arguments = cast("Any", shown) if isinstance(shown, dict) else None
    kind = "choice" if choices else "input"
    return [Ask(key=key, kind=kind, prompt=prompt, choices=choices, arguments=arguments)]


def resume_value(interrupt: Interrupt, answers: Sequence[Answer]) -> Any:
    """Return what the graph is given for `interrupt`, from the answers to its questions."""
    value = interrupt.value
    if (actions := _actions(value)) is not None:
        decisions = [
            _decision(action, allowed, answer)
            for (action, allowed), answer in zip(actions, answers, strict=True)
        ]
        if isinstance(value, list):
            return [_older(decision) for decision in decisions]
        items = cast("dict[str, Any]", value)
        if "action_request" in items:
            return [_older(decisions[0])]
        return decisions[0] if items.get("type") == "tool_approval" else {"decisions": decisions}
    (answer,) = answers
    if not _is_approval(plain(value), interrupt.response_schema):
        return answer.value
    if _schema_type(interrupt.response_schema) == "boolean":
        return bool(answer.approve)
    return {"approve": bool(answer.approve), "reason": answer.reason, "arguments": answer.arguments}


_Action = tuple[dict[str, Any], Sequence[str]]


def _actions(value: Any) -> list[_Action] | None:
    """Return the actions that wait for a decision with the decisions allowed for each; None for other interrupts."""
    if isinstance(value, list) and value and all(_is_older(item) for item in cast("list[Any]", value)):
        return [_from_older(item) for item in cast("list[dict[str, Any]]", value)]
    if not isinstance(value, dict):
        return None
    items = cast("dict[str, Any]", value)
    if _is_older(items):
        return [_from_older(items)]
    if items.get("type") == "tool_approval" and "tool_call_id" in items:
        return [(items, ("approve", "edit", "reject"))]
    requests, configs = items.get("action_requests"), items.get("review_configs")
    if not isinstance(requests, list) or not isinstance(configs, list):
        return None
    allowed = {
        config["action_name"]: cast("Sequence[str]", config["allowed_decisions"])
        for config in cast("list[dict[str, Any]]", configs)
    }
    return [
        (request, allowed.get(request["name"], ("approve", "reject")))
        for request in cast("list[dict[str, Any]]", requests)
    ]


def _is_older(value: Any) -> bool:
    return isinstance(value, dict) and "action_request" in value and "config" in value


def _from_older(value: dict[str, Any]) -> _Action:
    request, config = value["action_request"], value["config"]
    allowed = {
        "approve": "allow_accept",
        "edit": "allow_edit",
        "reject": "allow_ignore",
        "respond": "allow_respond",
    }
    action = {"name": request["action"], "args": request["args"], "description": value.get("description")}
    return action, [name for name, key in allowed.items() if config.get(key)]


def _older(decision: dict[str, Any]) -> dict[str, Any]:
    match decision:
        case {"type": "edit", "edited_action": {"name": name, "args": args}}:
            return {"type": "edit", "args": {"action": name, "args": args}}
        case {"type": "approve"}:
            return {"type": "accept", "args": None}
        case {"type": "respond", "message": message}:
            return {"type": "response", "args": message}
        case _:
            return {"type": "ignore", "args": None}


def _approval_or_reply(key: str, action: dict[str, Any], allowed: Sequence[str]) -> Ask:
    name, args = str(action["name"]), plain(action["args"])
    if list(allowed) == ["respond"]:
        prompt = _prompt(args) if isinstance(args, dict) else f"The tool {name} needs an answer."
        return Ask(key=key, kind="input", prompt=prompt, tool=name, arguments=args)
    said = action.get("description")
    prompt = said if isinstance(said, str) and said else f"Allow the tool {name} to run?"
    call_id = cast("str | None", action.get("tool_call_id"))
    return Ask(key=key, kind="approval", prompt=prompt, tool=name, call_id=call_id, arguments=args)


def _decision(action: dict[str, Any], allowed: Sequence[str], answer: Answer) -> dict[str, Any]:
    if list(allowed) == ["respond"]:
        return {"type": "respond", "message": str(answer.value)}
    if not answer.approve:
        return {"type": "reject", "message": answer.reason or _REJECTED}
    if answer.arguments is None:
        return {"type": "approve"}
    if "edit" not in allowed:
        return {"type": "reject", "message": _NO_EDIT}
    return {"type": "edit", "edited_action": {"name": action["name"], "args": answer.arguments}}


def _prompt(shown: Any) -> str:
    if isinstance(shown, str):
        return shown
    if isinstance(shown, dict):
        items = cast("dict[str, Any]", shown)
        for name in _PROMPTS:
            if isinstance(text := items.get(name), str) and text:
                return text
    return "The agent needs an answer."


def _choices(shown: Any, schema: Any) -> list[str] | None:
    found: Any = cast("dict[str, Any]", schema).get("enum") if isinstance(schema, dict) else None
    if isinstance(shown, dict):
        items = cast("dict[str, Any]", shown)
        found = items.get("choices") or items.get("options") or found
    if isinstance(found, list) and found and all(isinstance(item, str) for item in cast("list[Any]", found)):
        return cast("list[str]", found)
    return None


def _is_approval(shown: Any, schema: Any) -> bool:
    if _schema_type(schema) == "boolean":
        return True
    if not isinstance(shown, dict):
        return False
    items = cast("dict[str, Any]", shown)
    return "approval" in (items.get("type"), items.get("kind"))


def _schema_type(schema: Any) -> str | None:
    return cast("dict[str, Any]", schema).get("type") if isinstance(schema, dict) else None
