"""What a request for a response comes to: a run to start, or answers to a run that waits for them.

Nothing is written here. A call and a request for approval are found by their ids, which name their place in the log of
one of the caller's runs; whatever else a client claims about tools is refused, or an untrusted history (TRU-19).
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from landline.faces.openai.faults import fault
from landline.faces.openai.responses_ids import place_of, thread_id_of
from landline.faces.openai.responses_items import Approval, Call, Entry, Given, Result, Said, history_of
from landline.faces.openai.responses_record import Record, Records
from landline.faces.openai.responses_settings import client_tools, output_schema, refuse, settings_of
from landline.faces.openai.responses_wire import ConversationRef, ResponseBody
from landline.model.agents import AgentInfo
from landline.model.callers import Caller
from landline.model.carried import Carried, CarriedMessage
from landline.model.errors import Conflict, Gone, NotFound
from landline.model.events import QuestionAsked, RunCreated
from landline.model.messages import Part, TextPart, text_of
from landline.model.runs import Answer, Question, Run
from landline.ports.routing import AUTO
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery
from landline.web.face import FacePorts

__all__ = ["Answers", "Begin", "Planner", "conversation_of"]

_Given = Result | Approval
_ABILITIES = (("client_tools", "tools"), ("output_schema", "text.format"), ("carried_history", "input"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """A run to start; `forks` when its thread has to be a branch of its own, kept or forgotten by itself."""

    start: StartRun
    own_thread: bool
    forks: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Answers to `run`, which waits since the event at `after`."""

    run: Run
    answers: Sequence[Answer]
    after: int
    client_tools: frozenset[str]
    own_thread: bool = True


def conversation_of(body: ResponseBody) -> str | None:
    """Return the id of the conversation that a body names."""
    given = body.conversation
    return given.id if isinstance(given, ConversationRef) else given


