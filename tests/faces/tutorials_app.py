"""The tutorials' faces over fakes: an app, and clients in front of it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from landline.faces.tutorials import face, more
from landline.web import problems
from landline.web.door import Door
from landline.web.face import FacePorts
from landline.web.guard import Guard
from tests.faces.fakes import FakeAuthenticator, World, native_ports

LESSON = {"message": "What is RAG?"}
LOCAL_KEY = {"X-API-Key": "key-local"}


def build(ports: FacePorts, *, with_more: bool = True) -> ASGIApp:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(face(ports))
    if with_more:
        app.include_router(more(ports))
    problems.install(app)
    return Guard(app, door=ports.door)


@asynccontextmanager
async def reached(
    world: World, *, open_: bool = True, with_more: bool = True, **given: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    """Yield a client of the faces without a socket in between."""
    ports = native_ports(world, door=Door(authenticator=FakeAuthenticator(open_=open_)), **given)
    transport = httpx.ASGITransport(app=build(ports, with_more=with_more))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def open_session(client: httpx.AsyncClient, **headers: str) -> str:
    answer = await client.post(
        "/sessions", headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


async def query(
    client: httpx.AsyncClient,
    thread_id: str,
    *,
    headers: dict[str, str],
    route: str = "query",
    raw: bool = False,
) -> httpx.Response:
    body = {"query": "What is my balance?", "thread_id": thread_id}
    if raw:
        return await client.post(f"/api/v1/agent/{route}", content=json.dumps(body), headers=headers)
    return await client.post(f"/api/v1/agent/{route}", json=body, headers=headers)
