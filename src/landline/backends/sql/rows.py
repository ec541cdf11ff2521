"""Rows to the frozen data of the model and back. A row is anything that is read by column name."""

from typing import Any, Protocol

import msgspec
from msgspec.structs import asdict

from landline.model.audit import AuditEntry
from landline.model.callers import Caller
from landline.model.carried import Carried
from landline.model.errors import ErrorInfo
from landline.model.files import FileInfo
from landline.model.messages import Native, Part
from landline.model.runs import Answer, Question, Run, Usage
from landline.model.threads import Thread
from landline.ports.documents import Document
from landline.ports.keys import KeyRow, NewKey
from landline.ports.people import NewUser, UserRow
from landline.ports.store import Claim, NewMessage

__all__ = [
    "Row",
    "audit_columns",
    "audit_of",
    "claim_of",
    "decode_answer",
    "decode_carried",
    "decode_input",
    "decode_metadata",
    "decode_native",
    "decode_parts",
    "decode_question",
    "document_of",
    "file_of",
    "json",
    "json_text",
    "key_columns",
    "key_of",
    "message_columns",
    "optional_json",
    "parent_of",
    "run_of",
    "thread_of",
    "user_columns",
    "user_of",
]


class Row(Protocol):
    """A row of a result, by column name."""

    def __getitem__(self, column: str, /) -> Any: ...


_encoder = msgspec.json.Encoder()
_usage = msgspec.json.Decoder(Usage)
_error = msgspec.json.Decoder(ErrorInfo)
_words = msgspec.json.Decoder(tuple[str, ...])
_limits = msgspec.json.Decoder(dict[str, str])
decode_question = msgspec.json.Decoder(Question).decode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_parts = msgspec.json.Decoder(list[Part]).decode
decode_native = msgspec.json.Decoder(Native).decode
decode_metadata = msgspec.json.Decoder(dict[str, Any]).decode
decode_carried = msgspec.json.Decoder(Carried).decode
decode_input = msgspec.json.Decoder(NewMessage).decode

json = _encoder.encode


def json_text(value: object) -> str:
    """Return JSON that SQL can look into."""
    return _encoder.encode(value).decode()


def optional_json(value: object) -> bytes | None:
    """Return JSON, or NULL for None."""
    return None if value is None else _encoder.encode(value)


