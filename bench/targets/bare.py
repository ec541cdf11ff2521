"""The yardstick: the agent in plain FastAPI, as tutorials build it. Nothing is stored, nobody is asked who they are."""

import json
import sys
from collections.abc import AsyncIterator
from typing import Literal

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bench.targets.agent import agent

__all__ = ["app"]

app = FastAPI()


class Body(BaseModel):
    input: str
    mode: Literal["wait", "stream"] = "wait"


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/runs", response_model=None)
async def run(body: Body) -> StreamingResponse | dict[str, str]:
    if body.mode == "wait":
        return {"output": (await agent.run(body.input)).output}
    return StreamingResponse(_deltas(body.input), media_type="text/event-stream")


async def _deltas(text: str) -> AsyncIterator[str]:
    async with agent.run_stream(text) as result:
        # Without the default debounce, which holds each token back for up to 100 ms.
        async for delta in result.stream_text(delta=True, debounce_by=None):
            yield f"data: {json.dumps({'delta': delta})}\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
