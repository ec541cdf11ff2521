"""What another Landline is asked: the user's parts, on the thread there that belongs to ours."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from landline.adapters.remote.failures import failed
from landline.adapters.remote.native_cursor import Cursor
from landline.adapters.remote.peer import Peer
from landline.model.ids import fingerprint
from landline.model.messages import FilePart, ImagePart, Message, Native, Part, TextPart, text_of
from landline.ports.adapter import Turn

__all__ = ["FRAMEWORK", "VERSION", "key_of", "native_of", "start_body"]

FRAMEWORK = "remote_landline"
VERSION = 1


class RemoteTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn as it is known there: `head` is the message it ended with, `ours` the thread it was asked from."""

    url: str
    agent: str | None
    thread: str
    run: str
    head: str | None
    ours: str
    user: str
    assistant: str


def key_of(turn: Turn) -> str:
    """Return the key under which the run there is found again: the same in every attempt."""
    asked = f"{turn.thread_id}/{turn.run_id}/{turn.agent.base}/{turn.agent.agent}"
    return f"landline-{fingerprint(asked.encode())[:40]}"


async def start_body(turn: Turn, peer: Peer) -> dict[str, Any]:
    """Return the body that starts the run.

    What was said with other agents on our thread is not sent: nobody can put words into that thread's history.
    """
    agent = turn.agent
    body: dict[str, Any] = {"input": [await _part(part, turn, peer) for part in _sayable(turn.input)]}
    if agent.agent is not None:
        body["agent"] = agent.agent
    if turn.settings:
        body["settings"] = dict(turn.settings)
    before = _before(turn.history, url=agent.base, name=agent.agent)
    if before is not None:
        body["thread_id"] = before.thread
        if before.head is not None:
            body["parent_id"] = before.head
        # A run that is still active there is one of ours that was given up; another fork's may be alive.
        body["on_busy"] = "interrupt" if before.ours == turn.thread_id else "queue"
    return body


def _sayable(parts: Sequence[Part]) -> list[Part]:
    return [
        part
        for part in parts
        if isinstance(part, FilePart | ImagePart) or (isinstance(part, TextPart) and part.text)
    ]


async def _part(part: Part, turn: Turn, peer: Peer) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    assert isinstance(part, FilePart | ImagePart)
    name, _, data = await turn.line.read_file(part.file_id)
    headers = {"idempotency-key": f"{key_of(turn)}-{part.file_id}"}
    answer = await peer.ask(
        "POST", f"/api/v1/files?name={quote(name[:255], safe='')}", content=data, headers=headers
    )
    file_id = answer.check().object().get("id")
    if not isinstance(file_id, str):
        raise failed("invalid_response")
    return {"type": "image" if isinstance(part, ImagePart) else "file", "file_id": file_id}


def _before(history: Sequence[Message], *, url: str, name: str | None) -> RemoteTurn | None:
    """Return the last turn on this branch that this remote agent answered."""
    for message in reversed(history):
        native = message.native
        if native is None or (native.framework, native.version) != (FRAMEWORK, VERSION):
            continue
        (turn,) = msgspec.json.decode(bytes(native.messages), type=list[RemoteTurn])
        if (turn.url, turn.agent) == (url, name):
            return turn
    return None


def native_of(turn: Turn, cursor: Cursor, *, head: str | None, said: str) -> Native:
    """Return the turn as the next one finds it."""
    remote = RemoteTurn(
        url=turn.agent.base,
        agent=turn.agent.agent,
        thread=cursor.thread,
        run=cursor.run,
        head=head,
        ours=turn.thread_id,
        user=text_of(turn.input),
        assistant=said,
    )
    return Native(framework=FRAMEWORK, version=VERSION, messages=Raw(msgspec.json.encode([remote])))
