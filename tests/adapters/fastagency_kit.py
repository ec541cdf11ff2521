"""A small server that speaks the wire of FastAgency's FastAPI adapter, for the package itself cannot be installed here.

Written after `fastagency/adapters/fastapi/base.py` and `fastagency/messages.py` of the public repository: POST initiates, the
echoed answer opens the WebSocket, asking messages wait for one text frame, the socket's end is the workflow's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.faces.serving import served

WORKFLOWS = ("learning", "broken", "calls", "cut", "waits")


class FastAgency:
    """The workflows, and what they saw."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/fastagency/discovery", self.discovery),
                Route("/fastagency/initiate_workflow", self.initiate, methods=["POST"]),
                WebSocketRoute("/fastagency/ws", self.socket),
            ]
        )

    async def discovery(self, _: Request) -> JSONResponse:
        return JSONResponse([{"name": name, "description": name} for name in WORKFLOWS])

    async def initiate(self, request: Request) -> JSONResponse:
        body = await request.json()
        assert set(body) == {"workflow_name", "workflow_uuid", "user_id", "params"}
        answer = {"user_id": body["user_id"], "workflow_uuid": uuid4().hex, "name": body["workflow_name"]}
        return JSONResponse({**answer, "params": body["params"]})

    async def socket(self, websocket: WebSocket) -> None:
        self.headers.append(dict(websocket.headers))
        await websocket.accept()
        begun = json.loads(await websocket.receive_text())
        assert set(begun) == {"user_id", "workflow_uuid", "name", "params"}
        self.begun.append(begun)
        try:
            await getattr(self, f"_{begun['name']}")(websocket, begun)
        except WebSocketDisconnect:
            self.ended.append(begun["name"])
            return
        await websocket.close()

    async def _say(self, websocket: WebSocket, kind: str, **content: Any) -> None:
        common = {"sender": "Workflow", "recipient": "User", "auto_reply": False, "uuid": uuid4().hex}
        message = {**common, "workflow_uuid": "w", "type": kind, "content": content}
        await websocket.send_text(json.dumps(message))

    async def _learning(self, websocket: WebSocket, begun: dict[str, Any]) -> None:
        await self._say(websocket, "workflow_started", name="learning", description="", params={})
        await self._say(websocket, "text_message", body=f"About {begun['params']['message']}.")
        await self._say(
            websocket, "text_input", prompt="What do you want to learn?", suggestions=["sums"], password=False
        )
        subject = await websocket.receive_text()
        await self._say(websocket, "keep_alive")
        await self._say(
            websocket,
            "multiple_choice",
            prompt="How?",
            choices=["slowly", "fast"],
            default="fast",
            single=True,
        )
        pace = await websocket.receive_text()
        await self._say(websocket, "workflow_completed", result=f"Learned {subject} {pace}")

    async def _calls(self, websocket: WebSocket, _: dict[str, Any]) -> None:
        await self._say(
            websocket, "suggested_function_call", function_name="add", call_id="call_1", arguments={"a": 1}
        )
        await self._say(
            websocket, "function_call_execution", function_name="add", call_id="call_1", retval="2"
        )
        await self._say(
            websocket, "suggested_function_call", function_name="never", call_id="call_2", arguments={}
        )
        await self._say(websocket, "error", short="a hiccup", long="canary-3301")
        await self._say(websocket, "workflow_completed", result="Called")

    async def _broken(self, websocket: WebSocket, _: dict[str, Any]) -> None:
        text = "Unhandled exception occurred when executing the workflow"
        await self._say(websocket, "error", short=text, long="canary-3301")
        await self._say(websocket, "workflow_completed", result=f"{text}: canary-3301")

    async def _cut(self, websocket: WebSocket, _: dict[str, Any]) -> None:
        await self._say(websocket, "text_message", body="half")

    async def _waits(self, websocket: WebSocket, _: dict[str, Any]) -> None:
        await self._say(websocket, "text_message", body="one")
        await websocket.receive_text()


@asynccontextmanager
async def fastagency_server(agency: FastAgency) -> AsyncGenerator[str]:
    """Serve the workflows and yield the address."""
    async with served(agency.app) as address:
        yield f"http://{address}"
