"""History for the framework: a turn's own messages and state where it wrote them, the displayed form where it did not.

A turn keeps what it added (THR-3): its messages and the other state that it changed. Folding a branch gives the list of
messages and the state that a checkpointer would hold for it. The bytes of users' files are never in a turn's JSON: the
file's id stands there, and the file is read when the turn is sent again (THR-9).
"""

import base64
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from landline.adapters.langgraph.values import Pool, dump_message, load_messages
from landline.model import messages as shown
from landline.model.errors import NotFound
from landline.ports.adapter import Line

__all__ = ["FRAMEWORK", "VERSION", "Thread", "content_of", "dump_native", "thread_of"]

FRAMEWORK = "langgraph"
VERSION = 1

_FILE = "landline-file:"
_GONE = "[A file that was here has been deleted.]"
_KEPT_TURNS = 4_096


class _Native(msgspec.Struct, omit_defaults=True):
    """What one turn added; `whole`: its messages are the whole list, because it took away or rewrote older ones."""

    messages: list[msgspec.Raw]
    whole: bool = False
    state: dict[str, Any] = {}
    gone: list[str] = []
    pool: list[msgspec.Raw] = []
    checkpoint: str | None = None
    agent: str = ""


_decoder = msgspec.json.Decoder(_Native)
_parsed: OrderedDict[str, tuple[_Native, list[BaseMessage]]] = OrderedDict()


@dataclass(kw_only=True, slots=True)
class Thread:
    """A branch before this turn of `agent`; `state` is what this agent holds beside the messages.

    `fresh` are messages that the state of its last turn does not hold yet.
    """

    agent: str

    messages: list[BaseMessage] = field(default_factory=list[BaseMessage])
    fresh: list[BaseMessage] = field(default_factory=list[BaseMessage])
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    checkpoint: str | None = None

    @property
    def settled(self) -> list[BaseMessage]:
        """The messages that the state holds."""
        return self.messages[: len(self.messages) - len(self.fresh)]


async def content_of(parts: Sequence[shown.Part], line: Line) -> str | list[dict[str, Any]]:
    """Return the user's parts as the content of a message."""
    content: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case shown.TextPart(text=text):
                content.append({"type": "text", "text": text})
            case shown.FilePart(file_id=file_id) | shown.ImagePart(file_id=file_id):
                content.append(await _read(file_id, line))
            case shown.OutputPart(output=output):
                content.append({"type": "text", "text": msgspec.json.encode(output).decode()})
            case _:
                continue
    if all(block["type"] == "text" and "id" not in block for block in content):
        return "".join(block["text"] for block in content)
    return content


async def _read(file_id: str, line: Line) -> dict[str, Any]:
    name, media_type, data = await line.read_file(file_id)
    block: dict[str, Any] = {"id": _FILE + file_id}
    if media_type.startswith("text/"):
        return {**block, "type": "text", "text": f"{name}:\n{data.decode(errors='replace')}"}
    kind = "image" if media_type.startswith("image/") else "file"
    whole = {**block, "type": kind, "mime_type": media_type, "base64": base64.b64encode(data).decode()}
    return whole if kind == "image" else {**whole, "extras": {"filename": name}}


def dump_native(
    *,
    before: Thread,
    messages: Sequence[BaseMessage],
    state: Mapping[str, Any],
    checkpoint: str | None,
    whole: bool,
) -> bytes:
    """Return what a turn added to `before` as JSON; `whole`: also state that it left as it was."""
    count = len(before.messages)
    grown = len(messages) >= count and all(
        new is old or new == old for new, old in zip(messages, before.messages, strict=False)
    )
    pool = Pool([])
    old = {} if whole else {key: Pool([]).dump(value) for key, value in before.state.items()}
    changed = {
        key: value for key, value in state.items() if key not in old or Pool([]).dump(value) != old[key]
    }
    dumped = {key: pool.dump(value) for key, value in changed.items()}
    return msgspec.json.encode(
        _Native(
            messages=[_dump(message) for message in (messages[count:] if grown else messages)],
            whole=not grown,
            state=dumped,
            gone=[key for key in before.state if key not in state],
            pool=[msgspec.Raw(dump) for dump in pool.take_new()],
            checkpoint=checkpoint,
            agent=before.agent,
        )
    )


def _dump(message: BaseMessage) -> msgspec.Raw:
    if _files(message):
        blocks = cast("list[Any]", message.content)
        emptied = [_emptied(block) if _is_ours(block) else block for block in blocks]
        message = message.model_copy(update={"content": emptied})
    return msgspec.Raw(dump_message(message))


def _emptied(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in {"base64", "text"}}


def _is_ours(block: Any) -> bool:
    return isinstance(block, dict) and str(cast("dict[str, Any]", block).get("id", "")).startswith(_FILE)


def _files(message: BaseMessage) -> bool:
    return isinstance(message.content, list) and any(
        _is_ours(block) for block in cast("list[Any]", message.content)
    )


