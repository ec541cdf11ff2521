"""A2A over HTTP+JSON: the same operations under the agent's URL."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from landline.faces.a2a import wire
from landline.faces.a2a.decode import read
from landline.faces.a2a.errors import not_supported, push_not_supported, rest_frame
from landline.faces.a2a.listing import list_tasks
from landline.faces.a2a.params import (
    AgentName,
    ConfigId,
    HistoryLength,
    TaskId,
    VersionHeader,
    check_version,
)
from landline.faces.a2a.stream import stream
from landline.faces.a2a.tasks import TaskRef, Tasks
from landline.model.callers import Caller
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires, streams, takes_uploads

__all__ = ["RestRoutes"]

_BASE: Final = "/a2a/{agent}"
_encode: Final = msgspec.json.Encoder().encode


class RestRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._tasks = Tasks(ports)

    @requires("runs:read")
    @takes_uploads
    async def send(
        self,
        request: Request,
        agent: AgentName,
        body: wire.SendMessageRequest,
        caller: CallerOf,
        _version: VersionHeader = None,
    ) -> Response:
        """Send a message; the answer is the task once it has ended or asks for input, or at once if that is wanted."""
        check_version(request)
        sent = await self._tasks.send(request, caller, agent, body)
        return Response(status_code=499) if sent is None else _answer(sent)

    @requires("runs:read")
    @takes_uploads
    @streams
    async def stream(
        self,
        request: Request,
        agent: AgentName,
        body: wire.SendMessageRequest,
        caller: CallerOf,
        _version: VersionHeader = None,
    ) -> Response:
        """Send a message and follow its task."""
        check_version(request)
        return self._follow(caller, await self._tasks.take(request, caller, agent, body))

    @requires("runs:read")
    async def get(
        self,
        request: Request,
        agent: AgentName,
        task_id: TaskId,
        caller: CallerOf,
        history_length: HistoryLength = None,
        _version: VersionHeader = None,
    ) -> Response:
        """Get a task."""
        check_version(request)
        body = wire.GetTaskRequest(id=task_id, history_length=history_length)
        return _answer(await self._tasks.get(caller, agent, body))

    @requires("runs:read")
    async def find(  # noqa: PLR0913 - one argument is one query parameter
        self,
        request: Request,
        agent: AgentName,
        caller: CallerOf,
        context_id: Annotated[str | None, Query(alias="contextId", max_length=128)] = None,
        status: wire.State | None = None,
        page_size: Annotated[int | None, Query(alias="pageSize", ge=1, le=wire.MAX_PAGE)] = None,
        page_token: Annotated[str | None, Query(alias="pageToken", max_length=512)] = None,
        history_length: HistoryLength = None,
        since: Annotated[str | None, Query(alias="statusTimestampAfter", max_length=64)] = None,
        include_artifacts: Annotated[bool | None, Query(alias="includeArtifacts")] = None,
        _version: VersionHeader = None,
    ) -> Response:
        """List tasks, the one that changed last first."""
        check_version(request)
        body = wire.ListTasksRequest(
            context_id=context_id,
            status=status,
            page_size=page_size,
            page_token=page_token,
            history_length=history_length,
            status_timestamp_after=since,
            include_artifacts=include_artifacts,
        )
        return _answer(await list_tasks(self._tasks, caller, agent, body))

    @requires("runs:read")
    async def cancel(
        self,
        request: Request,
        agent: AgentName,
        task_id: TaskId,
        caller: CallerOf,
        body: dict[str, Any] | None = None,
        _version: VersionHeader = None,
    ) -> Response:
        """Cancel a task."""
        check_version(request)
        wanted = read(wire.CancelTaskRequest, {**(body or {}), "id": task_id})
        return _answer(await self._tasks.cancel(caller, agent, wanted))

    @requires("runs:read")
    async def subscribe(
        self,
        request: Request,
        agent: AgentName,
        task_id: TaskId,
        caller: CallerOf,
        _version: VersionHeader = None,
    ) -> Response:
        """Follow a task that has not ended: as it is now, and what becomes of it."""
        check_version(request)
        return self._follow(
            caller, await self._tasks.subscribe(caller, agent, wire.SubscribeToTaskRequest(id=task_id))
        )

    @requires("runs:read")
    async def push(
        self,
        request: Request,
        agent: AgentName,
        task_id: TaskId,
        caller: CallerOf,
        _version: VersionHeader = None,
    ) -> Response:
        """Refuse push notifications, as the card says."""
        check_version(request)
        self._tasks.agent(caller, agent)
        raise push_not_supported()

    @requires("runs:read")
    async def push_one(
        self,
        request: Request,
        agent: AgentName,
        task_id: TaskId,
        config_id: ConfigId,
        caller: CallerOf,
        _version: VersionHeader = None,
    ) -> Response:
        """Refuse push notifications, as the card says."""
        return await self.push(request, agent, task_id, caller)

    @requires("agents:read")
    async def extended(
        self, request: Request, agent: AgentName, caller: CallerOf, _version: VersionHeader = None
    ) -> Response:
        """Refuse an extended card, as the card says."""
        check_version(request)
        self._tasks.agent(caller, agent)
        raise not_supported("The agent has no other card than its public one.")

    def _follow(self, caller: Caller, task: TaskRef) -> Response:
        return stream(self._tasks, caller, task, wrap=_as_is, error_frame=rest_frame)

    def routes(self) -> list[Entry]:
        """Return the table."""
        shown = _documented("A task.", wire.JSON)
        streamed = _documented("The task, and its updates until it ends or asks.", "text/event-stream")
        configs = f"{_BASE}/tasks/{{task_id}}/pushNotificationConfigs"
        refused: dict[str, Any] = {"include_in_schema": False}
        return [
            Entry(method="POST", path=f"{_BASE}/message:send", endpoint=self.send, name="a2a_send",
                  summary="Send a message", docs=_documented("The task, or a message.", wire.JSON)),
            Entry(method="POST", path=f"{_BASE}/message:stream", endpoint=self.stream, name="a2a_stream",
                  summary="Send a message and follow its task", docs=streamed),
            Entry(method="POST", path=f"{_BASE}/tasks/{{task_id}}:cancel", endpoint=self.cancel, name="a2a_cancel",
                  summary="Cancel a task", docs=shown),
            Entry(method="GET", path=f"{_BASE}/tasks/{{task_id}}:subscribe", endpoint=self.subscribe, name="a2a_subscribe",
                  summary="Follow a task", docs=streamed),
            Entry(method="POST", path=f"{_BASE}/tasks/{{task_id}}:subscribe", endpoint=self.subscribe,
                  name="a2a_subscribe_post", summary="Follow a task", docs=streamed),
            Entry(method="GET", path=f"{_BASE}/tasks/{{task_id}}", endpoint=self.get, name="a2a_get",
                  summary="Get a task", docs=shown),
            Entry(method="GET", path=f"{_BASE}/tasks", endpoint=self.find, name="a2a_list", summary="List tasks",
                  docs=_documented("A page of tasks.", wire.JSON)),
            Entry(method="POST", path=configs, endpoint=self.push, name="a2a_push_create", summary="Refused", docs=refused),
            Entry(method="GET", path=configs, endpoint=self.push, name="a2a_push_list", summary="Refused", docs=refused),
            Entry(method="GET", path=f"{configs}/{{config_id}}", endpoint=self.push_one, name="a2a_push_get",
                  summary="Refused", docs=refused),
            Entry(method="DELETE", path=f"{configs}/{{config_id}}", endpoint=self.push_one, name="a2a_push_delete",
                  summary="Refused", docs=refused),
            Entry(method="GET", path=f"{_BASE}/extendedAgentCard", endpoint=self.extended, name="a2a_extended",
                  summary="Refused", docs=refused),
        ]  # fmt: skip


def _as_is(frame: Any) -> Any:
    return frame


def _answer(value: Any) -> Response:
    return Response(_encode(value), headers={"cache-control": "no-store"}, media_type=wire.JSON)


def _documented(what: str, kind: str) -> dict[str, Any]:
    error = {"description": "The error.", "content": {wire.JSON: {"schema": {"type": "object"}}}}
    return {
        "responses": {
            200: {"description": what, "content": {kind: {"schema": {"type": "object"}}}},
            422: error,  # in place of what the framework would say of it; what does not fit is a 400 here
            "default": error,
        },
        "response_class": Response,
    }
