"""What the suite's tests are written in: three people, made-up moments, and a pen that writes a run's log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from landline.model.callers import Caller
from landline.model.errors import LandlineError
from landline.model.events import (
    Event,
    MessageStarted,
    RunCompleted,
    RunStarted,
    RunWaiting,
    Stamped,
    TextDelta,
    stamp,
)
from landline.model.ids import new_id
from landline.model.messages import Native, Role, TextPart
from landline.model.runs import Question, QuestionKind, Usage
from landline.model.threads import Thread
from landline.ports.store import (
    Accepted,
    AcceptRun,
    Append,
    Appended,
    Claim,
    NewMessage,
    NewQuestion,
    NewThread,
    Settle,
    Store,
)

__all__ = [
    "ALICE",
    "BOB",
    "MALLORY",
    "OWNER",
    "Pen",
    "StoreFactory",
    "ask",
    "code_of",
    "moment",
    "new_thread",
    "said",
    "start",
]

StoreFactory = Callable[[], Store]

ALICE = Caller(tenant="acme", user="alice")
BOB = Caller(tenant="acme", user="bob", scopes=frozenset({"runs:read"}))
"""Of Alice's tenant; answers no questions of others."""

MALLORY = Caller(tenant="elsewhere", user="alice")
"""Has Alice's user name, and every scope, in another tenant."""

OWNER = "worker-1"


def moment(second: int = 0) -> str:
    """Return a time, `second` seconds after the beginning of the test's day."""
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000Z"


def said(text: str, *, role: Role = "user", native: Native | None = None, second: int = 0) -> NewMessage:
    """Return a message to append."""
    return NewMessage(
        id=new_id(), role=role, content=text, parts=[TextPart(text=text)], at=moment(second), native=native
    )


async def new_thread(store: Store, caller: Caller = ALICE, *, second: int = 0, **fields: Any) -> Thread:
    """Make a thread."""
    new = NewThread(id=new_id(), agent="notes", at=moment(second), **fields)
    return (await store.create_thread(caller, new))[0]


async def start(
    store: Store,
    thread_id: str,
    text: str | None = "hello",
    *,
    caller: Caller = ALICE,
    second: int = 0,
    **fields: Any,
) -> Accepted:
    """Accept a run that says `text`; None answers again below `parent_id`."""
    message = None if text is None else said(text, second=second)
    new: dict[str, Any] = {
        "agent": "notes",
        "at": moment(second),
        "owner": OWNER,
        "message": message,
        **fields,
    }
    return await store.accept(caller, AcceptRun(run_id=new_id(), thread_id=thread_id, **new))


def ask(kind: QuestionKind = "approval", **fields: Any) -> NewQuestion:
    """Return a question to ask; `key` names it for the resumed run."""
    key = fields.pop("key", None) or new_id()
    question = Question(question_id=new_id(), kind=kind, prompt="May I?", **fields)
    return NewQuestion(key=key, question=question)


def code_of(refusal: "pytest.ExceptionInfo[LandlineError]") -> str:
    """Return the stable code of a refusal."""
    return refusal.value.code


@dataclass
class Pen:
    """Writes the log of a claimed run, as its driver would."""

    store: Store
    claim: Claim
    seq: int = field(init=False)

    def __post_init__(self) -> None:
        self.seq = self.claim.last_seq

    def stamped(self, *events: Event, second: int = 0) -> list[Stamped]:
        """Give the events the next places of the log."""
        run = self.claim.run
        made = [
            stamp(event, seq=self.seq + nth, run_id=run.id, thread_id=run.thread_id, at=moment(second))
            for nth, event in enumerate(events, 1)
        ]
        self.seq += len(made)
        return made

    def batch(self, *events: Event, second: int = 0, **columns: Any) -> Append:
        """Return a batch of these events."""
        run = self.claim.run
        columns = {"caller": self.claim.caller, "epoch": self.claim.epoch, **columns}
        stamped = self.stamped(*events, second=second)
        return Append(run_id=run.id, thread_id=run.thread_id, events=stamped, **columns)

    async def write(self, *events: Event, **columns: Any) -> Appended:
        """Write a batch."""
        return (await self.store.append([self.batch(*events, **columns)]))[0]

    async def stream(self, *texts: str) -> Appended:
        """Write text deltas, as a token batch."""
        return await self.write(*(TextDelta(message_id=self.claim.run.id, delta=text) for text in texts))

    async def complete(
        self, text: str = "answer", *, second: int = 1, native: Native | None = None, **columns: Any
    ) -> Appended:
        """Say `text` and end the run well."""
        message = said(text, role="assistant", native=native, second=second)
        usage = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
        settle = Settle(status="completed", at=moment(second), output=text, message_id=message.id)
        return await self.write(
            RunStarted(agent="notes", attempt=self.claim.run.attempt),
            MessageStarted(message_id=message.id, role="assistant"),
            TextDelta(message_id=message.id, delta=text),
            RunCompleted(output=text, message_id=message.id, usage=usage),
            second=second,
            durable=True,
            **{"messages": [message], "usage": usage, "settle": settle, **columns},
        )

    async def wait(self, *asked: NewQuestion, second: int = 1) -> Appended:
        """Ask, and end the segment waiting."""
        questions: Sequence[Question] = [new.question for new in asked]
        settle = Settle(status="waiting", at=moment(second))
        event = RunWaiting(questions=questions)
        return await self.write(event, second=second, durable=True, questions=asked, settle=settle)
