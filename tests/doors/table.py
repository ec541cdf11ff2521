"""Every door and how it is tried: requests with `{name}` where an id of somebody goes.

A door of the server that is not in this table, and one of the table that is not in the server, fail the tests: whoever
adds a route adds its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doors.world import A2A, MCP, ag_ui_body, initiate, ui_message

__all__ = ["DOORS", "MESSAGES", "Try"]


@dataclass(frozen=True, kw_only=True)
class Try:
    """One request. `made`: to somebody else the id is a new name of their own, so nothing of the answer tells of hers."""

    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    made: bool = False

    def with_ids(self, ids: Mapping[str, str]) -> tuple[str, Any]:
        """Return path and body with ids put in."""
        return _put(self.path, ids), None if self.body is None else json.loads(
            _put(json.dumps(self.body), ids)
        )


def _put(text: str, ids: Mapping[str, str]) -> str:
    for name, id_ in ids.items():
        text = text.replace("{" + name + "}", id_)
    return text


def _t(path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, made: bool = False) -> Try:
    return Try(path=path, body=body, headers=headers or {}, made=made)


def _rpc(method: str, **params: Any) -> Try:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return Try(path="/a2a/asks", body=body, headers=A2A)


def _tool(name: str, **arguments: Any) -> Try:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "doors", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": name, "arguments": arguments, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return Try(path="/mcp", body=body, headers={**MCP, "mcp-method": "tools/call", "mcp-name": name})


def _said(**more: Any) -> dict[str, Any]:
    return {"message": {"messageId": "m-2", "role": "ROLE_USER", "parts": [{"text": "yes"}], **more}}


_INPUT = {"input": "hi", "mode": "background"}
_YES = {"answers": [{"question_id": "{question}", "approve": True}]}
_APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "{approval}", "approve": True}
_PUSH = {"url": "https://example.com/push"}
_FILE = {"type": "file", "file_id": "{file}", "name": "a.txt", "media_type": "text/plain"}
_RESUME = [{"interruptId": "{question}", "status": "resolved", "payload": {"approved": True}}]

NO_ID: list[Try] = []
"""A door where no id of anybody goes in; who gets through it is tried all the same."""

DOORS: dict[str, list[Try]] = {
    # native
    "POST /api/v1/runs": [
        _t("/api/v1/runs", {"agent": "talk", "thread_id": "{thread}", **_INPUT}),
        _t("/api/v1/runs", {"agent": "talk", "input": [_FILE], "mode": "background"}),
    ],
    "POST /api/v1/threads/{thread_id}/runs": [
        _t("/api/v1/threads/{thread}/runs", _INPUT),
        _t("/api/v1/threads/{thread}/runs", {**_INPUT, "parent_id": "{message}"}),
        _t("/api/v1/threads/{waiting_thread}/runs", {**_INPUT, "on_busy": "interrupt"}),
        _t("/api/v1/threads/{waiting_thread}/runs", {**_INPUT, "on_busy": "steer"}),
    ],
    "GET /api/v1/runs": [
        _t("/api/v1/runs?thread_id={thread}"),
        _t("/api/v1/runs?cursor={run}"),
    ],
    "GET /api/v1/runs/{run_id}": [_t("/api/v1/runs/{run}"), _t("/api/v1/runs/{waiting}")],
    "GET /api/v1/runs/{run_id}/events": [
        _t("/api/v1/runs/{run}/events"),
        _t("/api/v1/runs/{run}/events", headers={"Accept": "application/json"}),
        _t("/api/v1/runs/{waiting}/events?after=1"),
    ],
    "POST /api/v1/runs/{run_id}/cancel": [_t("/api/v1/runs/{waiting}/cancel")],
    "POST /api/v1/runs/{run_id}/answers": [_t("/api/v1/runs/{waiting}/answers", _YES)],
    "GET /api/v1/agents": NO_ID,
    "GET /api/v1/agents/{agent}": NO_ID,
    "POST /api/v1/threads": NO_ID,
    "GET /api/v1/threads": [_t("/api/v1/threads?q=secret-of-alice"), _t("/api/v1/threads?cursor={thread}")],
    "GET /api/v1/threads/{thread_id}": [_t("/api/v1/threads/{thread}")],
    "PATCH /api/v1/threads/{thread_id}": [
        _t("/api/v1/threads/{thread}", {"title": "taken"}),
        _t("/api/v1/threads/{thread}", {"head_id": "{message}"}),
    ],
    "DELETE /api/v1/threads/{thread_id}": [_t("/api/v1/threads/{thread}"), _t("/api/v1/threads/{waiting_thread}")],
    "GET /api/v1/threads/{thread_id}/messages": [
        _t("/api/v1/threads/{thread}/messages"),
        _t("/api/v1/threads/{thread}/messages?branch=all"),
    ],
    "POST /api/v1/threads/{thread_id}/fork": [
        _t("/api/v1/threads/{thread}/fork", {}),
        _t("/api/v1/threads/{thread}/fork", {"message_id": "{message}"}),
    ],
    "GET /api/v1/approvals": [_t("/api/v1/approvals?cursor={question}")],
    "POST /api/v1/files": NO_ID,
    "GET /api/v1/files/{file_id}": [_t("/api/v1/files/{file}")],
    "GET /api/v1/files/{file_id}/content": [_t("/api/v1/files/{file}/content")],
    # A tenant reads what was done in it; tests/app/test_auditing.py holds that nothing of another is there.
    "GET /api/v1/admin/audit": [_t("/api/v1/admin/audit?cursor={run}")],
    "POST /api/v1/fanout": [_t("/api/v1/fanout", {"agents": ["talk"], "input": [_FILE]})],
    "GET /api/v1/keys": [_t("/api/v1/keys?cursor={key}")],
    "DELETE /api/v1/keys/{key_id}": [_t("/api/v1/keys/{key}")],
    "GET /api/v1/admin/keys": [
        _t("/api/v1/admin/keys?user=alice"),
        _t("/api/v1/admin/keys?cursor={key}"),
    ],
    "POST /api/v1/admin/keys": NO_ID,
    "GET /api/v1/admin/keys/{key_id}": [_t("/api/v1/admin/keys/{key}")],
    "DELETE /api/v1/admin/keys/{key_id}": [_t("/api/v1/admin/keys/{key}")],
    "POST /api/v1/admin/keys/{key_id}/rotate": [_t("/api/v1/admin/keys/{key}/rotate", {})],
    "GET /api/v1/admin/users": [_t("/api/v1/admin/users?cursor={user}")],
    "POST /api/v1/admin/users": NO_ID,
    "GET /api/v1/admin/users/{user_id}": [_t("/api/v1/admin/users/{user}")],
    "PATCH /api/v1/admin/users/{user_id}": [_t("/api/v1/admin/users/{user}", {"disabled": True})],
    "GET /api/v1/usage": [
        _t("/api/v1/usage?key_id={key}"),
        _t("/api/v1/usage?group_by=user"),
    ],
    "POST /api/v1/stream-tokens": [_t("/api/v1/stream-tokens", {"thread_id": "{thread}"})],
    "POST /api/v1/token": NO_ID,
    "POST /api/v1/token/refresh": NO_ID,
    "POST /api/v1/token/revoke": NO_ID,
    # A2A
    "POST /a2a/{agent}": [
        _rpc("GetTask", id="{task}"),
        _rpc("CancelTask", id="{task}"),
        _rpc("SubscribeToTask", id="{task}"),
        _rpc("SendMessage", **_said(taskId="{task}")),
        _rpc("ListTasks", contextId="{context}"),
    ],
    "POST /a2a/{agent}/": NO_ID,
    "POST /a2a/{agent}/message:send": [_t("/a2a/asks/message:send", _said(taskId="{task}"), headers=A2A)],
    "POST /a2a/{agent}/message:stream": [_t("/a2a/asks/message:stream", _said(taskId="{task}"), headers=A2A)],
    "POST /a2a/{agent}/tasks/{task_id}:cancel": [_t("/a2a/asks/tasks/{task}:cancel", {}, headers=A2A)],
    "GET /a2a/{agent}/tasks/{task_id}:subscribe": [_t("/a2a/asks/tasks/{task}:subscribe", headers=A2A)],
    "POST /a2a/{agent}/tasks/{task_id}:subscribe": [_t("/a2a/asks/tasks/{task}:subscribe", {}, headers=A2A)],
    "GET /a2a/{agent}/tasks/{task_id}": [_t("/a2a/asks/tasks/{task}", headers=A2A)],
    "GET /a2a/{agent}/tasks": [_t("/a2a/asks/tasks?contextId={context}", headers=A2A)],
    "POST /a2a/{agent}/tasks/{task_id}/pushNotificationConfigs": [
        _t("/a2a/asks/tasks/{task}/pushNotificationConfigs", _PUSH, headers=A2A)
    ],
    "GET /a2a/{agent}/tasks/{task_id}/pushNotificationConfigs": [
        _t("/a2a/asks/tasks/{task}/pushNotificationConfigs", headers=A2A)
    ],
    "GET /a2a/{agent}/tasks/{task_id}/pushNotificationConfigs/{config_id}": [
        _t("/a2a/asks/tasks/{task}/pushNotificationConfigs/1", headers=A2A)
    ],
    "DELETE /a2a/{agent}/tasks/{task_id}/pushNotificationConfigs/{config_id}": [
        _t("/a2a/asks/tasks/{task}/pushNotificationConfigs/1", headers=A2A)
    ],
    "GET /a2a/{agent}/extendedAgentCard": NO_ID,
    "GET /.well-known/agent-card.json": NO_ID,
    "GET /a2a/{agent}/.well-known/agent-card.json": NO_ID,
    # AG-UI
    "POST /ag-ui/{agent}": [
        _t("/ag-ui/talk", ag_ui_body("{ui}"), made=True),
        _t("/ag-ui/talk", ag_ui_body("{thread}"), made=True),
        _t("/ag-ui/asks", ag_ui_body("{ui}", resume=_RESUME)),
    ],
    "GET /ag-ui/{agent}": [
        _t("/ag-ui/asks?threadId={ui}"),
        _t("/ag-ui/talk?threadId={thread}&runId={run}"),
    ],
    "POST /ag-ui/{agent}/cancel": [
        _t("/ag-ui/asks/cancel", {"threadId": "{ui}"}),
        _t("/ag-ui/asks/cancel", {"threadId": "{waiting_thread}"}),
    ],
    "GET /ag-ui/{agent}/capabilities": NO_ID,
    # AI SDK
    "POST /ai/{agent}": [
        _t("/ai/talk", {"id": "{chat}", "message": ui_message("hi")}, made=True),
        _t("/ai/talk", {"id": "{thread}", "message": ui_message("hi")}, made=True),
        _t("/ai/talk", {"id": "{chat}", "trigger": "regenerate-message", "messageId": "{run}"}),
    ],
    "GET /ai/{agent}/{chat_id:path}/stream": [
        _t("/ai/asks/{chat}/stream"),
        _t("/ai/asks/{waiting_thread}/stream"),
        _t("/ai/talk/{thread}/stream?message_id={run}"),
    ],
    "POST /ai/{agent}/{chat_id:path}/stop": [
        _t("/ai/asks/{chat}/stop", {}),
        _t("/ai/asks/{waiting_thread}/stop", {}),
    ],
    # FastAgency
    "GET /fastagency/discovery": NO_ID,
    "GET //fastagency/discovery": NO_ID,
    "POST /fastagency/initiate_workflow": [_t("/fastagency/initiate_workflow", initiate("{workflow}"), made=True)],
    # MCP
    "POST /mcp": [
        _tool("landline_run", run_id="{run}"),
        _tool("landline_run", run_id="{waiting}", wait=True),
        _tool("landline_messages", thread_id="{thread}"),
        _tool("landline_cancel", run_id="{waiting}"),
        _tool("talk", message="hi", thread_id="{thread}"),
    ],
    "GET /mcp": NO_ID,
    "DELETE /mcp": NO_ID,
    # OpenAI
    "POST /v1/chat/completions": [
        _t(
            "/v1/chat/completions",
            {"model": "talk", "messages": [{"role": "user", "content": "hi"}]},
            made=True,
            headers={"X-Landline-Thread": "{thread}"},
        ),
        _t(
            "/v1/chat/completions",
            {"model": "talk", "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_id": "{file}"}}]}]},
        ),
    ],
    "GET /v1/models": NO_ID,
    "GET /v1/models/{model}": NO_ID,
    "POST /v1/conversations": NO_ID,
    "GET /v1/conversations/{conversation_id}": [_t("/v1/conversations/{conversation}")],
    "POST /v1/conversations/{conversation_id}": [_t("/v1/conversations/{conversation}", {"metadata": {"a": "b"}})],
    "DELETE /v1/conversations/{conversation_id}": [_t("/v1/conversations/{conversation}")],
    "GET /v1/conversations/{conversation_id}/items": [_t("/v1/conversations/{conversation}/items")],
    "POST /v1/conversations/{conversation_id}/items": [
        _t("/v1/conversations/{conversation}/items", {"items": [{"role": "user", "content": "hi"}]})
    ],
    "GET /v1/conversations/{conversation_id}/items/{item_id}": [_t("/v1/conversations/{conversation}/items/{item}")],
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}": [
        _t("/v1/conversations/{conversation}/items/{item}")
    ],
    "POST /v1/responses": [
        _t("/v1/responses", {"model": "talk", "input": "hi", "previous_response_id": "{response}"}),
        _t("/v1/responses", {"model": "talk", "input": "hi", "conversation": "{conversation}"}),
        _t("/v1/responses", {"model": "asks", "previous_response_id": "{asked}", "input": [_APPROVAL]}),
        _t("/v1/responses", {"model": "asks", "input": [_APPROVAL]}),
        _t("/v1/responses", {"model": "talk", "input": [
            {"role": "user", "content": [{"type": "input_file", "file_id": "{file}"}]}]}),
    ],
    "POST /v1/responses/compact": [
        _t("/v1/responses/compact", {"model": "talk", "previous_response_id": "{response}"})
    ],
    "GET /v1/responses/{response_id}": [
        _t("/v1/responses/{response}"),
        _t("/v1/responses/{response}?stream=true"),
        _t("/v1/responses/{response}?stream=true&starting_after=1"),
    ],
    "DELETE /v1/responses/{response_id}": [_t("/v1/responses/{response}")],
    "POST /v1/responses/{response_id}/cancel": [_t("/v1/responses/{asked}/cancel", {})],
    "GET /v1/responses/{response_id}/input_items": [_t("/v1/responses/{response}/input_items")],
    # the tutorials
    "POST /chat": [_t("/chat", {"message": "hi", "session_id": "{session}"})],
    "POST /chat/stream": [_t("/chat/stream", {"message": "hi", "session_id": "{session}"})],
    "POST /sessions": NO_ID,
    "GET /sessions/{session_id}": [_t("/sessions/{session}"), _t("/sessions/{thread}?cursor={message}")],
    "DELETE /sessions/{session_id}": [_t("/sessions/{session}"), _t("/sessions/{waiting_thread}")],
    "POST /api/v1/agent/query": [_t("/api/v1/agent/query", {"query": "hi", "thread_id": "{thread}"})],
    "POST /api/v1/agent/stream": [_t("/api/v1/agent/stream", {"query": "hi", "thread_id": "{thread}"})],
    "POST /multi-agent/chat": NO_ID,
    "POST /auto-route/chat": NO_ID,
    "POST /stream-chat": NO_ID,
    "GET /stream": [_t("/stream?session_id={session}")],
    "POST /multi-agent": NO_ID,
    "POST /token": NO_ID,
    "POST /chat/api-key": [_t("/chat/api-key", {"message": "hi", "session_id": "{session}"})],
    "POST /chat/premium": [_t("/chat/premium", {"message": "hi", "session_id": "{session}"})],
    "POST /chat/protected": [_t("/chat/protected", {"message": "hi", "session_id": "{session}"})],
    "POST /chat/user": [_t("/chat/user", {"message": "hi", "session_id": "{session}"})],
    "POST /admin/agents": NO_ID,
    # for everybody
    "GET /livez": NO_ID,
    "GET /readyz": NO_ID,
    "GET /health": NO_ID,
    "GET /simple": NO_ID,
    "GET /simple.js": NO_ID,
    "GET /simple.css": NO_ID,
    "GET /openapi.json": NO_ID,
    "GET /docs": NO_ID,
    "GET /docs/start.js": NO_ID,
    "GET /docs/{name}": NO_ID,
    "GET /": NO_ID,
    "HEAD /": NO_ID,
}  # fmt: skip
"""Doors over HTTP, by method and path template."""

MESSAGES: dict[str, list[Any]] = {
    "/api/v1/ws": [
        {"op": "subscribe", "ref": 1, "run_id": "{run}"},
        {"op": "subscribe", "ref": 1, "run_id": "{waiting}", "after": 1},
        {"op": "subscribe", "ref": 1, "thread_id": "{thread}"},
        {"op": "start", "ref": 1, "agent": "talk", "thread_id": "{thread}", "input": "hi"},
        {"op": "start", "ref": 1, "agent": "talk", "input": [_FILE]},
        {"op": "answer", "ref": 1, "run_id": "{waiting}", **_YES},
        {"op": "cancel", "ref": 1, "run_id": "{waiting}"},
        {"op": "steer", "ref": 1, "run_id": "{waiting}", "input": "hi"},
    ],
    "/v1/responses": [
        {"type": "response.create", "model": "talk", "input": "hi", "previous_response_id": "{response}"},
        {"type": "response.create", "model": "talk", "input": "hi", "conversation": "{conversation}"},
        {"type": "response.create", "model": "asks", "input": [_APPROVAL], "previous_response_id": "{asked}"},
    ],
    "/fastagency/ws": [],
    "/ws/{client_id}": [],
}
"""Doors over sockets, by path: the messages that carry ids. The last two make whatever id they are told, for each caller
its own; their faces' tests hold that.
"""
