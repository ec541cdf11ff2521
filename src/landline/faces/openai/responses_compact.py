"""Compaction: a window of items becomes one opaque item that this server reads again.

No model sees it: an agent is not asked to sum up, since that would be a turn of its own with tools and a price. The
window is packed as it is, so nothing is lost, and counts as an untrusted history when it comes back.
"""

from typing import Any

from landline.faces.openai.inputs import Inputs
from landline.faces.openai.responses_items import history_of, packed, read_items
from landline.faces.openai.responses_record import Record, Records
from landline.faces.openai.responses_settings import refuse
from landline.faces.openai.responses_wire import CompactBody
from landline.faces.openai.wire import seconds
from landline.model.callers import Caller
from landline.model.carried import CarriedMessage
from landline.model.errors import NotFound
from landline.model.ids import new_id
from landline.model.messages import Message, TextPart
from landline.ports.store import MessageQuery
from landline.web.face import FacePorts
from landline.web.waiting import now

__all__ = ["compact", "messages_of"]

_PAGE = 200


async def compact(ports: FacePorts, records: Records, caller: Caller, body: CompactBody) -> dict[str, Any]:
    """Return the compacted window of a body.

    Raises:
        Invalid: There is nothing to compact, or an item does not fit.
        NotFound: No such model.
    """
    try:
        ports.agents.get(caller, body.model)
    except NotFound:
        raise NotFound(f"The model {body.model!r} does not exist.", code="model_not_found") from None
    window: list[CarriedMessage] = []
    if body.instructions:
        window.append(CarriedMessage(role="system", parts=[TextPart(text=body.instructions)]))
    if body.previous_response_id is not None:
        window += await _window_of(ports, records, caller, body.previous_response_id)
    given = await read_items(body.input, Inputs(ports.files, caller))
    window += history_of(given.entries)
    if not window:
        refuse("input", "there is nothing to compact", code="invalid_request")
    item = {"id": f"cmp_{new_id()}", "type": "compaction", "encrypted_content": packed(window)}
    return {
        "id": f"resp_{new_id()}",
        "object": "response.compaction",
        "created_at": seconds(now()),
        "output": [item],
        # No model was asked.
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }


async def messages_of(
    ports: FacePorts, caller: Caller, thread_id: str, *, every: bool = False
) -> list[Message]:
    """Return the messages of a thread's chosen branch, or of all, oldest first."""
    found: list[Message] = []
    cursor: str | None = None
    while True:
        query = MessageQuery(
            thread_id=thread_id, limit=_PAGE, cursor=cursor, branch="all" if every else "head"
        )
        page = await ports.threads.messages(caller, query)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def _window_of(
    ports: FacePorts, records: Records, caller: Caller, response_id: str
) -> list[CarriedMessage]:
    """Return what was said up to the end of a response."""
    try:
        record: Record = await records.get(caller, response_id)
        run = await ports.runs.get(caller, record.run_id)
    except NotFound:
        refuse(
            "previous_response_id",
            f"Previous response with id '{response_id[:128]}' not found.",
            code="previous_response_not_found",
        )
    rows = {row.id: row for row in await messages_of(ports, caller, run.thread_id, every=True)}
    here = rows.get(run.message_id or "")
    branch: list[Message] = []
    while here is not None:
        branch.append(here)
        here = rows.get(here.parent_id or "")
    return [CarriedMessage(role=row.role, parts=row.parts) for row in reversed(branch) if row.parts]
