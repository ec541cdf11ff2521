"""What tests of OpenAI's wires share: the face over fakes, and logs written by hand."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import httpx
import msgspec
from fastapi import FastAPI

from landline.faces.openai import face
from landline.model.agents import AgentInfo
from landline.model.events import Event, QuestionAsked, RunWaiting
from landline.model.ids import new_id
from landline.model.runs import Question
from landline.web import problems
from landline.web.face import FacePorts
from landline.web.guard import Guard
from landline.web.route import assert_declared
from tests.faces import logs
from tests.faces.fakes import World, native_ports

RUN, THREAD = "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10", "0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b11"
CHAT = "/v1/chat/completions"


log = partial(logs.log, run_id=RUN, thread_id=THREAD)


def asked(**given: Any) -> tuple[QuestionAsked, Question]:
    """Return a question as it is asked and as it is open."""
    fields: dict[str, Any] = {"question_id": new_id(), "kind": "input", "prompt": "…", **given}
    return QuestionAsked(**fields), Question(**fields)


def called(tool: str, arguments: Any, *, call_id: str = "c1") -> tuple[QuestionAsked, Question]:
    """Return the question that is a call of a client's tool."""
    return asked(tool=tool, call_id=call_id, arguments=arguments, client=True)


def waiting(*questions: tuple[QuestionAsked, Question]) -> list[Event]:
    """Return the events of a run that asks all of these and waits."""
    return [*(told for told, _ in questions), RunWaiting(questions=[open_ for _, open_ in questions])]


@asynccontextmanager
async def client_of(ports: FacePorts, **headers: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Open a client of the face without a socket in between."""
    app = FastAPI(openapi_url=None)
    app.include_router(face(ports))
    problems.install(app)
    assert_declared(app)
    transport = httpx.ASGITransport(app=Guard(app, door=ports.door))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


def capable(world: World, **info: Any) -> FacePorts:
    """Return ports whose one agent says of itself what is given."""
    ports = native_ports(world)
    agents = cast("dict[str, AgentInfo]", cast("Any", ports.agents)._agents)
    agents["notes"] = msgspec.structs.replace(agents["notes"], **info)
    return ports


def body(content: Any = "Hello", **more: Any) -> dict[str, Any]:
    """Return a request of one message of the user's."""
    return {"model": "notes", "messages": [user(content)], **more}


def user(content: Any = "Hello") -> dict[str, Any]:
    """Return a message of the user's."""
    return {"role": "user", "content": content}


def calls(*made: tuple[str, str, str]) -> dict[str, Any]:
    """Return an assistant's message with calls: id, name and the text of the arguments of each."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in made
        ],
    }


def result(id_: str, content: Any = "sunny") -> dict[str, Any]:
    """Return the message that brings the result of a call."""
    return {"role": "tool", "tool_call_id": id_, "content": content}
