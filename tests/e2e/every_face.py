"""One turn on every wire of an open server with every face, as bytes: what each client would have seen."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from tests.doors.world import A2A, MCP, ag_ui_body, ui_message

__all__ = ["EveryFace"]

REFUSED = "Request blocked"
SSE = {"accept": "text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": MCP["mcp-protocol-version"],
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
    "progressToken": "p1",
}


class EveryFace:
    """Says one text to one agent on every wire; `heard` has all bytes that came back, by wire, `runs` their number."""

    def __init__(self, client: httpx.AsyncClient, agent: str, text: str) -> None:
        self._client, self._agent, self._text = client, agent, text
        self.heard: dict[str, bytes] = {}
        self.runs, self._since = 0, ""

    async def all(self) -> dict[str, bytes]:
        """Take a turn on every wire, read each run again as far as its wire lets one, then every log and history."""
        last = (await self._client.get("/api/v1/runs", params={"limit": 1})).json()["items"]
        self._since = last[0]["id"] if last else ""
        await self._native()
        await self._openai()
        await self._agent_wires()
        await self._tutorials()
        await self.sockets()
        await self._kept()
        return self.heard

    async def _post(self, name: str, path: str, body: Any, **headers: str) -> httpx.Response:
        answer = await self._client.post(path, json=body, headers=headers)
        self.heard[name] = answer.content
        return answer

    async def _get(self, name: str, path: str, **headers: str) -> httpx.Response:
        answer = await self._client.get(path, headers=headers)
        self.heard[name] = answer.content
        return answer

    async def _native(self) -> None:
        run = {"agent": self._agent, "input": self._text}
        await self._post("native wait", "/api/v1/runs", {**run, "mode": "wait"})
        await self._post("native sse", "/api/v1/runs", {**run, "mode": "stream"}, **SSE)
        begun = (await self._post("native begun", "/api/v1/runs", {**run, "mode": "background"})).json()
        await self._get("native followed", f"/api/v1/runs/{begun['id']}/events", **SSE)
        await self._get("native polled", f"/api/v1/runs/{begun['id']}")
        fan = {"agents": [self._agent], "input": self._text, "mode": "wait"}
        await self._post("native fan-out", "/api/v1/fanout", fan)

    async def _openai(self) -> None:
        chat = {"model": self._agent, "messages": [{"role": "user", "content": self._text}]}
        await self._post("chat", "/v1/chat/completions", chat)
        await self._post("chat stream", "/v1/chat/completions", {**chat, "stream": True})
        ask = {"model": self._agent, "input": self._text}
        await self._post("responses", "/v1/responses", ask)
        await self._post("responses stream", "/v1/responses", {**ask, "stream": True})
        begun = (await self._post("responses begun", "/v1/responses", {**ask, "background": True})).json()
        path = f"/v1/responses/{begun['id']}"
        while (await self._get("responses polled", path)).json()["status"] in ("queued", "in_progress"):  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.01)
        streamed = {**ask, "background": True, "stream": True}
        first = await self._post("responses background stream", "/v1/responses", streamed)
        id_ = json.loads(first.text.split("data: ", 1)[1].split("\n", 1)[0])["response"]["id"]
        await self._get("responses replay", f"/v1/responses/{id_}?stream=true&starting_after=1")

        held = (await self._client.post("/v1/conversations", json={})).json()["id"]
        await self._post("responses in conversation", "/v1/responses", {**ask, "conversation": held})
        await self._get("conversation items", f"/v1/conversations/{held}/items")

    async def _agent_wires(self) -> None:
        agent, text = self._agent, self._text
        ui = ag_ui_body(f"ui-{secrets.token_hex(4)}")
        ui["messages"][0]["content"] = text
        await self._post("ag-ui", f"/ag-ui/{agent}", ui)
        chat = secrets.token_hex(8)
        await self._post("ai sdk", f"/ai/{agent}", {"id": chat, "message": ui_message(text)})
        await self._get("ai sdk resumed", f"/ai/{agent}/{chat}/stream")

        def said() -> dict[str, Any]:
            return {"messageId": secrets.token_hex(4), "role": "ROLE_USER", "parts": [{"text": text}]}

        sent = await self._post("a2a", f"/a2a/{agent}/message:send", {"message": said()}, **A2A)
        task = sent.json()["task"]["id"]
        await self._get("a2a task", f"/a2a/{agent}/tasks/{task}", **A2A)
        await self._post("a2a stream", f"/a2a/{agent}/message:stream", {"message": said()}, **A2A)
        for method in ("SendMessage", "SendStreamingMessage"):
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": said()}}
            await self._post(f"a2a {method}", f"/a2a/{agent}", call, **A2A)
        told = await self.tool(agent, {"message": text}, name="mcp")
        thread = told["result"]["structuredContent"]["thread_id"]
        run = told["result"]["structuredContent"]["run_id"]
        await self.tool("landline_messages", {"thread_id": thread}, name="mcp messages")
        await self.tool("landline_run", {"run_id": run}, name="mcp run")

    async def tool(self, tool: str, arguments: dict[str, Any], *, name: str) -> dict[str, Any]:
        """Call a tool of the MCP face and return the answer."""
        params = {"name": tool, "arguments": arguments, "_meta": META}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {**MCP, "mcp-method": "tools/call", "mcp-name": tool}
        answer = await self._post(name, "/mcp", call, **headers)
        if "json" in answer.headers["content-type"]:
            return dict(answer.json())
        last = [line for line in answer.text.splitlines() if line.startswith("data: ")][-1]
        return dict(json.loads(last.removeprefix("data: ")))

    async def _tutorials(self) -> None:
        agent, text = self._agent, self._text
        lesson = {"message": text, "agent": agent}
        await self._post("lesson", "/chat", lesson)
        session = (await self._post("lesson session", "/sessions", {"agent": agent})).json()["session_id"]
        await self._post("lesson stream", "/chat/stream", {"message": text, "session_id": session})
        await self._get("lesson session after", f"/sessions/{session}")
        await self._get("pattern listened", f"/stream?session_id={session}")
        bank = {"query": text, "thread_id": session}
        await self._post("bank", "/api/v1/agent/query", bank)
        await self._post("bank stream", "/api/v1/agent/stream", bank)
        await self._post("pattern named", "/multi-agent/chat", {"message": text, "agent_type": agent})
        await self._post("pattern routed", "/auto-route/chat", {"message": text})
        await self._post("pattern stream", "/stream-chat", {"message": text, "agent": agent})
        await self._post("pattern several", "/multi-agent", {"message": text, "agents": [agent]})

    async def sockets(self) -> None:
        """Take a turn on every socket."""
        base, agent, text = (
            str(self._client.base_url).rstrip("/").replace("http", "ws"),
            self._agent,
            self._text,
        )
        start = {"op": "start", "agent": agent, "input": text, "subscribe": True}
        await self.socket("native socket", base + "/api/v1/ws", start, ("run.completed", "run.failed"))
        create = {"type": "response.create", "model": agent, "input": text}
        ends = ("response.completed", "response.failed", "response.incomplete")
        await self.socket("responses socket", base + "/v1/responses", create, ends)
        place = f"/ws/{secrets.token_hex(4)}?agent={agent}"
        await self.socket(
            "pattern socket", base + place, {"message": text}, ('"complete"', '"error"', '"done"')
        )
        first = {"name": agent, "workflow_uuid": str(uuid4()), "user_id": None, "params": {"message": text}}
        await self.socket("fastagency", base + "/fastagency/ws", first, ())
        await self.socket("fastagency again", base + "/fastagency/ws", first, ())

    async def socket(self, name: str, address: str, first: dict[str, Any], ends: tuple[str, ...]) -> None:
        """Send one message and read until one of `ends` or a refusal has come, or to the socket's end."""
        told = ""
        async with asyncio.timeout(20), open_socket(address) as socket:
            await socket.send(json.dumps(first))
            try:
                while not any(end in told for end in (*ends, REFUSED)):
                    told += str(await socket.recv())
            except ConnectionClosed:
                pass
        self.heard[name] = told.encode()

    async def _kept(self) -> None:
        """Read every log, as JSON and as a stream, and every history."""
        while (await self._client.get("/api/v1/runs", params={"status": "running"})).json()["items"]:  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.02)
        runs = await self._listed("runs")
        await self._listed("threads")
        for run in runs:
            if run["id"] <= self._since:
                continue
            self.runs += 1
            await self._get(f"log {run['id']}", f"/api/v1/runs/{run['id']}/events", accept="application/json")
            await self._get(f"replay {run['id']}", f"/api/v1/runs/{run['id']}/events", **SSE)
            await self._get(f"history {run['id']}", f"/api/v1/threads/{run['thread_id']}/messages")

    async def _listed(self, what: str) -> list[Any]:
        """Read a list's first page, without its cursor: any two letters may stand in that by chance."""
        items: list[Any] = (await self._client.get(f"/api/v1/{what}?limit=100")).json()["items"]
        self.heard[what] = json.dumps(items).encode()
        return items
