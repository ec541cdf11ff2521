"""The yardstick: an agent in plain FastAPI, as tutorials build it. Nothing is stored, nobody is asked who they are.

    python -m bench.targets.bare FRAMEWORK PORT [DATABASE]

With DATABASE it is the tutorials' next step: threads in SQLite, with what this driver and file do by default (no WAL).
"""

import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

__all__ = ["main"]


class Body(BaseModel):
    input: str
    mode: Literal["wait", "stream"] = "wait"
    thread: str | None = None


class Shelf:
    """Messages of threads in SQLite."""

    def __init__(self, path: str) -> None:
        self._path = path
        with sqlite3.connect(path) as line:
            line.execute(
                "CREATE TABLE messages (id INTEGER PRIMARY KEY, thread TEXT, role TEXT, content TEXT)"
            )

    def add(self, thread: str, role: str, content: str) -> None:
        line = sqlite3.connect(self._path, timeout=30)
        try:
            with line:
                order = "INSERT INTO messages (thread, role, content) VALUES (?, ?, ?)"
                line.execute(order, (thread, role, content))
        finally:
            line.close()


def main(framework: str, port: int, database: str = "") -> None:
    """Serve until a signal comes."""
    its: Any = import_module(f"bench.targets.agents.{framework}")
    shelf = Shelf(database) if database else None
    app = FastAPI()

    def keep(body: Body, role: str, content: str) -> None:
        if shelf is not None:
            shelf.add(body.thread or "default", role, content)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/runs", response_model=None)
    async def run(body: Body) -> StreamingResponse | dict[str, str]:
        keep(body, "user", body.input)
        if body.mode == "stream":
            return StreamingResponse(events(body), media_type="text/event-stream")
        output = await its.answer(body.input, body.thread)
        keep(body, "assistant", output)
        return {"output": output}

    async def events(body: Body) -> AsyncIterator[str]:
        said = list[str]()
        async for delta in its.deltas(body.input):
            if shelf is not None:
                said.append(delta)
            yield f"data: {json.dumps({'delta': delta})}\n\n"
        keep(body, "assistant", "".join(said))

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
