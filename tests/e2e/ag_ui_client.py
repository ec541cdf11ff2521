"""A user interface that speaks AG-UI: it builds requests with the protocol's own types, and has every answer judged."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ag_ui.core import RunAgentInput

from landline.testing.faces.ag_ui import AgUiFrame, AgUiRun, read_ag_ui
from tests.e2e import http
from tests.e2e.http import Answer
from tests.faces.ag_ui_judges import judged

BOUND_S = 30.0


class Ui:
    """One thread of a user interface: it keeps the messages as AG-UI's clients do, and sends all of them each time."""

    def __init__(self, port: int, agent: str, *, thread: str | None = None) -> None:
        self.port, self.agent = port, agent
        self.thread = thread or f"thread-{uuid.uuid4()}"
        self.messages: list[dict[str, Any]] = []
        self.calls: set[str] = set()
        self.run_id = ""
        self.body = ""

    @property
    def path(self) -> str:
        return f"/ag-ui/{self.agent}"

    def say(self, content: Any) -> None:
        """Add a message of the user's."""
        self.messages.append({"id": f"m-{uuid.uuid4()}", "role": "user", "content": content})

    def result(self, call_id: str, content: str, **more: Any) -> None:
        """Add what a tool of the application gave."""
        message = {
            "id": f"m-{uuid.uuid4()}",
            "role": "tool",
            "toolCallId": call_id,
            "content": content,
            **more,
        }
        self.messages.append(message)

    def input(self, run_id: str | None = None, **more: Any) -> dict[str, Any]:
        """Return the body of a request, as the protocol's own package writes it."""
        self.run_id = run_id or f"run-{uuid.uuid4()}"
        base: dict[str, Any] = {
            "threadId": self.thread,
            "runId": self.run_id,
            "protocolVersion": "1.0",
            "state": {},
            "messages": self.messages,
            "tools": [],
            "context": [],
            "forwardedProps": {},
        }
        return RunAgentInput.model_validate({**base, **more}).model_dump(mode="json", by_alias=True)

    async def post(self, body: Mapping[str, Any], *, query: str = "", **headers: str) -> Answer:
        """Send a request and return the whole answer."""
        return await http.ask(self.port, "POST", self.path + query, body=body, headers=headers)

    async def run(self, said: Any = None, *, run_id: str | None = None, **more: Any) -> AgUiRun:
        """Say something, or go on, and return what the run told; the messages are kept as a client keeps them."""
        if said is not None:
            self.say(said)
        answer = await self.post(self.input(run_id, **more))
        assert answer.status == 200, answer.body
        self.body = answer.body.decode()
        run = judged(self.body, content_type=answer.headers["content-type"], known_calls=self.calls)
        self._keep(run)
        return run

    async def refused(self, status: int, code: str, said: Any = None, **more: Any) -> dict[str, Any]:
        """Send a request that must be refused; what was said is not kept."""
        kept = list(self.messages)
        if said is not None:
            self.say(said)
        answer = await self.post(self.input(**more))
        assert (answer.status, answer.json.get("code")) == (status, code), answer.body
        assert answer.json["type"] == "RUN_ERROR"
        assert answer.headers["content-type"] == "application/json"
        self.messages = kept
        return answer.json

    async def resume(self, payloads: Sequence[Any], run: AgUiRun, **more: Any) -> AgUiRun:
        """Answer all interrupts of `run`, in order; None abandons."""
        return await self.run(resume=entries(run, payloads), **more)

    async def follow(
        self, run_id: str | None = None, *, after: str | None = None, header: bool = True
    ) -> Answer:
        """Read a run again; without an id the thread."""
        query = f"?threadId={self.thread}" + (f"&runId={run_id}" if run_id else "")
        if after is not None and not header:
            query += f"&after={after}"
        headers = {"Last-Event-ID": after} if after is not None and header else {}
        return await http.ask(self.port, "GET", self.path + query, headers=headers)

    async def first(self, body: Mapping[str, Any], count: int) -> list[AgUiFrame]:
        """Send a request, read so many frames, and cut the connection."""
        text = ""
        async with asyncio.timeout(BOUND_S), http.stream(self.port, self.path, body=body) as line:
            assert line.status == 200
            async for piece in line.pieces():
                text += piece.decode()
                whole = text[: text.rfind("\n\n") + 2]
                if len(found := read_ag_ui(whole)) >= count:
                    return found[:count]
        raise AssertionError(f"the stream had no {count} frames: {text}")

    def _keep(self, run: AgUiRun) -> None:
        for call, name in run.calls.items():
            function = {"name": name, "arguments": "{}"}
            calls = [{"id": call, "type": "function", "function": function}]
            self.messages.append({"id": call, "role": "assistant", "toolCalls": calls})
        for call, content in run.results.items():
            self.messages.append(
                {"id": f"{call}:result", "role": "tool", "toolCallId": call, "content": content}
            )
        for id_, text in run.text.items():
            self.messages.append({"id": id_, "role": "assistant", "content": text})
        self.calls |= set(run.calls)


def entries(run: AgUiRun, payloads: Sequence[Any]) -> list[dict[str, Any]]:
    """Return resume entries for the interrupts of a run; None abandons."""
    return [
        {"interruptId": interrupt["id"], "status": "cancelled"}
        if payload is None
        else {"interruptId": interrupt["id"], "status": "resolved", "payload": payload}
        for interrupt, payload in zip(run.interrupts, payloads, strict=True)
    ]