def thread_of(row: Row) -> Thread:
    """Return the thread of a row of `threads.COLUMNS`."""
    return Thread(
        id=row["id"],
        user_id=row["user_id"],
        agent=row["agent"],
        title=row["title"],
        metadata=decode_metadata(row["metadata"]),
        pinned=bool(row["pinned"]),
        archived=bool(row["archived"]),
        head_id=row["head_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        message_count=row["message_count"],
    )


def run_of(row: Row, questions: list[Question] | None = None) -> Run:
    """Return the run of a row of `runs.COLUMNS`."""
    output, usage, error = row["output"], row["usage"], row["error"]
    return Run(
        id=row["id"],
        thread_id=row["thread_id"],
        agent=row["agent"],
        status=row["status"],
        created_at=row["created_at"],
        output=None if output is None else msgspec.json.decode(output),
        message_id=row["message_id"],
        model=row["model"],
        usage=Usage() if usage is None else _usage.decode(usage),
        error=None if error is None else _error.decode(error),
        questions=questions or (),
        attempt=row["attempt"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        metadata=decode_metadata(row["metadata"]),
        routed_to=row["routed_to"],
    )


def claim_of(row: Row) -> Claim:
    """Return the claim of a row of a claiming statement, as the row stands."""
    message = None if row["input"] is None else decode_input(row["input"])
    return Claim(
        run=run_of(row),
        caller=Caller(tenant=row["tenant"], user=row["user_id"], key_id=row["key_id"]),
        epoch=row["epoch"],
        last_seq=row["last_seq"],
        input=message.parts if message else (),
        input_message_id=message.id if message else None,
        parent_id=row["parent_id"],
        settings=decode_metadata(row["settings"]),
        deadline_s=row["deadline_s"],
        spent_s=row["spent_s"],
        needs_context=bool(row["needs_context"]),
        cancel_by=row["cancel_by"],
        attempts_without_progress=row["attempts_without_progress"],
        carried=None if row["carried"] is None else decode_carried(row["carried"]),
    )


def parent_of(asked: str | None, head_id: str | None) -> str | None:
    """Return the message a run begins below: the head unless `asked` names another; "" asks for the root."""
    return head_id if asked is None else asked or None


def message_columns(message: NewMessage) -> dict[str, Any]:
    """Return the columns of a new message that do not depend on its place."""
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "parts": _encoder.encode(message.parts),
        "at": message.at,
        "metadata": _encoder.encode(message.metadata),
        "native": optional_json(message.native),
    }


def file_of(row: Row) -> FileInfo:
    """Return the file of a row."""
    return FileInfo(
        id=row["id"],
        name=row["name"],
        media_type=row["media_type"],
        size=row["size"],
        sha256=row["sha256"],
        created_at=row["created_at"],
    )


def document_of(row: Row) -> Document:
    """Return the document of a row."""
    return Document(key=row["key"], body=row["body"], version=row["version"], label=row["label"])


def key_of(row: Row) -> KeyRow:
    """Return the API key of a row."""
    return KeyRow(
        id=row["id"],
        prefix=row["prefix"],
        hash=row["hash"],
        tenant=row["tenant"],
        user=row["user_id"],
        scopes=_words.decode(row["scopes"]),
        name=row["name"],
        at=row["created_at"],
        expires_at=row["expires_at"],
        agents=_optional_words(row["agents"]),
        tier=row["tier"],
        limits=None if row["limits"] is None else _limits.decode(row["limits"]),
        replaces=row["replaces"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        user_roles=_optional_words(row["user_roles"]),
        user_disabled_at=row["user_disabled_at"],
    )


def _optional_words(value: bytes | None) -> tuple[str, ...] | None:
    return None if value is None else _words.decode(value)


def key_columns(key: NewKey) -> dict[str, Any]:
    """Return the columns of a new API key."""
    return {
        "id": key.id,
        "tenant": key.tenant,
        "user": key.user,
        "prefix": key.prefix,
        "hash": key.hash,
        "scopes": json(list(key.scopes)),
        "name": key.name,
        "at": key.at,
        "expires_at": key.expires_at,
        "agents": optional_json(None if key.agents is None else list(key.agents)),
        "tier": key.tier,
        "limits": optional_json(key.limits),
        "replaces": key.replaces,
    }


def user_of(row: Row) -> UserRow:
    """Return the user of a row."""
    return UserRow(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        roles=_words.decode(row["roles"]),
        at=row["created_at"],
        email=row["email"],
        password_hash=row["password_hash"],
        disabled_at=row["disabled_at"],
        failed_count=row["failed_count"],
        locked_until=row["locked_until"],
    )


def user_columns(new: NewUser) -> dict[str, Any]:
    """Return the columns of a new user."""
    return {
        "id": new.id,
        "tenant": new.tenant,
        "name": new.name,
        "email": new.email,
        "password_hash": new.password_hash,
        "roles": json(list(new.roles)),
        "at": new.at,
    }


def audit_columns(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry of the audit log as the parameters of its insert."""
    columns = asdict(entry)
    return {**columns, "roles": json_text(entry.roles), "details": json_text(entry.details)}


def audit_of(row: Row) -> AuditEntry:
    """Return the audit entry of a row."""
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        action=row["action"],
        outcome=row["outcome"],
        tenant=row["tenant"],
        user=row["user_id"],
        key_id=row["key_id"],
        roles=tuple(_words.decode(row["roles"])),
        target=row["target"],
        request_id=row["request_id"],
        remote=row["remote"],
        details=decode_metadata(row["details"]),
    )
