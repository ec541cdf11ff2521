"""The JSON-RPC wire of A2A, 1.0 and 0.3: requests out, and what comes back in one form. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec

from landline.adapters.remote.failures import failed
from landline.model.errors import AgentFailed

__all__ = ["Card", "News", "card_of", "message", "news_of", "result_of", "rpc", "said_ids"]

_METHODS = {
    "send": ("SendMessage", "message/send"),
    "stream": ("SendStreamingMessage", "message/stream"),
    "get": ("GetTask", "tasks/get"),
    "cancel": ("CancelTask", "tasks/cancel"),
}
_NO_TASK = -32001
_UNSUPPORTED = (-32004, -32601)

Object = dict[str, Any]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of an agent card: where to post, in which version, and whether answers stream."""

    url: str
    legacy: bool
    streaming: bool
    tenant: str = ""


class News(msgspec.Struct, kw_only=True):
    """One thing the agent said. `state` is lower case, `input_required`; `texts` and `data` are of `kind`'s own parts."""

    kind: Literal["task", "status", "artifact", "message"]
    task: str = ""
    context: str = ""
    state: str = ""
    text: str = ""
    data: Sequence[Any] = ()
    artifact: str = ""
    append: bool = False
    artifacts: Sequence["News"] = ()


def card_of(card: Object, *, origin: str) -> Card:
    """Choose how to speak with the agent: JSON-RPC, at the origin its owner named.

    Raises:
        AgentFailed: It offers no such interface.
    """
    capabilities = _object(card.get("capabilities"))
    streaming = capabilities.get("streaming") is True
    found: list[Card] = []
    for interface in _objects(card.get("supportedInterfaces")):
        version = str(interface.get("protocolVersion") or "1.0")
        if interface.get("protocolBinding") == "JSONRPC" and version.split(".", 1)[0] in ("0", "1"):
            url, tenant = str(interface.get("url")), str(interface.get("tenant") or "")
            found.append(Card(url=url, legacy=version.startswith("0"), streaming=streaming, tenant=tenant))
    if card.get("preferredTransport", "JSONRPC") == "JSONRPC" and isinstance(card.get("url"), str):
        found.append(Card(url=card["url"], legacy=True, streaming=streaming))
    found += [
        Card(url=str(interface.get("url")), legacy=True, streaming=streaming)
        for interface in _objects(card.get("additionalInterfaces"))
        if interface.get("transport") == "JSONRPC"
    ]
    near = [entry for entry in found if _origin(entry.url) == _origin(origin)]
    if found and not near:
        raise AgentFailed(
            "The remote agent's card names another server, where this server's credentials must not go.",
            code="remote_origin",
        )
    if not near:
        raise failed("invalid_response")
    return min(near, key=lambda entry: entry.legacy)


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme,
            parts.hostname or "",
            parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0),
        )
    except ValueError:
        return "", "", 0


def rpc(card: Card, verb: str, params: Object, *, id_: str) -> Object:
    """Return a request."""
    given = {**params, "tenant": card.tenant} if card.tenant else params
    return {"jsonrpc": "2.0", "id": id_, "method": _METHODS[verb][card.legacy], "params": given}


def message(card: Card, text: str, *, id_: str, task: str = "", context: str = "") -> Object:
    """Return a user's message."""
    body: Object = {"messageId": id_, "role": "ROLE_USER", "parts": [{"text": text}]}
    if card.legacy:
        body = {
            "kind": "message",
            "messageId": id_,
            "role": "user",
            "parts": [{"kind": "text", "text": text}],
        }
    if task:
        body["taskId"] = task
    if context:
        body["contextId"] = context
    return body


def result_of(answer: Any) -> Object:
    """Return the result of an answer.

    Raises:
        AgentFailed: It is an error; `remote_unsupported` when the server has no such method.
    """
    body = _object(answer)
    error = body.get("error")
    if isinstance(error, dict):
        code = cast("Object", error).get("code")
        if code == _NO_TASK:
            raise failed("lost")
        if code in _UNSUPPORTED:
            raise AgentFailed("The remote agent cannot do this.", code="remote_unsupported")
        raise failed("refused")
    result = body.get("result")
    if not isinstance(result, dict):
        raise failed("invalid_response")
    return cast("Object", result)


def news_of(result: Object) -> News:
    """Return what a result or an event of a stream says.

    Raises:
        AgentFailed: It is none of the known forms.
    """
    kind = result.get("kind")
    if kind == "task" or isinstance(result.get("task"), dict):
        return _task(_object(result.get("task", result)))
    if kind == "status-update" or isinstance(result.get("statusUpdate"), dict):
        return _status(_object(result.get("statusUpdate", result)))
    if kind == "artifact-update" or isinstance(result.get("artifactUpdate"), dict):
        given = _object(result.get("artifactUpdate", result))
        told = _artifact(_object(given.get("artifact")))
        told.task, told.context = str(given.get("taskId", "")), str(given.get("contextId", ""))
        told.append = given.get("append") is True
        return told
    if kind == "message" or isinstance(result.get("message"), dict):
        said = _object(result.get("message", result))
        text, data = _parts(said)
        return News(kind="message", context=str(said.get("contextId") or ""), text=text, data=data)
    if isinstance(result.get("id"), str) and isinstance(result.get("status"), dict):
        return _task(result)
    raise failed("invalid_response")


def said_ids(task: Object) -> set[str]:
    """Return the ids of the messages in a task's history."""
    body = _object(task.get("task", task))
    return {str(entry.get("messageId")) for entry in _objects(body.get("history"))}


def _task(task: Object) -> News:
    told = _status({**task, "taskId": task.get("id", "")})
    told.kind = "task"
    told.artifacts = [_artifact(artifact) for artifact in _objects(task.get("artifacts"))]
    return told


def _status(update: Object) -> News:
    status = _object(update.get("status"))
    text, _ = _parts(_object(status.get("message")))
    state = str(status.get("state", "")).removeprefix("TASK_STATE_").lower().replace("-", "_")
    task, context = str(update.get("taskId", "")), str(update.get("contextId") or "")
    return News(kind="status", task=task, context=context, state=state, text=text)


def _artifact(artifact: Object) -> News:
    text, data = _parts(artifact)
    return News(kind="artifact", artifact=str(artifact.get("artifactId", "")), text=text, data=data)


def _parts(holder: Mapping[str, Any]) -> tuple[str, list[Any]]:
    texts, data = list[str](), list[Any]()
    for part in _objects(holder.get("parts")):
        if isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("data") is not None:
            data.append(part["data"])
    return "".join(texts), data


def _object(value: Any) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Object]:
    return [_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []
