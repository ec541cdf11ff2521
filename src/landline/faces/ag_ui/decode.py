"""What is new in a RunAgentInput: the client sends the whole conversation each time, and only its end is taken (TRU-19)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from landline.faces.ag_ui.transcript import CONTEXT
from landline.faces.ag_ui.wire import (
    MAX_INPUT_CHARS,
    MAX_PARTS,
    ContentPart,
    ContextBody,
    MediaPart,
    MessageBody,
    RunBody,
    TextPart,
)
from landline.model.carried import Carried, ClientTool
from landline.model.errors import FieldError, Invalid, Unsupported
from landline.model.runs import Answer, Question

__all__ = [
    "call_answers",
    "carried",
    "check_history",
    "check_input",
    "content",
    "context_text",
    "last_user",
    "new_users",
]

_BESIDE = frozenset({"tool", "activity", "reasoning"})
_parts: TypeAdapter[list[TextPart | MediaPart]] = TypeAdapter(list[ContentPart])


def check_input(body: RunBody) -> None:
    """Refuse what no run of ours may be given, whatever the thread holds.

    Raises:
        Invalid: A message claims the role of the system.
        Unsupported: A state that the server did not tell.
    """
    for index, message in enumerate(body.messages):
        if message.role in {"system", "developer"}:
            raise _fault(
                f"instructions are the server's; a message of the role {message.role} is not taken",
                "messages", index, code="forged_message",
            )  # fmt: skip
    state: Any = body.state
    if (
        state is not None
        and state != {}
        and not (isinstance(state, dict) and set(cast("dict[str, Any]", state)) == {"output"})
    ):
        raise Unsupported("The agent takes no state from a client.", code="state_unsupported")


def check_history(messages: Sequence[MessageBody]) -> None:
    """Refuse, on a thread where nothing was said yet, what claims that something was. Raises Invalid."""
    for index, message in enumerate(messages):
        if message.role in {"assistant", "tool"}:
            raise _fault(
                f"the thread is new; nobody has sent a message of the role {message.role}",
                "messages", index, code="forged_message",
            )  # fmt: skip


def new_users(messages: Sequence[MessageBody], taken: Collection[str]) -> list[tuple[int, MessageBody]]:
    """Return the user's messages after the last answer that were not taken before, oldest first, with their indexes."""
    found: list[tuple[int, MessageBody]] = []
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "user" and message.id not in taken:
            found.append((index, message))
        elif message.role == "assistant":
            break
    return found[::-1]


def last_user(messages: Sequence[MessageBody]) -> MessageBody | None:
    """Return the last message when it is the user's: it is to be answered, perhaps again."""
    last = next(
        (message for message in reversed(messages) if message.role not in {"activity", "reasoning"}), None
    )
    return last if last is not None and last.role == "user" else None


def call_answers(
    messages: Sequence[MessageBody], calls: Mapping[str, Question]
) -> list[tuple[Answer, MessageBody]]:
    """Return what tool messages answer of the open calls of the application's tools, each with its message.

    Raises:
        Invalid: A call is answered twice; or the messages end with results that nobody asked for.
        Unsupported: A result holds anything but text.
    """
    found: dict[str, tuple[Answer, MessageBody]] = {}
    for index, message in enumerate(messages):
        question = calls.get(message.tool_call_id or "") if message.role == "tool" else None
        if question is None:
            continue
        if question.question_id in found:
            raise _fault("the call is answered twice", "messages", index)
        found[question.question_id] = (_result(question, message, index), message)
    tail = messages[-1] if messages else None
    if not found and tail is not None and tail.role == "tool":
        raise _fault(
            "the thread waits for no result of this call",
            "messages",
            len(messages) - 1,
            code="forged_message",
        )
    return list(found.values())


def _result(question: Question, message: MessageBody, index: int) -> Answer:
    parts = content(message, index)
    if any(isinstance(part, MediaPart) for part in parts):
        raise Unsupported("The result of a tool is text here.", code="media_result_unsupported")
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    value: Any = text
    if message.error is not None:
        value = {"error": message.error, "content": text} if text else {"error": message.error}
    return Answer(question_id=question.question_id, value=value)


def content(message: MessageBody, index: int) -> list[TextPart | MediaPart]:
    """Return the content of a message as parts.

    Raises:
        Invalid: It is no content, or more than an input may have.
    """
    given: Any = message.content
    if isinstance(given, str):
        parts: list[TextPart | MediaPart] = [TextPart(type="text", text=given)] if given else []
    elif not isinstance(given, list):
        raise _fault("content is text or a list of parts", "messages", index, "content")
    elif len(cast("list[Any]", given)) > MAX_PARTS:
        raise _fault(f"a message may have {MAX_PARTS} parts", "messages", index, "content")
    else:
        try:
            parts = _parts.validate_python([_modern(part) for part in cast("list[Any]", given)])
        except ValidationError as error:
            faults = [
                FieldError(loc=["body", "messages", index, "content", *fault["loc"]], message=fault["msg"])
                for fault in error.errors(include_url=False, include_input=False)
            ]
            raise Invalid(
                "The request does not fit; see errors.", code="invalid_request", errors=faults[:50]
            ) from None
    if sum(len(part.text) for part in parts if isinstance(part, TextPart)) > MAX_INPUT_CHARS:
        raise _fault(f"an input may have {MAX_INPUT_CHARS} characters of text", "messages", index, "content")
    return parts


def _modern(part: Any) -> Any:
    """Return a part of a client from before 1.0, `binary`, as what it is called now."""
    given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    if given.get("type") != "binary":
        return cast("Any", part)
    kind = given.get("mimeType")
    source = next(
        (
            {"type": name, "value": given[key], **({"mimeType": kind} if name == "data" else {})}
            for name, key in (("data", "data"), ("url", "url"), ("file", "id"))
            if given.get(key) is not None
        ),
        None,
    )
    image = isinstance(kind, str) and kind.startswith("image/")
    return {
        "type": "image" if image else "document",
        "source": source,
        "metadata": {"filename": given.get("filename")},
    }


def carried(body: RunBody) -> Carried | None:
    """Return the application's tools, None without any."""
    if not body.tools:
        return None
    tools = [
        ClientTool(name=tool.name, description=tool.description, parameters=tool.parameters or {})
        for tool in body.tools
    ]
    return Carried(tools=tools)


def context_text(context: Sequence[ContextBody] | None) -> str | None:
    """Return what the application wants the agent to know, as one text that goes behind the user's words."""
    if not context:
        return None
    return CONTEXT + "\n".join(f"- {entry.description}: {entry.value}" for entry in context)


def _fault(message: str, *where: int | str, code: str = "invalid_request") -> Invalid:
    return Invalid(
        "The request does not fit; see errors.",
        code=code,
        errors=[FieldError(loc=["body", *where], message=message)],
    )