class Planner:
    """Finds out what a request means; `local` is the response a socket still holds, stored or not."""

    def __init__(self, ports: FacePorts, records: Records) -> None:
        self._ports, self._records = ports, records

    async def plan(
        self, caller: Caller, body: ResponseBody, given: Given, *, local: Record | None = None
    ) -> Begin | Answers:
        """Return what is to be done.

        Raises:
            Invalid: The request does not fit the response it follows, or itself; names the parameter.
            Conflict: The calls it answers were answered before, or the response it follows has not ended.
            NotFound: No such model, conversation or response among the caller's own.
        """
        agent = self._agent(caller, body)
        if body.previous_response_id is not None:
            before = await self._before(caller, body.previous_response_id, local)
            return await self._following(caller, body, given.entries, before, agent)
        conversation = conversation_of(body)
        if conversation is not None:
            return await self._in_thread(caller, body, given.entries, conversation, agent)
        return await self._alone(caller, body, given.entries, agent)

    # the three ways a request stands

    async def _following(
        self,
        caller: Caller,
        body: ResponseBody,
        entries: Sequence[Entry],
        before: Record,
        agent: AgentInfo | None,
    ) -> Begin | Answers:
        _check_new(entries)
        run = await self._run(caller, before)
        answers = [entry for entry in entries if isinstance(entry, _Given)]
        if answers:
            _check_only(entries)
            return await self._answers(caller, answers, run=run, own_thread=before.own_thread)
        if run.status == "waiting":
            return await self._said_to(caller, run, entries, own_thread=before.own_thread)
        if run.status in {"queued", "running"}:
            raise Conflict("The previous response has not ended yet.", code="previous_response_in_progress")
        parent = run.message_id or await self._first_message(caller, run)
        kept = body.store is not False
        start = self._start(body, entries, agent, thread_id=run.thread_id, parent_id=parent)
        # What is not stored stays out of what is; and only `conversation` goes on in a conversation.
        forks = before.store != kept or not before.own_thread
        return Begin(start=start, own_thread=before.own_thread, forks=forks)

    async def _in_thread(
        self,
        caller: Caller,
        body: ResponseBody,
        entries: Sequence[Entry],
        conversation: str,
        agent: AgentInfo | None,
    ) -> Begin | Answers:
        _check_new(entries)
        thread_id = thread_id_of(conversation)
        if thread_id is None:
            raise _no_conversation(conversation)
        try:
            thread = await self._ports.threads.get(caller, thread_id[:64])
        except NotFound:
            raise _no_conversation(conversation) from None
        waiting = await self._ports.runs.history(
            caller, RunQuery(thread_id=thread.id, status="waiting", limit=1)
        )
        answers = [entry for entry in entries if isinstance(entry, _Given)]
        if answers:
            _check_only(entries)
            run = waiting.items[0] if waiting.items else None
            return await self._answers(caller, answers, run=run, own_thread=False)
        if waiting.items:
            run = await self._ports.runs.get(caller, waiting.items[0].id)
            return await self._said_to(caller, run, entries, own_thread=False)
        return Begin(start=self._start(body, entries, agent, thread_id=thread.id), own_thread=False)

    async def _alone(
        self, caller: Caller, body: ResponseBody, entries: Sequence[Entry], agent: AgentInfo | None
    ) -> Begin | Answers:
        last = entries[-1] if entries else None
        if isinstance(last, Approval) or (isinstance(last, Result) and place_of(last.call_id, "call")):
            said = [index for index, entry in enumerate(entries) if _is_users(entry)]
            since = entries[said[-1] + 1 if said else 0 :]
            answers = [entry for entry in since if isinstance(entry, _Given) and _place(entry) is not None]
            if answers:
                return await self._answers(caller, answers, run=None, own_thread=True)
        if isinstance(last, _Given):
            raise _unknown_call(last)
        said = [index for index, entry in enumerate(entries) if _is_users(entry)]
        after = entries[said[-1] + 1 :] if said else entries
        if not said or any(not (isinstance(entry, Said) and entry.role == "system") for entry in after):
            refuse(
                "input",
                "an input ends with a message of the user, or outputs of calls",
                code="invalid_request",
            )
        words = [*entries[: said[-1]], *after]
        start = self._start(body, [entries[said[-1]]], agent, history=history_of(words))
        return Begin(start=start, own_thread=True)

    def _start(
        self,
        body: ResponseBody,
        entries: Sequence[Entry],
        agent: AgentInfo | None,
        *,
        thread_id: str | None = None,
        parent_id: str | None = None,
        history: Sequence[CarriedMessage] = (),
    ) -> StartRun:
        said = [entry for entry in entries if isinstance(entry, Said)]
        parts = _joined([entry for entry in said if entry.role == "user"])
        if not parts:
            refuse("input", "a response needs an input", code="invalid_request")
        told = history_of([entry for entry in said if entry.role == "system"])
        if body.instructions:
            told.insert(0, CarriedMessage(role="system", parts=[TextPart(text=body.instructions)]))
        carried = Carried(
            tools=client_tools(body), output_schema=output_schema(body), history=[*told, *history]
        )
        _check_abilities(agent, carried)
        return StartRun(
            input=parts,
            thread_id=thread_id,
            parent_id=parent_id,
            agent=body.model,
            settings=settings_of(body, agent),
            metadata=dict(body.metadata or {}),
            carried=carried
            if carried.tools or carried.history or carried.output_schema is not None
            else None,
        )

    # answers

    async def _answers(
        self, caller: Caller, given: Sequence[_Given], *, run: Run | None, own_thread: bool
    ) -> Answers:
        """Return the answers to the one run that they name, which must be `run` if there is one."""
        places = [(entry, _place(entry)) for entry in given]
        for entry, place in places:
            if place is None or (run is not None and place[0] != run.id):
                raise _unknown_call(entry)
        named = {place[0] for _, place in places if place is not None}
        if len(named) != 1:
            refuse("input", "the outputs are of different responses", code="invalid_request")
        try:
            waiting = await self._ports.runs.get(caller, named.pop())
        except NotFound:
            raise _unknown_call(given[0]) from None
        open_ = {question.question_id: question for question in waiting.questions if question.outcome is None}
        found: dict[str, Answer] = {}
        first = 0
        for entry, place in places:
            seq = place[1] if place is not None else 0
            asked = await self._asked(caller, waiting.id, seq)
            if asked is None or not _fits(entry, asked):
                raise _unknown_call(entry)
            if waiting.status == "waiting" and asked.question_id in open_:
                found[asked.question_id] = _answer(entry, asked.question_id)
                first = max(first, seq)
        if not found:
            raise Conflict("These calls were answered before.", code="question_closed")
        missing = next((question for key, question in open_.items() if key not in found), None)
        if missing is not None:
            refuse("input", f"No tool output found for {_named(missing)}.", code="invalid_request")
        names = frozenset(q.tool for q in open_.values() if q.kind == "input" and q.tool is not None)
        return Answers(
            run=waiting,
            answers=list(found.values()),
            after=await self._waits_since(caller, waiting.id, first),
            client_tools=names,
            own_thread=own_thread,
        )

    async def _said_to(
        self, caller: Caller, run: Run, entries: Sequence[Entry], *, own_thread: bool
    ) -> Answers:
        """Return a message of the user as the answer to the one question that can be answered with words."""
        open_ = [question for question in run.questions if question.outcome is None]
        said = text_of(_joined([entry for entry in entries if isinstance(entry, Said)]))
        if len(open_) != 1 or open_[0].kind == "approval" or open_[0].tool is not None or not said:
            told = ", ".join(_named(question) for question in open_[:8])
            refuse("input", f"No tool output found for {told}.", code="invalid_request")
        return Answers(
            run=run,
            answers=[Answer(question_id=open_[0].question_id, value=said)],
            after=await self._waits_since(caller, run.id, 0),
            client_tools=frozenset(),
            own_thread=own_thread,
        )

    async def _asked(self, caller: Caller, run_id: str, seq: int) -> QuestionAsked | None:
        """Return the question at a place of a run's log."""
        try:
            found = self._ports.runs.follow(caller, run_id, after=seq - 1, live=False)
            async with aclosing(cast("AsyncGenerator[Any, None]", found)) as batches:
                async for batch in batches:
                    event = batch[0].event()
                    return event if isinstance(event, QuestionAsked) else None
        except Gone:
            pass
        return None

    async def _waits_since(self, caller: Caller, run_id: str, after: int) -> int:
        found = 0
        async for batch in self._ports.runs.follow(caller, run_id, after=after, live=False):
            for event in batch:
                if event.type == "run.waiting":
                    found = event.seq
        return found

    # what is followed

    async def _before(self, caller: Caller, response_id: str, local: Record | None) -> Record:
        if local is not None and local.id == response_id:
            return local
        try:
            return await self._records.get(caller, response_id)
        except NotFound:
            raise _not_found(response_id) from None

    async def _run(self, caller: Caller, before: Record) -> Run:
        try:
            return await self._ports.runs.get(caller, before.run_id)
        except NotFound:
            raise _not_found(before.id) from None

    async def _first_message(self, caller: Caller, run: Run) -> str | None:
        """Return the user's own message, of a run that gave none."""
        found = self._ports.runs.follow(caller, run.id, live=False)
        async with aclosing(cast("AsyncGenerator[Any, None]", found)) as batches:
            async for batch in batches:
                event = batch[0].event()
                return event.message_id if isinstance(event, RunCreated) else None
        return None

    def _agent(self, caller: Caller, body: ResponseBody) -> AgentInfo | None:
        """Return the agent that is the model. Without one it is the only one, or that of the response before."""
        if body.model is None:
            known = self._ports.agents.list(caller)
            if len(known) != 1 and body.previous_response_id is None:
                refuse("model", "this server has more than one model; name it", code="invalid_request")
            return known[0] if len(known) == 1 else None
        if body.model == AUTO:
            return None
        try:
            return self._ports.agents.get(caller, body.model)
        except NotFound:
            raise NotFound(f"The model {body.model!r} does not exist.", code="model_not_found") from None


