"""A real server on a free port for tests of the face, in this process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from landline.faces.native import face
from landline.web import problems
from landline.web.docs import docs
from landline.web.face import FacePorts
from landline.web.guard import Guard
from landline.web.route import assert_declared


def build_app(ports: FacePorts) -> tuple[FastAPI, ASGIApp]:
    app = FastAPI(title="Landline", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(face(ports))
    app.include_router(docs(ports.door))
    problems.install(app)
    assert_declared(app)
    return app, Guard(app, door=ports.door)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve `app` on a free port of the loopback and yield its address, host and port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", ws="websockets-sansio", lifespan="off",
        timeout_graceful_shutdown=1, server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, not an event
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
