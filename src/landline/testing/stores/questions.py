"""Questions: asking, answering in whole or part, votes, expiry, and what the resumed run reads."""

import asyncio
from typing import Any

import pytest

from landline.model.callers import ALL_SCOPES, SYSTEM, Caller
from landline.model.errors import Conflict, Forbidden, Invalid, NotFound
from landline.model.events import QuestionAsked
from landline.model.ids import new_id
from landline.model.runs import Answer
from landline.ports.store import Answered, NewQuestion, Store
from landline.testing.stores.kit import (
    ALICE,
    BOB,
    MALLORY,
    OWNER,
    Pen,
    ask,
    code_of,
    moment,
    new_thread,
    start,
)

__all__ = ["QuestionPromises"]

APPROVERS = [Caller(tenant="acme", user=name) for name in ("carol", "dave", "erin")]


async def waiting_on(store: Store, *asked: NewQuestion) -> Pen:
    """Return the pen of a run that waits for `asked`."""
    accepted = await start(store, (await new_thread(store)).id)
    assert accepted.claim
    pen = Pen(store, accepted.claim)
    await pen.wait(*asked)
    return pen


def to(asked: NewQuestion, **fields: Any) -> Answer:
    """Return an answer to a question."""
    return Answer(question_id=asked.question.question_id, **fields)


async def answer(
    store: Store, pen: Pen, *answers: Answer, caller: Caller = ALICE, second: int = 5
) -> Answered:
    """Answer as `caller`."""
    return await store.answer(caller, pen.claim.run.id, answers, at=moment(second), owner=OWNER)


