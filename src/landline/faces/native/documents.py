"""What the OpenAPI document says of answers: the model's own shapes, every status, an example each."""

import inspect
from functools import cache, partial
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from landline.model import agents, audit, errors, events, files, messages, people, runs, threads, usage
from landline.web.problems import Problem
from landline.web.schema import mirror, tagged

__all__ = ["answer", "event_stream", "problems", "shape"]

ID: Final = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"
AT: Final = "2026-11-21T08:00:00.123Z"
_CONFIG: Final = ConfigDict(defer_build=True, protected_namespaces=())

THREAD: Final[dict[str, Any]] = {
    "id": ID, "user_id": "local", "agent": "notes", "title": "Groceries", "metadata": {}, "pinned": False,
    "archived": False, "head_id": None, "created_at": AT, "updated_at": AT, "message_count": 0,
}  # fmt: skip
MESSAGE: Final[dict[str, Any]] = {
    "id": ID, "thread_id": ID, "run_id": ID, "parent_id": None, "seq": 1, "role": "user", "content": "Hello",
    "parts": [{"type": "text", "text": "Hello"}], "created_at": AT, "metadata": {},
}  # fmt: skip
RUN: Final[dict[str, Any]] = {
    "id": ID, "thread_id": ID, "agent": "notes", "status": "completed", "created_at": AT, "output": "Milk and bread.",
    "message_id": ID, "model": "scripted", "usage": {"input_tokens": 12, "output_tokens": 4, "total_tokens": 16},
    "error": None, "questions": [], "attempt": 1, "started_at": AT, "ended_at": AT, "metadata": {},
    "routed_to": None,
}  # fmt: skip
QUESTION: Final[dict[str, Any]] = {
    "question_id": ID, "kind": "approval", "prompt": "Delete the note “milk”?", "tool": "delete_note",
    "arguments": {"title": "milk"}, "run_id": ID, "thread_id": ID, "agent": "notes", "asked_at": AT,
}  # fmt: skip
FILE: Final[dict[str, Any]] = {
    "id": ID, "name": "list.txt", "media_type": "text/plain", "size": 12, "sha256": "0" * 64, "created_at": AT,
}  # fmt: skip
KEY: Final[dict[str, Any]] = {
    "id": ID, "prefix": "ll_00000000", "tenant": "acme", "user": "ann", "scopes": ["runs:read", "runs:write"],
    "agents": None, "tier": "free", "limits": None, "name": "laptop", "replaces": None, "at": AT, "expires_at": None,
    "revoked_at": None, "last_used_at": None,
}  # fmt: skip
USER: Final[dict[str, Any]] = {
    "id": ID, "tenant": "acme", "name": "ann", "email": "ann@example.com", "roles": ["user"], "has_password": False,
    "created_at": AT, "disabled_at": None, "locked_until": None,
}  # fmt: skip
AGENT: Final[dict[str, Any]] = {
    "name": "notes", "title": "Notes", "framework": "pydantic_ai", "version": "1", "description": "Keeps notes.",
    "starters": ["What is on my list?"], "input_schema": {}, "output_schema": {}, "tools": [], "settings": ["temperature"],
    "limits": {}, "scopes": [], "capabilities": ["streaming", "tools"], "labels": {}, "error": None,
}  # fmt: skip
EVENT: Final[dict[str, Any]] = {
    "seq": 4, "run_id": ID, "thread_id": ID, "at": AT, "type": "text.delta", "message_id": ID, "delta": "Milk",
}  # fmt: skip
STREAM: Final = (
    f'id: 4\nevent: text.delta\ndata: {{"seq":4,"run_id":"{ID}","thread_id":"{ID}","at":"{AT}",'
    f'"type":"text.delta","message_id":"{ID}","delta":"Milk"}}\n\n'
)

_WHEN: Final = {
    400: ("The body is not acceptable JSON, or the credentials contradict.", "invalid_json"),
    401: ("No credential, or one that does not hold.", "unauthenticated"),
    403: ("The caller may not do this.", "missing_scope"),
    404: ("No such thing among the caller's own.", "not_found"),
    409: ("Not in this state; `thread_busy` names the active run.", "thread_busy"),
    410: ("The cursor cannot be served any more.", "cursor_gone"),
    413: ("Over a size limit.", "too_large"),
    415: ("The body is not JSON.", "unsupported_media_type"),
    421: ("The Host header names another server.", "unknown_host"),
    422: ("The request does not fit, or the agent cannot do it.", "invalid_request"),
    429: ("Too often, too much at once, or a budget is used up; `code` names it.", "rate_limited"),
    431: ("The headers are over 32 KB.", "headers_too_large"),
    502: ("The agent or what it calls failed.", "agent_failed"),
    503: ("Not now: the server is stopping, or the agent could not be loaded.", "unavailable"),
    507: ("The store cannot write.", "storage_failed"),
}


