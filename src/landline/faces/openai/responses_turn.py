"""One response from its request to its end, whichever transport it came by.

The request only appended to the log (RUN-2). So a client that leaves changes nothing: a stored response is there to be
read again. One that is not to be stored can never be read again, so leaving it cancels it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Final, cast

from starlette.requests import Request

from landline.faces.openai.inputs import Inputs
from landline.faces.openai.responses_encode import Encoder, Retractions, response_of, retractions
from landline.faces.openai.responses_ids import response_id
from landline.faces.openai.responses_items import Given, read_items
from landline.faces.openai.responses_output import Frame
from landline.faces.openai.responses_plan import Answers, Begin, Planner, conversation_of
from landline.faces.openai.responses_record import Record, Records
from landline.faces.openai.responses_settings import check_options, echo_of, must_call
from landline.faces.openai.responses_wire import ResponseBody
from landline.model.callers import Caller
from landline.model.errors import Busy, Conflict, Gone, NotFound
from landline.model.events import Stamped
from landline.model.runs import TERMINAL, Run
from landline.ports.store import IdempotencyKey
from landline.web.caller import with_context
from landline.web.face import FacePorts

__all__ = ["Responses"]

_PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}


class Responses:
    """Responses over the ports."""

    def __init__(self, ports: FacePorts) -> None:
        self._ports = ports
        self._runs = ports.runs
        self.records = Records(ports.documents)
        self._planner = Planner(ports, self.records)

    async def create(
        self,
        caller: Caller,
        request: Request,
        body: ResponseBody,
        *,
        key: IdempotencyKey | None = None,
        local: Record | None = None,
    ) -> Record:
        """Accept a request; the response is durable when this returns, and its record kept if it is to be stored.

        Raises:
            LandlineError: Refused. Nothing was written but files that the input brought.
        """
        check_options(body)
        given = await read_items(body.input, Inputs(self._ports.files, caller))
        plan = await self._planner.plan(caller, body, given, local=local)
        if isinstance(plan, Answers):
            known = await self._client_tools(caller, plan, local)
            await self._runs.answer(caller, plan.run.id, plan.answers)
            record = _record(body, given, plan.run, replace(plan, client_tools=known))
        else:
            run = await self._begin(caller, request, plan, key)
            own = plan.own_thread or run.thread_id != plan.start.thread_id
            record = _record(body, given, run, replace(plan, own_thread=own))
            if not record.store and record.own_thread:
                await self.records.mark_unstored(caller, run.thread_id)
        if record.store:
            await self.records.keep(caller, record)
        return record

    async def response(self, caller: Caller, record: Record) -> dict[str, Any]:
        """Return a response as it is now."""
        return response_of(record, await self._events(caller, record))

    async def follow(
        self, caller: Caller, record: Record, *, starting_after: int | None = None
    ) -> AsyncIterator[list[Frame]]:
        """Yield the frames of a response in order, those numbered above `starting_after` only, until its last.

        Raises:
            Gone: The cursor lies beyond the response, or in a part that was written again; or that happened now.
        """
        taken_back = await self.check_cursor(caller, record, starting_after)
        encoder = Encoder(record, taken_back=taken_back)
        seen = -1 if starting_after is None else starting_after
        async with aclosing(self.stored(caller, record)) as events:
            async for batch in events:
                frames = [
                    frame
                    for event in batch
                    for frame in encoder.feed(event)
                    if frame["sequence_number"] > seen
                ]
                if frames:
                    yield frames
                if encoder.done:
                    return

    async def check_cursor(self, caller: Caller, record: Record, starting_after: int | None) -> Retractions:
        """Return what the log takes back of a response up to now.

        Raises:
            Gone: No event has this number yet, or those up to it were numbered before a message was written again.
        """
        told = await self._events(caller, record)
        taken_back = retractions(told)
        if starting_after is None:
            return taken_back
        encoder = Encoder(record, taken_back=taken_back)
        for event in told:
            encoder.feed(event)
        if starting_after >= encoder.number:
            raise Gone("There is no event of this number yet.", code="cursor_gone")
        if encoder.rewritten_from is not None and starting_after >= encoder.rewritten_from:
            raise Gone(
                "A message was written again since; read the response from its beginning.",
                code="message_rewritten",
            )
        return taken_back

    async def stored(
        self, caller: Caller, record: Record, *, live: bool = True
    ) -> AsyncGenerator[list[Stamped]]:
        """Yield the events of a response, up to its end."""
        found = self._runs.follow(caller, record.run_id, after=record.after, live=live)
        async with aclosing(cast("AsyncGenerator[Any, None]", found)) as batches:
            async for batch in batches:
                ends = next(
                    (
                        index
                        for index, event in enumerate(batch)
                        if event.terminal or event.type == "run.waiting"
                    ),
                    None,
                )
                yield list(batch if ends is None else batch[: ends + 1])
                if ends is not None:
                    return

    async def to_the_end(self, caller: Caller, record: Record) -> None:
        """Return when a response has ended."""
        async with aclosing(self.stored(caller, record)) as events:
            async for _ in events:
                pass

    async def cancel(self, caller: Caller, record: Record) -> None:
        """Stop a response, unless it has ended."""
        status = (await self.response(caller, record))["status"]
        if status in {"queued", "in_progress"}:
            await self._runs.cancel(caller, record.run_id)
            await self.to_the_end(caller, record)

    async def delete(self, caller: Caller, record: Record) -> None:
        """Remove a response; the last one of a thread that was made for it takes the thread along."""
        with suppress(NotFound):
            if await self._is_last_of_active(caller, record):
                await self._runs.cancel(caller, record.run_id)
        left = await self.records.remove(caller, record)
        if record.own_thread and not left:
            await self._drop_thread(caller, record)

    async def forget(self, caller: Caller, record: Record) -> None:
        """Remove what is left of a response that is not to be stored, once it has ended; one that waits stays until then."""
        if record.store or not await self.records.is_unstored(caller, record.thread_id):
            return
        run = await self._runs.get(caller, record.run_id)
        if run.status in TERMINAL:
            await self._drop_thread(caller, record)

    async def abandon(self, caller: Caller, record: Record) -> None:
        """End and remove a response that is not to be stored and that nobody can ask for any more."""
        with suppress(NotFound):
            await self._runs.cancel(caller, record.run_id)
            await self.forget(caller, record)

    # below

    async def _client_tools(self, caller: Caller, plan: Answers, local: Record | None) -> frozenset[str]:
        """Return the names of the tools the client brought when the run began, as far as anybody knows them."""
        known = plan.client_tools
        if local is not None and local.run_id == plan.run.id:
            known |= frozenset(local.client_tools)
        with suppress(NotFound):
            known |= frozenset((await self.records.get(caller, response_id(plan.run.id, 0))).client_tools)
        return known

    async def _begin(self, caller: Caller, request: Request, plan: Begin, key: IdempotencyKey | None) -> Run:
        start = replace(plan.start, idempotency=key)
        if not plan.forks:
            try:
                wanted = await with_context(self._ports, caller, request, start)
                return (await self._runs.start(caller, wanted)).run
            except Busy:
                if start.parent_id is None:
                    raise Conflict(
                        "Another response of this conversation is in progress.", code="conversation_locked"
                    ) from None
        # Responses branch freely on this wire and may go on at once; a thread holds one run at a time (REL-5).
        assert start.thread_id is not None
        branch, _ = await self._ports.threads.fork(caller, start.thread_id, message_id=start.parent_id)
        wanted = replace(start, thread_id=branch.id, parent_id=None)
        wanted = await with_context(self._ports, caller, request, wanted)
        return (await self._runs.start(caller, wanted)).run

    async def _is_last_of_active(self, caller: Caller, record: Record) -> bool:
        """Tell whether a run goes on, or waits, where this response of it ends."""
        told = await self._events(caller, record)
        if not told or (told[-1].type != "run.waiting" and not told[-1].terminal):
            return True
        if told[-1].terminal:
            return False
        found = self._runs.follow(caller, record.run_id, after=told[-1].seq, live=False)
        async with aclosing(cast("AsyncGenerator[Any, None]", found)) as later:
            return not [batch async for batch in later]

    async def _events(self, caller: Caller, record: Record) -> list[Stamped]:
        found: list[Stamped] = []
        async with aclosing(self.stored(caller, record, live=False)) as events:
            async for batch in events:
                found += batch
        return found

    async def _drop_thread(self, caller: Caller, record: Record) -> None:
        try:
            await self._ports.threads.delete(caller, record.thread_id)
        except (NotFound, Busy):
            return  # it is gone, or somebody goes on in it by another door
        if not record.store:
            await self.records.forget_unstored(caller, record.thread_id)


def _record(body: ResponseBody, given: Given, run: Run, plan: Begin | Answers) -> Record:
    after = plan.after if isinstance(plan, Answers) else 0
    tools = {tool.name for tool in body.tools or ()}
    if isinstance(plan, Answers):
        tools |= plan.client_tools
    name = response_id(run.id, after)
    return Record(
        id=name,
        run_id=run.id,
        thread_id=run.thread_id,
        after=after,
        model=run.agent,
        echo=echo_of(body, conversation_of(body)),
        input=[_listed(item, name, index) for index, item in enumerate(given.shown)],
        client_tools=sorted(tools),
        must_call=must_call(body),
        own_thread=plan.own_thread,
        background=bool(body.background),
        store=body.store is not False,
    )


def _listed(item: dict[str, Any], response: str, index: int) -> dict[str, Any]:
    """Return an item of the input as it is listed: with an id, which the client may have left out."""
    prefix = _PREFIXES.get(str(item.get("type")), "item")
    status = {"status": "completed"} if item.get("type") == "message" else {}
    return {**status, **item, "id": item.get("id") or f"{prefix}_{response.removeprefix('resp_')}_in{index}"}