def _check_abilities(agent: AgentInfo | None, carried: Carried) -> None:
    """Name the parameter that the agent cannot take, which admission would refuse without a name."""
    if agent is None:
        return
    wants = (bool(carried.tools), carried.output_schema is not None, bool(carried.history))
    for wanted, (ability, param) in zip(wants, _ABILITIES, strict=True):
        if wanted and ability not in agent.capabilities:
            refuse(param, f"the model {agent.name!r} cannot take this", code=f"{ability}_unsupported")


def _check_new(entries: Sequence[Entry]) -> None:
    """What this server keeps is not told to it again: only new words and results come in (TRU-19)."""
    for entry in entries:
        if isinstance(entry, Call) or (isinstance(entry, Said) and entry.role == "assistant"):
            refuse("input", "the server has the history: send only what is new", code="forged_history")


def _check_only(entries: Sequence[Entry]) -> None:
    if any(isinstance(entry, Said) for entry in entries):
        refuse("input", "send the outputs by themselves, and what is to be said with the response after", code="invalid_request")  # fmt: skip


def _is_users(entry: Entry) -> bool:
    return isinstance(entry, Said) and entry.role == "user"


def _place(entry: _Given) -> tuple[str, int] | None:
    if isinstance(entry, Result):
        return place_of(entry.call_id, "call")
    return place_of(entry.request_id, "mcpr")


def _fits(entry: _Given, asked: QuestionAsked) -> bool:
    if isinstance(entry, Approval):
        return asked.kind == "approval"
    return asked.kind == "input" and asked.tool is not None


def _answer(entry: _Given, question_id: str) -> Answer:
    if isinstance(entry, Result):
        return Answer(question_id=question_id, value=entry.value)
    return Answer(question_id=question_id, approve=entry.approve, reason=entry.reason)


def _named(question: Question) -> str:
    if question.kind == "approval":
        return f"the request to approve {question.tool or question.prompt!r}"
    return f"function call {question.tool}" if question.tool else f"the question {question.prompt[:200]!r}"


def _joined(said: Sequence[Said]) -> list[Part]:
    parts: list[Part] = []
    for entry in said:
        parts += [TextPart(text="\n\n")] if parts else []
        parts += entry.parts
    return parts


def _unknown_call(entry: _Given) -> Exception:
    if isinstance(entry, Result):
        return fault(
            entry.at, f"No tool call found for function call output with call_id {entry.call_id[:64]}."
        )
    return fault(entry.at, f"No approval request found with id {entry.request_id[:64]}.")


def _not_found(response_id: str) -> Exception:
    return fault(
        ("previous_response_id",),
        f"Previous response with id '{response_id[:128]}' not found.",
        code="previous_response_not_found",
    )


def _no_conversation(conversation: str) -> Exception:
    return NotFound(f"Conversation with id '{conversation[:128]}' not found.", code="conversation_not_found")