@cache
def shape(name: str) -> type[BaseModel]:
    """Return the schema of `Thread`, `Run`, `RunEvent`, `ThreadPage`, and so on."""
    match name:
        case "Message":
            return mirror(messages.Message, without=frozenset({"native"}))
        case "RunEvent":
            return _event_union()
        case "EventPage":
            return _made(
                "EventPage",
                items=(list[shape("RunEvent")], ...),
                next_after=(int, Field(description="Pass as `after`.")),
            )
        case "ThreadWithMessages":
            history: Any = shape("MessagePage")
            fields: dict[str, Any] = {"messages": (history | None, None)}
            return create_model(name, __base__=shape("Thread"), **fields)
        case "AnsweredQuestions":
            return _made(name, questions=(list[shape("Question")], ...))
        case "Fanout":
            part = _made(
                "FanoutOutcome",
                agent=(str, ...),
                run=(shape("Run") | None, None),
                error=(shape("ErrorInfo") | None, None),
            )
            return _made(name, items=(list[part], ...))
        case _ if name.endswith("Page"):
            return _made(name, items=(list[shape(name[:-4])], ...), next_cursor=(str | None, None))
        case _:
            return mirror(_STRUCTS[name])


_STRUCTS: Final = {
    "AuditEntry": audit.AuditEntry,
    "AgentInfo": agents.AgentInfo,
    "ErrorInfo": errors.ErrorInfo,
    "FileInfo": files.FileInfo,
    "KeyInfo": people.KeyInfo,
    "MadeKey": people.MadeKey,
    "Problem": Problem,
    "Question": runs.Question,
    "Run": runs.Run,
    "Thread": threads.Thread,
    "UserInfo": people.UserInfo,
    "UsageRow": usage.UsageRow,
}


def answer(name: str, example: Any, description: str) -> dict[str, Any]:
    """Return the document of a JSON answer."""
    return {
        "model": partial(shape, name),  # made for the OpenAPI document alone
        "description": description,
        "content": {"application/json": {"example": example}},
    }


def page_of(item: Any) -> dict[str, Any]:
    """Return an example page."""
    return {"items": [item], "next_cursor": "b3BhcXVl"}


def event_stream(description: str) -> dict[str, Any]:
    """Return the document of an SSE answer; each frame's data is a `RunEvent`."""
    return {
        "description": description
        + " Every frame's `data` is a RunEvent, its `id` the event's `seq`. A stream ends after a "
        "terminal event or `run.waiting`; on drain with `stream.closing`, on trouble with `error` (a Problem), both without "
        "an id. Kinds that are not listed may come: ignore them.",
        "content": {"text/event-stream": {"schema": _FRAME, "example": STREAM}},
    }


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documents of the errors that any route may answer, and of `statuses`."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({400, 401, 403, 413, 421, 422, 429, 431, 503, *statuses}):
        description, code = _WHEN[status]
        example = {
            "type": f"urn:landline:problem:{code}",
            "title": "…",
            "status": status,
            "code": code,
            "detail": description,
            "request_id": ID,
        }
        found[status] = {
            "description": description,
            "content": {"application/problem+json": {"schema": _PROBLEM, "example": example}},
        }
    return found


_FRAME: Final[dict[str, Any]] = {
    "type": "object",
    "title": "One frame",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/RunEvent"},
        },
    },
    "required": ["data"],
}

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "active_run_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def _made(name: str, **fields: Any) -> type[BaseModel]:
    return create_model(name, __config__=_CONFIG, **fields)


def _event_union() -> type[BaseModel]:
    kinds = [
        kind
        for kind in vars(events).values()
        if inspect.isclass(kind) and issubclass(kind, events.Event) and kind is not events.Event
    ]
    place = (("seq", int), ("run_id", str), ("thread_id", str), ("at", str))
    models = [mirror(kind, name=f"{kind.__name__}Event", beside=place) for kind in kinds]
    return type(
        "RunEvent",
        (RootModel[tagged(models)],),
        {"__doc__": "One event of a run's log, told apart by `type`."},
    )
