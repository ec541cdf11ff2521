"""A real A2A server of the SDK in this process, with agents that do what the message says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from a2a.helpers.proto_helpers import (
    new_data_part,
    new_task_from_user_message,
    new_text_message,
    new_text_part,
)
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import Event, EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, Task, TaskArtifactUpdateEvent
from starlette.applications import Starlette

from tests.faces.serving import served


class Agents(AgentExecutor):
    """One agent; the first word of the message chooses what it does."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.contexts: dict[str, list[str]] = {}
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()
        self.cancelled = 0
        self.asks = False

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        said = context.get_user_input()
        self.heard.append(said)
        word = said.split(" ")[0]
        assert context.message is not None
        if word == "plainly":
            await event_queue.enqueue_event(new_text_message("no task", context_id=context.context_id))
            return
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        await self._work(word, said, updater, asked=context.current_task is not None)

    async def _work(self, word: str, said: str, updater: TaskUpdater, *, asked: bool) -> None:
        if self.asks:
            name = said if asked else None
            if name is None:
                await updater.requires_input(updater.new_agent_message([new_text_part("Your name?")]))
                return
            await updater.add_artifact([new_text_part(f"Hello, {name}.")], artifact_id="a")
        elif word == "ask" and not asked:
            await updater.add_artifact([new_text_part("Let me see. ")], artifact_id="a")
            await updater.requires_input(updater.new_agent_message([new_text_part("Which one?")]))
            return
        elif asked:
            await updater.add_artifact([new_text_part(f"You chose {said}.")], artifact_id="b")
        elif word == "data":
            place = {"city": "Paris", "people": 2_000_000, "sights": ["Louvre", "Orsay"]}
            await updater.add_artifact([new_data_part(place)], artifact_id="d")
        elif word == "fail":
            await updater.failed(updater.new_agent_message([new_text_part("canary-4410")]))
            return
        elif word == "sign-in":
            await updater.requires_auth()
            return
        elif word == "wait":
            await updater.add_artifact([new_text_part("one ")], artifact_id="a", append=False)
            try:
                self.started.set()
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        elif word == "slowly":
            await updater.add_artifact([new_text_part("one ")], artifact_id="a", append=False)
            await updater.add_artifact([new_text_part("two")], artifact_id="a", append=True)
            await asyncio.sleep(1)
        elif word == "replace":
            await updater.add_artifact([new_text_part("first words")], artifact_id="a")
            await updater.add_artifact([new_text_part("other words")], artifact_id="a")
        else:
            before = self.contexts.setdefault(updater.context_id, [])
            pieces = [*(f"Before: {text}. " for text in before), "You ", "said: ", said]
            before.append(said)
            for number, piece in enumerate(pieces):
                await updater.add_artifact(
                    [new_text_part(piece)],
                    artifact_id="a",
                    append=number > 0,
                    last_chunk=number == len(pieces) - 1,
                )
                await asyncio.sleep(0.005)
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.cancelled += 1
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


class _Handler(DefaultRequestHandler):
    """Tells a new subscriber the last chunk of the task's state once more, which the SDK's own does now and then:
    a chunk may be kept already while it is still on its way to subscribers.
    """

    async def on_subscribe_to_task(self, params: Any, context: Any) -> AsyncGenerator[Event]:
        first = True
        sdk: Any = super()
        async with aclosing(sdk.on_subscribe_to_task(params, context)) as events:
            async for event in events:
                yield event
                if first and isinstance(event, Task) and event.artifacts:
                    yield TaskArtifactUpdateEvent(
                        task_id=event.id,
                        context_id=event.context_id,
                        artifact=event.artifacts[-1],
                        append=True,
                    )
                first = False


@asynccontextmanager
async def a2a_server(
    agents: Agents, *, streaming: bool = True, version: str = "1.0", elsewhere: str | None = None
) -> AsyncGenerator[str]:
    """Serve the agents and yield their address; `elsewhere` is what the card says it is."""
    card = AgentCard(
        name="far",
        description="A test agent",
        version="1",
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
    )
    handler = _Handler(agent_executor=agents, task_store=InMemoryTaskStore(), agent_card=card)
    app = Starlette(
        routes=[
            *create_agent_card_routes(card),
            *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True),
        ]
    )
    async with served(app) as address:
        url = elsewhere or f"http://{address}/rpc"
        card.supported_interfaces.append(
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)
        )
        yield f"http://{address}"
