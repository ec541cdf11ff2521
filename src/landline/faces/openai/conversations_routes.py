"""Conversations: the caller's threads under OpenAI's name for them. What is in one comes from its responses only (TRU-19)."""

from typing import Any, Final, NoReturn

from starlette.responses import Response

from landline.faces.openai.responses_compact import messages_of
from landline.faces.openai.responses_ids import thread_id_of
from landline.faces.openai.responses_output import json_text
from landline.faces.openai.responses_pages import (
    AfterParam,
    IdPath,
    IncludeParam,
    LimitParam,
    OrderParam,
    page_of,
)
from landline.faces.openai.responses_settings import refuse
from landline.faces.openai.responses_wire import ConversationBody, ConversationPatch
from landline.faces.openai.wire import json_response, seconds
from landline.model.callers import Caller
from landline.model.errors import NotFound, Unavailable, Unsupported
from landline.model.messages import (
    FilePart,
    ImagePart,
    Message,
    OutputPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.model.threads import Thread
from landline.ports.store import ThreadPatch
from landline.web.caller import CallerOf
from landline.web.face import FacePorts
from landline.web.route import Entry, requires
from landline.web.waiting import now

__all__ = ["ConversationRoutes", "items_of"]

_ONE: Final = "/v1/conversations/{conversation_id}"


class ConversationRoutes:
    """The handlers, and the table that says where they are."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._threads = ports.threads

    @requires("threads:write")
    async def create(self, caller: CallerOf, body: ConversationBody | None = None) -> Response:
        """Make a conversation. Items cannot be put into one: nobody forges what was said."""
        if body is not None and body.items:
            refuse("items", "what is in a conversation comes from its responses", code="forged_history")
        agents = [info for info in self._ports.agents.list(caller) if info.error is None]
        if not agents:
            raise Unavailable("No model is served to this caller.", code="model_not_found")
        # A response names its model; the thread's own agent is asked for nothing on this wire.
        thread, _ = await self._threads.create(
            caller, agent=agents[0].name, metadata=dict((body and body.metadata) or {})
        )
        return json_response(_conversation(thread))

    @requires("threads:read")
    async def get(self, conversation_id: IdPath, caller: CallerOf) -> Response:
        """Return a conversation."""
        return json_response(_conversation(await self._thread(caller, conversation_id)))

    @requires("threads:write")
    async def update(self, conversation_id: IdPath, body: ConversationPatch, caller: CallerOf) -> Response:
        """Change a conversation's metadata."""
        thread = await self._thread(caller, conversation_id)
        patch = ThreadPatch(at=now(), metadata=dict(body.metadata or {}))
        return json_response(_conversation(await self._threads.update(caller, thread.id, patch)))

    @requires("threads:write")
    async def delete(self, conversation_id: IdPath, caller: CallerOf) -> Response:
        """Delete a conversation and everything under it."""
        thread = await self._thread(caller, conversation_id)
        await self._threads.delete(caller, thread.id)
        return json_response({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    @requires("threads:read")
    async def items(
        self,
        conversation_id: IdPath,
        caller: CallerOf,
        after: AfterParam = None,
        limit: LimitParam = 20,
        order: OrderParam = "desc",
        include: IncludeParam = None,
    ) -> Response:
        """Return a page of a conversation's items."""
        found = await self._items(caller, conversation_id)
        return json_response(page_of(found, after=after, limit=limit, order=order))

    @requires("threads:read")
    async def item(self, conversation_id: IdPath, item_id: IdPath, caller: CallerOf) -> Response:
        """Return one item of a conversation."""
        for found in await self._items(caller, conversation_id):
            if found["id"] == item_id:
                return json_response(found)
        raise NotFound(f"Item with id '{item_id}' not found.", code="item_not_found")

    @requires("threads:write")
    async def add(self, conversation_id: IdPath, body: dict[str, Any], caller: CallerOf) -> Response:
        """Refuse to put items into a conversation."""
        await self._thread(caller, conversation_id)
        self._fixed()

    @requires("threads:write")
    async def remove(self, conversation_id: IdPath, item_id: IdPath, caller: CallerOf) -> Response:
        """Refuse to take an item out of a conversation."""
        await self._thread(caller, conversation_id)
        self._fixed()

    def _fixed(self) -> NoReturn:
        raise Unsupported(
            "What is in a conversation comes from its responses; items are neither added nor removed.",
            code="forged_history",
        )

    async def _thread(self, caller: Caller, conversation_id: str) -> Thread:
        thread_id = thread_id_of(conversation_id)
        try:
            if thread_id is not None:
                return await self._threads.get(caller, thread_id)
        except NotFound:
            pass
        raise NotFound(f"Conversation with id '{conversation_id}' not found.", code="conversation_not_found")

    async def _items(self, caller: Caller, conversation_id: str) -> list[dict[str, Any]]:
        thread = await self._thread(caller, conversation_id)
        return [item for row in await messages_of(self._ports, caller, thread.id) for item in items_of(row)]

    def routes(self) -> list[Entry]:
        """Return the table."""
        return [
            Entry(method="POST", path="/v1/conversations", endpoint=self.create, name="openai_create_conversation",
                  summary="Make a conversation"),
            Entry(method="GET", path=_ONE, endpoint=self.get, name="openai_get_conversation",
                  summary="Get a conversation"),
            Entry(method="POST", path=_ONE, endpoint=self.update, name="openai_update_conversation",
                  summary="Change a conversation's metadata"),
            Entry(method="DELETE", path=_ONE, endpoint=self.delete, name="openai_delete_conversation",
                  summary="Delete a conversation"),
            Entry(method="GET", path=f"{_ONE}/items", endpoint=self.items, name="openai_list_conversation_items",
                  summary="List the items of a conversation"),
            Entry(method="POST", path=f"{_ONE}/items", endpoint=self.add, name="openai_add_conversation_items",
                  summary="Refused: items come from responses"),
            Entry(method="GET", path=f"{_ONE}/items/{{item_id}}", endpoint=self.item,
                  name="openai_get_conversation_item", summary="Get an item of a conversation"),
            Entry(method="DELETE", path=f"{_ONE}/items/{{item_id}}", endpoint=self.remove,
                  name="openai_delete_conversation_item", summary="Refused: items come from responses"),
        ]  # fmt: skip


def items_of(row: Message) -> list[dict[str, Any]]:
    """Return a message of a thread as items: what it says, and each thought and call of it by itself."""
    items: list[dict[str, Any]] = []
    said: list[Part] = []
    results = {part.call_id: part for part in row.parts if isinstance(part, ToolResultPart)}
    for index, part in enumerate(row.parts):
        match part:
            case ReasoningPart():
                summary = [{"type": "summary_text", "text": part.text}]
                items.append({"id": f"rs_{row.id}_{index}", "type": "reasoning", "summary": summary})
            case ToolCallPart():
                items.append(_call(row, index, part, results.get(part.call_id)))
            case ToolResultPart():
                pass  # told with its call
            case _:
                said.append(part)
    if said:
        content = [shown for part in said if (shown := _content(row, part)) is not None]
        base = {"id": f"msg_{row.id}", "type": "message", "status": "completed"}
        items.append({**base, "role": row.role, "content": content})
    return items


def _call(row: Message, index: int, part: ToolCallPart, result: ToolResultPart | None) -> dict[str, Any]:
    """Return a call, which to this wire is one of a remote server's tool, whoever carried it out."""
    output = None
    if result is not None and result.error is None:
        output = result.result if isinstance(result.result, str) else json_text(result.result)
    return {
        "id": f"mcp_{row.id}_{index}",
        "type": "mcp_call",
        "server_label": "landline",
        "name": part.name,
        "arguments": json_text(part.arguments),
        "output": output,
        "error": result.error if result is not None else None,
        "status": "completed" if result is not None and result.error is None else "incomplete",
    }


def _content(row: Message, part: Part) -> dict[str, Any] | None:
    match part:
        case TextPart() if row.role == "assistant":
            return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case OutputPart():
            return {"type": "output_text", "text": json_text(part.output), "annotations": [], "logprobs": []}
        case ImagePart():
            return {"type": "input_image", "file_id": part.file_id, "detail": "auto"}
        case FilePart():
            return {"type": "input_file", "file_id": part.file_id, "filename": part.name}
        case _:
            return None


def _conversation(thread: Thread) -> dict[str, Any]:
    return {
        "id": f"conv_{thread.id}",
        "object": "conversation",
        "created_at": seconds(thread.created_at),
        "metadata": thread.metadata,
    }
