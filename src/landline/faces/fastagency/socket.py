"""One socket, one workflow: the run's messages out, the human's replies in, until the run has ended.

The run is Landline's and not the socket's: it goes on when the client leaves, and waits as long as it takes for an
answer. A client that opens another socket with the same `workflow_uuid` is told the run from its beginning, asked only
what is open, and goes on.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

import msgspec
from pydantic import ValidationError
from starlette.types import Scope

from landline.faces.fastagency.decode import answer_of, first_words, start_of
from landline.faces.fastagency.encode import Speech, asking, error
from landline.faces.fastagency.wire import Initiated
from landline.model.agents import AgentInfo
from landline.model.errors import Conflict, Invalid, LandlineError
from landline.model.events import Stamped
from landline.model.ids import new_id
from landline.model.runs import Answer, Question
from landline.ports.documents import DocumentWrite
from landline.web import strict_json
from landline.web.caller import with_context
from landline.web.face import FacePorts
from landline.web.websocket import ClosedSocket, Socket, request_of

__all__ = ["WorkflowSocket"]

_FIRST: Final = "What is your message?"
MAX_INPUT_CHARS: Final = 200_000
_RUNS: Final = "face.fastagency.runs"


class WorkflowSocket:
    """What one accepted socket does."""

    def __init__(self, socket: Socket, ports: FacePorts, scope: Scope) -> None:
        self._socket, self._ports, self._scope = socket, ports, scope
        self._caller = socket.caller

    async def serve(self) -> None:
        """Serve until the run has ended or the client leaves."""
        begun = await self._begun()
        try:
            agent = self._ports.agents.get(self._caller, begun.name)
        except LandlineError as refused:
            await self._refuse(begun, refused)
            return
        speech = Speech(begun.workflow_uuid, agent)
        try:
            run_id = await self._start(begun, agent, speech)
        except LandlineError as refused:
            await self._refuse(begun, refused)
            return
        await self._send(speech.begun(begun.params))
        await self._converse(run_id, speech)

    async def _begun(self) -> Initiated:
        raw = await self._socket.receive()
        try:
            return Initiated.model_validate(strict_json.parse(raw))
        except (ValidationError, Invalid):
            raise ClosedSocket(1008, "the first message must begin a workflow") from None

    async def _start(self, begun: Initiated, agent: AgentInfo, speech: Speech) -> str:
        """Return the id of the run that this uuid began before, or begin it."""
        key, documents = begun.workflow_uuid.hex, self._ports.documents
        if found := await documents.read_documents(self._caller, _RUNS, [key]):
            run = await self._ports.runs.get(self._caller, found[0].body.decode())
            if agent.name not in (run.agent, run.routed_to):
                raise Conflict("This workflow_uuid began another workflow.", code="workflow_uuid_taken")
            return run.id
        words = first_words(agent, begun.params)
        if words is not None and len(words) > MAX_INPUT_CHARS:
            raise Invalid(f"A message has at most {MAX_INPUT_CHARS} characters.", code="invalid_request")
        if words is None:
            await self._send(
                speech.message(
                    "text_input", {"prompt": _FIRST, "suggestions": [], "password": False}, uuid=key
                )
            )
            words = await self._words(speech)
        wanted = start_of(agent, begun.workflow_uuid, begun.params, words)
        wanted = await with_context(self._ports, self._caller, request_of(self._scope), wanted)
        run_id = (await self._ports.runs.start(self._caller, wanted)).run.id
        await documents.write_documents(
            self._caller, [DocumentWrite(collection=_RUNS, key=key, body=run_id.encode())]
        )
        return run_id

    async def _converse(self, run_id: str, speech: Speech) -> None:
        after = 0
        while True:
            waiting = False
            follow = self._ports.runs.follow(self._caller, run_id, after=after)
            async with aclosing(cast("AsyncGenerator[Sequence[Stamped]]", follow)) as batches:
                async for batch in batches:
                    for stamped in batch:
                        after, waiting = stamped.seq, stamped.type == "run.waiting"
                        await self._send(*speech.tell(stamped))
                        if stamped.terminal:
                            return
            if waiting:
                await self._ask(run_id, speech)

    async def _ask(self, run_id: str, speech: Speech) -> None:
        """Ask one question after the other; answers from elsewhere count as well."""
        for question in (await self._ports.runs.get(self._caller, run_id)).questions:
            await self._send(asking(speech, question))
            answer = await self._replied(speech, question)
            try:
                await self._ports.runs.answer(self._caller, run_id, [answer])
            except Conflict:
                return  # somebody was faster, on another line

    async def _replied(self, speech: Speech, question: Question) -> Answer:
        while True:
            reply = await self._words(speech, empty=True)
            answer = answer_of(question, reply)
            if answer is not None:
                return answer
            why = "That is not one of the choices."
            await self._send(error(speech, "answer_mismatch", why, uuid=question.question_id))
            await self._send(asking(speech, question))

    async def _words(self, speech: Speech, *, empty: bool = False) -> str:
        """Return the human's next text, once it is one: as long as a message may be, and without NUL."""
        while True:
            try:
                text = (await self._socket.receive()).decode()
            except UnicodeDecodeError:
                text = "\0"  # lone surrogates are no text either
            if (text or empty) and len(text) <= MAX_INPUT_CHARS and "\0" not in text:
                return text
            why = f"Send a text of at most {MAX_INPUT_CHARS} characters."
            await self._send(error(speech, "invalid_text", why, uuid=new_id()))

    async def _refuse(self, begun: Initiated, refused: LandlineError) -> None:
        """Say what is wrong, as a workflow that failed says it, and end."""
        nobody = AgentInfo(name=begun.name, title="Workflow", framework="", version="")
        speech, uuid = Speech(begun.workflow_uuid, nobody), begun.workflow_uuid.hex
        await self._send(error(speech, refused.code, refused.detail, uuid=uuid))
        await self._send(speech.message("workflow_completed", {"result": refused.detail}, uuid=uuid))

    async def _send(self, *messages: dict[str, Any]) -> None:
        if messages:
            await self._socket.send(*map(msgspec.json.encode, messages))