async def thread_of(history: Sequence[shown.Message], line: Line, agent: str) -> Thread:
    """Return the branch before this turn of `agent`."""
    thread = Thread(agent=agent)
    for run in _runs(history):
        whole = run[-1]
        if (native := whole.native) is None or (native.framework, native.version) != (FRAMEWORK, VERSION):
            converted = [one for message in run async for one in _convert(message, line)]
            thread.messages += converted
            thread.fresh += converted
            continue
        turn, messages = _parse(whole)
        if turn.whole:
            thread.messages = []
        elif run[0].role == "user" and run[0].run_id != whole.run_id and not _has_prompt(messages):
            # The turn answered an older question again without repeating it.
            thread.messages += [one async for one in _convert(run[0], line)]
        thread.messages += [await _with_bytes(message.model_copy(), line) for message in messages]
        thread.fresh = []
        thread.checkpoint = turn.checkpoint
        if turn.agent != agent:
            continue
        pool = Pool([])
        pool.give_back(turn.pool)
        kept = {key: value for key, value in thread.state.items() if key not in turn.gone}
        thread.state = {**kept, **{key: pool.load(value) for key, value in turn.state.items()}}
    return thread


def _runs(history: Sequence[shown.Message]) -> Iterator[list[shown.Message]]:
    """Group the branch by turn. An answer to an older question (regenerate) takes that question into its group."""
    group: list[shown.Message] = []
    for message in history:
        same = bool(group) and message.run_id is not None and group[-1].run_id == message.run_id
        answers_again = len(group) == 1 and group[0].role == "user" and message.role != "user"
        if group and not same and not answers_again:
            yield group
            group = []
        group.append(message)
    if group:
        yield group


def _parse(message: shown.Message) -> tuple[_Native, list[BaseMessage]]:
    """Return a turn; parsed ones are kept by message id, so that a warm thread is not parsed again (PRF-5)."""
    kept = _parsed.get(message.id)
    if kept is None:
        assert message.native is not None
        turn = _decoder.decode(bytes(message.native.messages))
        kept = _parsed[message.id] = (turn, load_messages(map(msgspec.json.decode, turn.messages)))
        while len(_parsed) > _KEPT_TURNS:
            _parsed.popitem(last=False)
    else:
        _parsed.move_to_end(message.id)
    return kept


def _has_prompt(messages: Sequence[BaseMessage]) -> bool:
    return bool(messages) and isinstance(messages[0], HumanMessage)


async def _with_bytes(message: BaseMessage, line: Line) -> BaseMessage:
    if not _files(message):
        return message
    blocks = cast("list[Any]", message.content)
    filled = [await _filled(block, line) if _is_ours(block) else block for block in blocks]
    return message.model_copy(update={"content": filled})


async def _filled(block: dict[str, Any], line: Line) -> dict[str, Any]:
    try:
        return await _read(block["id"].removeprefix(_FILE), line)
    except NotFound:
        return {"type": "text", "text": _GONE}


async def _convert(message: shown.Message, line: Line) -> AsyncIterator[BaseMessage]:
    """Yield the displayed form as the framework's messages; the same form gives the same ids."""
    match message.role:
        case "system":
            yield SystemMessage(content=message.content, id=message.id)
        case "user":
            if content := await _content_or_gone(message, line):
                yield HumanMessage(content=content, id=message.id)
        case _:
            for number, converted in enumerate(_spoken(message.parts)):
                converted.id = f"{message.id}:{number}"
                yield converted


async def _content_or_gone(message: shown.Message, line: Line) -> Any:
    try:
        return await content_of(message.parts, line)
    except NotFound:
        return "\n".join(text for text in (message.content, _GONE) if text)


def _spoken(parts: Sequence[shown.Part]) -> Iterator[BaseMessage]:
    """Calls and their results alternate; a call without a result never reached the model and is left out."""
    results = {part.call_id: part for part in parts if isinstance(part, shown.ToolResultPart)}
    said, calls, answered = "", list[Any](), list[BaseMessage]()
    for part in parts:
        if answered and not isinstance(part, shown.ToolResultPart):
            yield AIMessage(content=said, tool_calls=calls)
            yield from answered
            said, calls, answered = "", [], []
        match part:
            case shown.ToolCallPart(call_id=call_id, name=name, arguments=arguments) if call_id in results:
                args = cast("Any", arguments if isinstance(arguments, dict) else {"input": arguments})
                calls.append({"name": name, "args": args, "id": call_id, "type": "tool_call"})
            case shown.ToolResultPart() if any(call["id"] == part.call_id for call in calls):
                answered.append(_returned(part))
            case shown.TextPart(text=text):
                said += text
            case shown.OutputPart(output=output):
                said += msgspec.json.encode(output).decode()
            case _:
                continue
    if said or calls:
        yield AIMessage(content=said, tool_calls=calls)
        yield from answered


def _returned(part: shown.ToolResultPart) -> ToolMessage:
    failed = part.error is not None
    result = part.result if isinstance(part.result, str) else msgspec.json.encode(part.result).decode()
    return ToolMessage(
        content=(part.error or "") if failed else result,
        name=part.name,
        tool_call_id=part.call_id,
        status="error" if failed else "success",
    )
