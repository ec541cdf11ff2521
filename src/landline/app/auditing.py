"""The ports that faces get, with what is done through them noted in the audit log (TRU-18).

One place for every face, socket message and MCP call: a verb that a table below names is noted when it has ended, well or
not; every other verb stays the port's own, without a step between.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import msgspec

from landline.app.settings import Settings
from landline.model.audit import OK
from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.model.ids import fingerprint
from landline.model.messages import TextPart
from landline.model.people import KeyInfo, UserInfo
from landline.model.runs import Answer, Question
from landline.ports.audit import Audit
from landline.ports.people import UserChange, UserOrder
from landline.ports.runs import AnsweredRun, Started, StartRun
from landline.ports.store import ThreadPatch
from landline.web.face import FacePorts
from landline.web.strict_json import canonical

__all__ = ["ACCOUNTS", "Act", "Call", "Done", "audited", "audited_ports"]

logger = logging.getLogger(__name__)

P = TypeVar("P")
UNKNOWN = "unknown"
"""The outcome of an act whose caller went away before it ended; it may have been done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A verb that was called: its arguments by name, and its result, None when it failed."""

    arguments: Mapping[str, Any]
    result: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """One entry about a call; `content` goes into it only if the owner switched that on."""

    target: str | None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    content: Any = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """How calls of one verb are noted: under which name, and what of them; usually one entry a call."""

    action: str
    done: Callable[[Call], Iterable[Done]]


def audited(port: P, acts: Mapping[str, Act], audit: Audit, *, content: bool = False) -> P:
    """Return `port` with the verbs of `acts` noted; each of them takes its `caller`."""
    verbs = {name: getattr(port, name) for name in dir(port) if not name.startswith("_")}
    noted = {name: _noted(verbs[name], act, audit, content) for name, act in acts.items()}
    # The other verbs are the port's own bound methods: a run is started and followed as if nobody kept an audit log.
    return cast("P", SimpleNamespace(**{**verbs, **noted}))


def _of_admins(port: P, acts: Mapping[str, Act], noting: Callable[[P, Mapping[str, Act]], P]) -> P:
    """Return `port` with the verbs of `acts` noted when an admin calls them; nobody else has a step more."""
    noted = noting(port, acts)

    def chosen(own: Callable[..., Awaitable[Any]], told: Callable[..., Awaitable[Any]]) -> Any:
        def verb(caller: Caller, *given: Any, **named: Any) -> Awaitable[Any]:
            return (told if "admin" in caller.scopes else own)(caller, *given, **named)

        return verb

    verbs = {name: getattr(port, name) for name in dir(port) if not name.startswith("_")}
    return cast(
        "P",
        SimpleNamespace(**{**verbs, **{name: chosen(verbs[name], getattr(noted, name)) for name in acts}}),
    )


def _noted(
    verb: Callable[..., Awaitable[Any]],
    act: Act,
    audit: Audit,
    content: bool,
) -> Callable[..., Awaitable[Any]]:
    signature = inspect.signature(verb)

    async def noted(*given: Any, **named: Any) -> Any:
        outcome, result = UNKNOWN, None
        try:
            result = await verb(*given, **named)
            outcome = OK
        except LandlineError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:
            raise
        except Exception:  # whatever it was, the entry says that it failed
            outcome = "internal"
            raise
        finally:
            bound = signature.bind(*given, **named)
            bound.apply_defaults()
            call = Call(arguments=bound.arguments, result=result)
            try:
                _tell(act, call, outcome, audit, content=content)
            except Exception:  # an entry that cannot be made must not fail what it tells of
                logger.exception("%s could not be noted in the audit log", act.action)
        return result

    return noted


def _tell(act: Act, call: Call, outcome: str, audit: Audit, *, content: bool) -> None:
    for done in act.done(call):
        more = {"content": done.content} if content and done.content is not None else {}
        audit.note(
            call.arguments["caller"],
            act.action,
            target=done.target,
            outcome=done.outcome or outcome,
            details={**done.details, **more},
        )


def _of(name: str) -> Callable[[Call], Iterable[Done]]:
    return lambda call: [Done(target=call.arguments[name])]


def _answers(call: Call) -> Iterable[Done]:
    """Tell of each answer which question it was, how it was decided, and of which arguments, by their hash."""
    answered: AnsweredRun | None = call.result
    asked: dict[str, Question] = {q.question_id: q for q in answered.questions} if answered else {}
    answers: list[Answer] = list(call.arguments["answers"])
    for answer in answers:
        question = asked.get(answer.question_id)
        details: dict[str, Any] = {"run_id": call.arguments["run_id"]}
        if answer.approve is not None:
            details["approve"] = answer.approve
        if question is not None:
            details |= {"kind": question.kind, "decided": question.outcome}
            if question.tool is not None:
                details["tool"] = question.tool
            arguments = question.arguments if answer.arguments is None else answer.arguments
            if arguments is not None:
                details["arguments_sha256"] = fingerprint(canonical(arguments))
            if answer.arguments is not None:
                details["edited"] = True
        content = {
            "answer": msgspec.to_builtins(answer),
            "arguments": question.arguments if question else None,
        }
        yield Done(target=answer.question_id, details=details, content=content)


def _updated(call: Call) -> Iterable[Done]:
    patch: ThreadPatch = call.arguments["patch"]
    changed = {
        name: value for name, value in asdict(patch).items() if name != "at" and value not in (None, False)
    }
    yield Done(target=call.arguments["thread_id"], details={"fields": sorted(changed)}, content=changed)


def _forked(call: Call) -> Iterable[Done]:
    made = {} if call.result is None else {"made": call.result[0].id}
    yield Done(target=call.arguments["thread_id"], details=made)


def _started(call: Call) -> Iterable[Done]:
    yield _start_of(call.arguments["request"], call.result)


def _start_of(request: StartRun, started: Started | None) -> Done:
    run = started.run if started else None
    details = {
        "agent": run.agent if run else request.agent,
        "thread_id": run.thread_id if run else request.thread_id,
    }
    text = "\n".join(part.text for part in request.input or () if isinstance(part, TextPart))
    return Done(target=run.id if run else None, details=details, content={"input": text})


def _fanned_out(call: Call) -> Iterable[Done]:
    requests: list[StartRun] = list(call.arguments["requests"])
    results: list[Started | LandlineError | None] = call.result or [None] * len(requests)
    for request, result in zip(requests, results, strict=True):
        if isinstance(result, LandlineError):
            yield replace(_start_of(request, None), outcome=result.code)
        else:
            yield _start_of(request, result)


def _created(call: Call) -> Iterable[Done]:
    made = call.result[0].id if call.result else None
    yield Done(
        target=made, details={"agent": call.arguments["agent"]}, content={"title": call.arguments["title"]}
    )


def _uploaded(call: Call) -> Iterable[Done]:
    info = call.result[0] if call.result else None
    details = {"media_type": info.media_type, "size": info.size, "sha256": info.sha256} if info else {}
    yield Done(target=info.id if info else None, details=details, content={"name": call.arguments["name"]})


def _page_read(call: Call) -> Iterable[Done]:
    query = call.arguments["query"]
    if query.cursor is None:  # the pages that follow are the same reading
        filters = {name: getattr(query, name) for name in ("action", "user", "target", "after", "before")}
        yield Done(target=None, details={name: value for name, value in filters.items() if value is not None})


_RUNS = {"cancel": Act("run.cancel", _of("run_id")), "answer": Act("question.answer", _answers)}
_THREADS = {
    "update": Act("thread.update", _updated),
    "delete": Act("thread.delete", _of("thread_id")),
    "fork": Act("thread.fork", _forked),
}


def _key_made(call: Call) -> Iterable[Done]:
    info: KeyInfo | None = call.result[1] if call.result else None
    yield Done(target=info.id if info else None, details=_of_key(info) if info else {})


def _key_rotated(call: Call) -> Iterable[Done]:
    info: KeyInfo | None = call.result[1] if call.result else None
    made = {"made": info.id, **_of_key(info)} if info else {}
    yield Done(target=call.arguments["key_id"], details=made)


def _of_key(info: KeyInfo) -> dict[str, Any]:
    return {"user": info.user, "scopes": list(info.scopes), "expires_at": info.expires_at}


def _user_added(call: Call) -> Iterable[Done]:
    info: UserInfo | None = call.result
    order: UserOrder = call.arguments["order"]
    yield Done(target=info.id if info else None, details={"user": order.name, "roles": list(order.roles)})


def _user_changed(call: Call) -> Iterable[Done]:
    change: UserChange = call.arguments["change"]
    details: dict[str, Any] = {
        "fields": sorted(
            name
            for name, value in asdict(change).items()
            if value not in (None, False) or (name == "enabled" and value is not None)
        )
    }
    if change.roles is not None:
        details["roles"] = list(change.roles)
    if change.enabled is not None:
        details["enabled"] = change.enabled
    yield Done(target=call.arguments["user_id"], details=details)


ACCOUNTS = {
    "make_key": Act("key.create", _key_made),
    "rotate_key": Act("key.rotate", _key_rotated),
    "revoke_key": Act("key.revoke", _of("key_id")),
    "add_user": Act("user.add", _user_added),
    "change_user": Act("user.change", _user_changed),
}
"""What is done to keys and users, through any door and on the command line."""

_AUDIT = {"read": Act("admin.read_audit", _page_read)}

# What the tables of runs, threads and files record anyway: noted on demand.
_RUNS_TOO = {"start": Act("run.start", _started)}
_FANOUT_TOO = {"start": Act("run.start", _fanned_out)}
_THREADS_TOO = {"create": Act("thread.create", _created)}
_FILES_TOO = {"upload": Act("file.upload", _uploaded)}


def audited_ports(ports: FacePorts, audit: Audit, settings: Settings) -> FacePorts:
    """Return what faces get, with their callers' acts noted as the settings ask."""
    if settings.audit == "off":
        return replace(ports, audit=audit)

    def noting(port: P, acts: Mapping[str, Act]) -> P:
        return audited(port, acts, audit, content=settings.audit_content)

    everything = settings.audit == "all"
    ports = replace(
        ports,
        runs=noting(ports.runs, _RUNS | (_RUNS_TOO if everything else {})),
        threads=noting(ports.threads, _THREADS | (_THREADS_TOO if everything else {})),
        audit=noting(audit, _AUDIT),
        accounts=noting(ports.accounts, ACCOUNTS) if ports.accounts is not None else None,
    )
    if not everything:
        runs = _of_admins(ports.runs, _RUNS_TOO, noting)
        fanout = _of_admins(ports.fanout, _FANOUT_TOO, noting) if ports.fanout is not None else None
        ports = replace(ports, runs=runs, fanout=fanout)
    if everything:
        fanout = noting(ports.fanout, _FANOUT_TOO) if ports.fanout is not None else None
        ports = replace(ports, files=noting(ports.files, _FILES_TOO), fanout=fanout)
    return ports
