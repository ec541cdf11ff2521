"""A2A over JSON-RPC 2.0: one URL per agent, with and without a slash at its end."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, cast

import msgspec
from fastapi import Body
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.a2a import wire
from landline.faces.a2a.decode import read
from landline.faces.a2a.encode import Frame
from landline.faces.a2a.errors import (
    ID,
    no_such_method,
    not_supported,
    push_not_supported,
    rpc_frame,
    unusable_request,
)
from landline.faces.a2a.listing import list_tasks
from landline.faces.a2a.params import AgentName, VersionHeader, check_version
from landline.faces.a2a.stream import stream
from landline.faces.a2a.tasks import TaskRef, Tasks
from landline.model.callers import Caller
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.limits import hold_stream
from landline.web.route import Entry, requires, takes_uploads

__all__ = ["RpcRoutes"]

_MAX_ID: Final = 256
_encode: Final = msgspec.json.Encoder().encode

_EXAMPLE: Final[dict[str, Any]] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "SendMessage",
    "params": {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "Hello"}]}},
}


class RpcRoutes:
    """The handler, its methods, and the table that says where it is."""

    def __init__(self, ports: FacePorts) -> None:
        self._tasks = Tasks(ports)
        self._methods: dict[str, Callable[[Request, Caller, str, Any], Awaitable[Response]]] = {
            "SendMessage": self._send,
            "SendStreamingMessage": self._stream,
            "GetTask": self._get,
            "ListTasks": self._list,
            "CancelTask": self._cancel,
            "SubscribeToTask": self._subscribe,
            "CreateTaskPushNotificationConfig": self._push,
            "GetTaskPushNotificationConfig": self._push,
            "ListTaskPushNotificationConfigs": self._push,
            "DeleteTaskPushNotificationConfig": self._push,
            "GetExtendedAgentCard": self._extended,
        }

    @requires("runs:read")
    @takes_uploads
    async def call(
        self,
        request: Request,
        agent: AgentName,
        caller: CallerOf,
        body: Annotated[Any, Body(examples=[_EXAMPLE])] = None,
        _version: VersionHeader = None,
    ) -> Response:
        """Call a method of an agent."""
        method, params = _call(request, body)
        check_version(request)
        self._tasks.agent(caller, agent)
        handle = self._methods.get(method)
        if handle is None:
            raise no_such_method(method)
        return await handle(request, caller, agent, params)

    async def _send(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        sent = await self._tasks.send(request, caller, agent, read(wire.SendMessageRequest, params))
        return Response(status_code=499) if sent is None else _result(request, sent)

    async def _stream(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        await hold_stream(request, self._tasks.ports.door)
        task = await self._tasks.take(request, caller, agent, read(wire.SendMessageRequest, params))
        return self._follow(request, caller, task)

    async def _get(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        return _result(request, await self._tasks.get(caller, agent, read(wire.GetTaskRequest, params)))

    async def _list(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        found = await list_tasks(self._tasks, caller, agent, read(wire.ListTasksRequest, params))
        return _result(request, found)

    async def _cancel(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        return _result(request, await self._tasks.cancel(caller, agent, read(wire.CancelTaskRequest, params)))

    async def _subscribe(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        task = await self._tasks.subscribe(caller, agent, read(wire.SubscribeToTaskRequest, params))
        return self._follow(request, caller, task)

    async def _push(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        raise push_not_supported()

    async def _extended(self, request: Request, caller: Caller, agent: str, params: Any) -> Response:
        raise not_supported("The agent has no other card than its public one.")

    def _follow(self, request: Request, caller: Caller, task: TaskRef) -> Response:
        id_ = request.scope["state"][ID]

        def wrap(frame: Frame) -> Any:
            return {"jsonrpc": "2.0", "id": id_, "result": frame}

        return stream(self._tasks, caller, task, wrap=wrap, error_frame=rpc_frame)

    def routes(self) -> list[Entry]:
        """Return the table."""
        answers = {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {}}
        docs: dict[str, Any] = {
            "responses": {200: {"description": "The result or the error.", "content": answers}},
            "response_class": Response,
        }
        return [
            Entry(method="POST", path="/a2a/{agent}", endpoint=self.call, name="a2a_call", summary="Call an agent", docs=docs),
            Entry(method="POST", path="/a2a/{agent}/", endpoint=self.call, name="a2a_call_slash",
                  summary="Call an agent", docs={**docs, "include_in_schema": False}),
        ]  # fmt: skip


def _call(request: Request, body: Any) -> tuple[str, Any]:
    """Return the method and params of a call, and keep its id for whoever tells its end.

    Raises:
        Invalid: It is no JSON-RPC 2.0 call; a batch or a notification, which the protocol has no use for, is none.
    """
    given = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    id_ = given.get("id")
    if isinstance(id_, str | int | float) and not isinstance(id_, bool) and len(str(id_)) <= _MAX_ID:
        request.scope.setdefault("state", {})[ID] = id_
    else:
        raise unusable_request("A call is a JSON-RPC 2.0 object with an id: a text or a number.")
    method: Any = given.get("method")
    params: Any = given.get("params")
    if given.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise unusable_request('A call has "jsonrpc": "2.0" and a method.')
    if params is not None and not isinstance(params, dict):
        raise unusable_request("The params of a call are an object.")
    return method, cast("Any", params)


def _result(request: Request, value: Any) -> Response:
    body = {"jsonrpc": "2.0", "id": request.scope["state"][ID], "result": value}
    return Response(_encode(body), headers={"cache-control": "no-store"}, media_type=wire.JSON)