class QuestionPromises:
    """What a store promises about questions."""

    @pytest.mark.contract("RUN-8")
    async def test_a_waiting_run_shows_its_questions_and_goes_on_when_all_are_answered(
        self, store: Store
    ) -> None:
        one, two = ask("approval", key="one", tool="t", arguments={"a": 1}), ask("input", key="two")
        pen = await waiting_on(store, one, two)
        run = await store.get_run(ALICE, pen.claim.run.id)
        assert run.status == "waiting"
        assert [question.question_id for question in run.questions] == [
            one.question.question_id, two.question.question_id,
        ]  # fmt: skip
        partly = await answer(store, pen, to(one, approve=True, arguments={"a": 2}))
        assert (partly.own, partly.claim, partly.run.status) == (True, None, "waiting")
        assert [event.type for event in partly.events] == ["question.answered"]
        assert [question.question_id for question in partly.run.questions] == [two.question.question_id]
        whole = await answer(store, pen, to(two, value="text"))
        assert [event.type for event in whole.events] == ["question.answered", "run.resumed"]
        assert whole.claim is not None
        assert (whole.claim.epoch, whole.claim.run.status, whole.claim.last_seq) == (2, "running", 5)
        assert whole.claim.run.attempt == 1
        settled = {entry.key: entry for entry in await store.settled_questions(ALICE, run.id)}
        assert settled["one"].answer == to(one, approve=True, arguments={"a": 2})
        assert settled["one"].question.arguments == {"a": 1}
        assert (settled["one"].outcome, settled["two"].outcome) == ("approved", "answered")
        assert settled["two"].answer.value == "text"
        assert not (await Pen(store, whole.claim).complete()).fenced
        assert (await pen.stream("old segment")).fenced
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-8")
    async def test_an_answer_is_taken_once(self, store: Store) -> None:
        one, two = ask(), ask()
        pen = await waiting_on(store, one, two)
        await answer(store, pen, to(one, approve=False, reason="no"))
        with pytest.raises(Conflict) as refusal:
            await answer(store, pen, to(one, approve=True))
        assert code_of(refusal) == "question_closed"
        await answer(store, pen, to(two, approve=True))
        with pytest.raises(Conflict) as refusal:
            await answer(store, pen, to(two, approve=True))
        assert code_of(refusal) == "not_waiting"
        settled = await store.settled_questions(ALICE, pen.claim.run.id)
        assert [(entry.outcome, entry.answer.reason) for entry in settled] == [
            ("denied", "no"),
            ("approved", None),
        ]

    @pytest.mark.contract("RUN-8")
    async def test_of_many_answers_at_once_one_counts(self, store: Store) -> None:
        asked = ask()
        pen = await waiting_on(store, asked)
        results = await asyncio.gather(
            *(answer(store, pen, to(asked, approve=True)) for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(result, Answered) and result.claim is not None for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 9

    @pytest.mark.contract("RUN-8")
    async def test_an_answer_that_does_not_fit_is_refused_and_the_request_changes_nothing(
        self, store: Store
    ) -> None:
        approval, text, choice = ask(), ask("input"), ask("choice", choices=["a", "b"])
        pen = await waiting_on(store, approval, text, choice)
        before = await store.events(ALICE, pen.claim.run.id, after=0, limit=99)
        wrong = [
            to(approval), to(approval, value="yes"), to(text), to(text, value=1), to(text, approve=True),
            to(choice, value="c"), to(choice, value=["a", "c"]), to(choice, value=[]), to(choice, value={"a": 1}),
            to(choice, value=[["a"]]), to(choice, value="a", approve=True),
        ]  # fmt: skip
        for one in wrong:
            good = (
                to(text, value="fine")
                if one.question_id != text.question.question_id
                else to(choice, value="a")
            )
            with pytest.raises(Invalid) as refusal:
                await answer(store, pen, good, one)
            assert code_of(refusal) == "answer_mismatch"
        with pytest.raises(Invalid) as refusal:
            await answer(store, pen, to(text, value="fine"), Answer(question_id=new_id(), approve=True))
        assert code_of(refusal) == "unknown_question"
        with pytest.raises(Invalid):
            await answer(store, pen, to(text, value="fine"), to(text, value="fine"))
        assert await store.events(ALICE, pen.claim.run.id, after=0, limit=99) == before
        assert len((await store.get_run(ALICE, pen.claim.run.id)).questions) == 3
        done = await answer(
            store, pen, to(approval, approve=True), to(text, value=""), to(choice, value=["b", "a"])
        )
        assert done.claim is not None

    @pytest.mark.contract("RUN-8")
    async def test_a_question_of_another_run_is_unknown(self, store: Store) -> None:
        mine, other = ask(), ask()
        pen = await waiting_on(store, mine)
        await waiting_on(store, other)
        with pytest.raises(Invalid) as refusal:
            await answer(store, pen, to(other, approve=True))
        assert code_of(refusal) == "unknown_question"

    @pytest.mark.contract("RUN-8")
    async def test_several_approvers_must_be_different_people(self, store: Store) -> None:
        asked = ask(needed=3)
        pen = await waiting_on(store, asked)
        yes = to(asked, approve=True)
        for approver in APPROVERS[:2]:
            vote = await answer(store, pen, yes, caller=approver)
            assert (vote.claim, list(vote.events)) == (None, [])
            with pytest.raises(Conflict):
                await answer(store, pen, yes, caller=approver)
        with pytest.raises(Invalid):
            await answer(store, pen, to(asked, approve=True, arguments={"a": 2}), caller=APPROVERS[2])
        last = await answer(store, pen, yes, caller=APPROVERS[2])
        assert last.claim is not None
        assert [event.type for event in last.events] == ["question.answered", "run.resumed"]

    @pytest.mark.contract("TRU-5")
    async def test_a_human_decides_with_one_scope_and_a_client_s_tool_answers_with_another(
        self, store: Store
    ) -> None:
        decided = ask("approval", key="one", tool="t", arguments={})
        carried = ask("input", key="two", tool="look", arguments={}, client=True)
        pen = await waiting_on(store, decided, carried)
        runner = Caller(tenant=ALICE.tenant, user=ALICE.user, scopes=frozenset({"runs:write"}))
        approver = Caller(tenant=ALICE.tenant, user=ALICE.user, scopes=frozenset({"approvals:answer"}))
        for caller, given, code in (
            (runner, to(decided, approve=True), "missing_scope"),
            (approver, to(carried, value="seen"), "missing_scope"),
            (APPROVERS[0], to(carried, value="forged"), "not_your_tool"),
        ):
            with pytest.raises(Forbidden) as refused:
                await answer(store, pen, given, caller=caller)
            assert refused.value.code == code
        assert len((await store.get_run(ALICE, pen.claim.run.id)).questions) == 2
        await answer(store, pen, to(decided, approve=True), caller=approver)
        whole = await answer(store, pen, to(carried, value="seen"), caller=runner)
        assert whole.run.status == "running"

    @pytest.mark.contract("RUN-8")
    async def test_one_denial_is_enough(self, store: Store) -> None:
        asked = ask(needed=2)
        pen = await waiting_on(store, asked)
        await answer(store, pen, to(asked, approve=True), caller=APPROVERS[0])
        denied = await answer(store, pen, to(asked, approve=False, reason="no"), caller=APPROVERS[1])
        assert denied.claim is not None
        (settled,) = await store.settled_questions(ALICE, pen.claim.run.id)
        assert (settled.outcome, settled.answer.reason) == ("denied", "no")

    @pytest.mark.contract("RUN-8", "RUN-9", "THR-2")
    async def test_an_approver_of_the_tenant_sees_the_question_and_nothing_else(self, store: Store) -> None:
        asked = ask(tool="delete", arguments={"id": 7})
        pen = await waiting_on(store, asked)
        carol = APPROVERS[0]
        with pytest.raises(NotFound):
            await store.get_run(carol, pen.claim.run.id)
        for stranger in (BOB, MALLORY):
            with pytest.raises(NotFound):
                await answer(store, pen, to(asked, approve=True), caller=stranger)
            assert (await store.list_questions(stranger, limit=9, cursor=None)).items == []
        (shown,) = (await store.list_questions(carol, limit=9, cursor=None)).items
        assert (shown.run_id, shown.thread_id) == (pen.claim.run.id, pen.claim.run.thread_id)
        assert (shown.agent, shown.asked_at, shown.arguments) == ("notes", moment(1), {"id": 7})
        done = await answer(store, pen, to(asked, approve=True), caller=carol)
        assert not done.own
        assert [(q.question_id, q.outcome) for q in done.questions] == [
            (asked.question.question_id, "approved")
        ]
        assert b'"by":"carol"' in done.events[0].body
        assert (await store.list_questions(carol, limit=9, cursor=None)).items == []

    @pytest.mark.contract("RUN-8", "THR-2")
    async def test_to_an_approver_a_run_is_there_only_for_its_open_questions(self, store: Store) -> None:
        one, two, elsewhere = ask(key="one"), ask(key="two"), ask()
        pen = await waiting_on(store, one, two)
        await waiting_on(store, elsewhere)
        carol, run_id, never = APPROVERS[0], pen.claim.run.id, new_id()
        yes, stray = to(one, approve=True), Answer(question_id=new_id(), approve=True)

        async def refused(*answers: Answer) -> None:
            said: list[tuple[str, str]] = []
            for id_ in (run_id, never):
                with pytest.raises(NotFound) as refusal:
                    await store.answer(carol, id_, answers, at=moment(5), owner=OWNER)
                said.append((refusal.value.code, refusal.value.detail.replace(id_, "ID")))
            assert said[0] == said[1]

        for answers in ((), (stray,), (yes, stray), (to(elsewhere, approve=True),)):
            await refused(*answers)
        with pytest.raises(Invalid):
            await answer(store, pen, Answer(question_id=one.question.question_id), caller=carol)
        assert not (await answer(store, pen, yes, caller=carol)).own
        await refused(yes)
        await refused(to(two, approve=True), yes)
        done = await answer(store, pen, to(two, approve=True), caller=carol)
        assert done.claim
        await refused(to(two, approve=True))
        await Pen(store, done.claim).complete()
        await refused(to(two, approve=True))
        with pytest.raises(Conflict):
            await answer(store, pen, to(two, approve=True))

    @pytest.mark.contract("RUN-9")
    async def test_the_inbox_is_paged_and_holds_open_questions_of_waiting_runs(self, store: Store) -> None:
        asked = [ask() for _ in range(5)]
        pens = [await waiting_on(store, one) for one in asked]
        await store.cancel(ALICE, pens[0].claim.run.id, by="alice", at=moment(3), owner=OWNER)
        no_scope = Caller(tenant="acme", user="alice", scopes=frozenset())
        for caller in (ALICE, Caller(tenant="acme", user="zoe", scopes=ALL_SCOPES), SYSTEM, no_scope):
            seen: list[str] = []
            cursor: str | None = None
            while True:
                page = await store.list_questions(caller, limit=2, cursor=cursor)
                seen += [question.question_id for question in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == [one.question.question_id for one in asked[1:]]

    @pytest.mark.contract("RUN-8")
    async def test_what_nobody_answers_in_time_counts_as_denied(self, store: Store) -> None:
        one, two = ask(key="one", expires_at=moment(10)), ask("input", key="two", expires_at=moment(20))
        lasting = ask()
        pen, other = await waiting_on(store, one, two), await waiting_on(store, lasting)
        assert await store.next_expiry(SYSTEM) == moment(10)
        with pytest.raises(Conflict) as refusal:
            await answer(store, pen, to(one, approve=True), second=10)
        assert code_of(refusal) == "question_closed"
        assert await store.expire_questions(SYSTEM, at=moment(9), owner=OWNER) == []
        (first,) = await store.expire_questions(SYSTEM, at=moment(10), owner=OWNER)
        assert first.claim is None
        assert [event.type for event in first.events] == ["question.answered"]
        assert await store.next_expiry(SYSTEM) == moment(20)
        (second,) = await store.expire_questions(SYSTEM, at=moment(30), owner=OWNER)
        assert second.claim is not None
        assert second.claim.run.id == pen.claim.run.id
        settled = {entry.key: entry for entry in await store.settled_questions(ALICE, pen.claim.run.id)}
        assert (settled["one"].outcome, settled["one"].answer.approve) == ("expired", False)
        assert (settled["two"].outcome, settled["two"].answer.value) == ("expired", None)
        assert await store.next_expiry(SYSTEM) is None
        assert (await store.get_run(ALICE, other.claim.run.id)).status == "waiting"
        assert await store.verify(SYSTEM) == []

    @pytest.mark.contract("RUN-8")
    async def test_a_run_may_wait_again(self, store: Store) -> None:
        first, second = ask(key="first"), ask(key="second")
        pen = await waiting_on(store, first)
        done = await answer(store, pen, to(first, approve=True))
        assert done.claim
        again = Pen(store, done.claim)
        await again.wait(second, second=7)
        run = await store.get_run(ALICE, pen.claim.run.id)
        assert [question.question_id for question in run.questions] == [second.question.question_id]
        done = await answer(store, again, to(second, approve=False), second=9)
        assert done.claim
        assert done.claim.epoch == 3
        assert [entry.key for entry in await store.settled_questions(ALICE, run.id)] == ["first", "second"]

    @pytest.mark.contract("RUN-8")
    async def test_a_question_asked_again_after_a_crash_replaces_the_first(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        lost, again = ask(key="same"), ask(key="same")
        event = QuestionAsked(question_id=lost.question.question_id, kind="approval", prompt="May I?")
        await Pen(store, accepted.claim).write(event, questions=[lost])
        (claim,) = await store.recover(SYSTEM, owner="worker-2", at=moment(2))
        pen = Pen(store, claim)
        await pen.wait(again)
        run = await store.get_run(ALICE, claim.run.id)
        assert [question.question_id for question in run.questions] == [again.question.question_id]
        assert (await answer(store, pen, to(again, approve=True))).claim is not None

    @pytest.mark.contract("RUN-8")
    async def test_a_run_that_does_not_wait_takes_no_answer(self, store: Store) -> None:
        accepted = await start(store, (await new_thread(store)).id)
        assert accepted.claim
        pen = Pen(store, accepted.claim)
        with pytest.raises(Conflict) as refusal:
            await answer(store, pen, Answer(question_id=new_id(), approve=True))
        assert code_of(refusal) == "not_waiting"
