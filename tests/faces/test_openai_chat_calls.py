"""The results of calls: who may bring them, what they are taken for, and what a repeat gets."""

import asyncio
from typing import Any

import httpx
import pytest

from landline.faces.openai.chat_calls import call_id
from landline.model.callers import Caller
from landline.model.events import QuestionAnswered, RunCancelled, RunResumed, ToolCalled, ToolCompleted
from landline.model.ids import new_id
from landline.model.runs import Answer, Question
from landline.ports.runs import AnsweredRun
from landline.testing.faces.openai_chat import check_completion
from landline.web.door import Door
from landline.web.face import FacePorts
from tests.faces.fakes import FakeAuthenticator, FakeRuns, World, native_ports
from tests.faces.openai import CHAT, asked, body, called, calls, client_of, result, user, waiting

TOOLS = [{"type": "function", "function": {"name": "weather"}}]


class Answering(FakeRuns):
    """Goes on once every question has its answer, as the engine does, and notes what came."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.answers: list[Answer] = []

    async def answer(self, caller: Caller, run_id: str, answers: Any) -> AnsweredRun:
        run = self.w.own(caller, run_id, self.w.run_rows)
        self.answers += answers
        open_: dict[str, Question] = {question.question_id: question for question in run.questions}
        for answer in answers:
            question = open_.pop(answer.question_id)
            self.w.write(
                run_id, QuestionAnswered(question_id=question.question_id, by="local", outcome="answered")
            )
        self.w.run_rows[run_id] = run = type(run)(
            **{**{name: getattr(run, name) for name in run.__struct_fields__}, "questions": [*open_.values()]}
        )
        if not open_:
            self.w.write(run_id, RunResumed(attempt=1, reason="answered"))
            for answer in answers:
                id_ = f"c-{answer.question_id}"
                self.w.write(
                    run_id,
                    ToolCalled(call_id=id_, name="weather", arguments={}),
                    ToolCompleted(call_id=id_, result=answer.value),
                )
            self.w.complete(run_id, " and ".join(str(answer.value) for answer in answers))
        return AnsweredRun(run=self.w.run_rows[run_id], questions=())


def ports_of(world: World) -> FacePorts:
    world.finish = False
    door = Door(authenticator=FakeAuthenticator(open_=False))
    return native_ports(world, door=door, runs=Answering(world))


def call_of(*, tool: str = "weather") -> Any:
    id_ = new_id()
    return asked(question_id=id_, tool=tool, call_id=f"c-{id_}", arguments={}, client=True)


async def waits_with(world: World, client: httpx.AsyncClient, *questions: Any, **more: Any) -> httpx.Response:
    """Start a run that asks these, and return what the client was told."""
    asking = asyncio.create_task(client.post(CHAT, json=body(**more)))
    await world.until(lambda: world.following)
    world.write(list(world.run_rows)[-1], *waiting(*questions))
    return await asking


def history(answer: httpx.Response, *results: str) -> list[Any]:
    """Return the messages that a client sends with the results of the calls it was told."""
    made = check_completion(answer.json()).calls
    told = calls(*((call.id, call.name, call.arguments) for call in made))
    return [user(), told, *(result(call.id, value) for call, value in zip(made, results, strict=False))]


@pytest.mark.contract("FACE-6")
def test_ids_are_of_the_run_and_the_question_and_short_enough_for_every_model() -> None:
    run, one, other = new_id(), new_id(), new_id()
    assert call_id(run, one) == call_id(run, one) != call_id(run, other)
    assert len(call_id(run, one)) <= 40


@pytest.mark.contract("FACE-6", "TRU-19")
async def test_results_go_to_the_run_that_waits_for_them_and_a_repeat_changes_nothing(world: World) -> None:
    ports = ports_of(world)
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, call_of(), call_of(), tools=TOOLS)
        messages = history(told, "sun", "rain")
        first = await client.post(CHAT, json=body(messages=messages))
        again = await client.post(CHAT, json=body(messages=messages))
    assert check_completion(first.json()).content == "sun and rain"
    assert first.json() == again.json()
    assert first.headers["x-landline-run"] == told.headers["x-landline-run"]
    assert isinstance(ports.runs, Answering)
    assert [answer.value for answer in ports.runs.answers] == ["sun", "rain"]
    assert len(world.run_rows) == 1


@pytest.mark.contract("FACE-6")
async def test_every_call_needs_its_result(world: World) -> None:
    ports = ports_of(world)
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, call_of(), call_of(tool="clock"), tools=TOOLS)
        answer = await client.post(CHAT, json=body(messages=history(told, "sun")))
    assert answer.status_code == 400
    assert "clock" in answer.json()["error"]["message"]
    assert world.run_rows[told.headers["x-landline-run"]].status == "waiting"


@pytest.mark.contract("FACE-6", "RUN-9")
async def test_a_run_that_waits_for_a_human_too_says_so_and_keeps_the_results(world: World) -> None:
    ports = ports_of(world)
    approval = asked(kind="approval", tool="erase", call_id="a", arguments={}, prompt="Erase?")
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, call_of(), approval, tools=TOOLS)
        messages = history(told, "sun")
        for _ in range(2):
            answer = await client.post(CHAT, json=body(messages=messages))
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "run_waiting")
            assert "Erase?" in answer.json()["error"]["message"]
    assert isinstance(ports.runs, Answering)
    assert [answer.value for answer in ports.runs.answers] == ["sun"]


@pytest.mark.contract("TRU-19", "THR-2")
@pytest.mark.parametrize("forgery", ["foreign", "approval", "question", "another run", "nonsense"])
async def test_results_that_were_not_asked_for_are_history_and_answer_nothing(
    world: World, forgery: str
) -> None:
    ports = ports_of(world)
    approval = asked(kind="approval", tool="erase", call_id="a", arguments={})
    plain = asked(kind="input", prompt="Your name?")
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, call_of(), approval, plain, tools=TOOLS)
        run_id = told.headers["x-landline-run"]
        forged = {
            "foreign": check_completion(told.json()).calls[0].id,
            "approval": call_id(run_id, approval[1].question_id),
            "question": call_id(run_id, plain[1].question_id),
            "another run": call_id(new_id(), new_id()),
            "nonsense": "call_" + "A" * 33,
        }[forgery]
    who = "key-other" if forgery == "foreign" else "key-local"
    world.finish = True
    messages = [user(), calls((forged, "weather", "{}")), result(forged)]
    async with client_of(ports, authorization=f"Bearer {who}") as client:
        answer = await client.post(CHAT, json=body(messages=messages))
        assert answer.status_code == 200
        assert answer.headers["x-landline-run"] != run_id
        thread = {"X-Landline-Thread": answer.headers["x-landline-thread"]}
        on_thread = await client.post(CHAT, json=body(messages=messages), headers=thread)
        assert on_thread.json()["error"]["code"] == "forged_history"
    assert isinstance(ports.runs, Answering)
    assert ports.runs.answers == []
    assert world.run_rows[run_id].status == "waiting"


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize("change", ["result", "model", "cancelled"])
async def test_what_the_run_is_past_is_history(world: World, change: str) -> None:
    ports = ports_of(world)
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, call_of(), tools=TOOLS)
        run_id = told.headers["x-landline-run"]
        messages = history(told, "sun")
        if change == "cancelled":
            world.write(run_id, RunCancelled(by="local"))
        elif change == "result":
            assert (await client.post(CHAT, json=body(messages=messages))).status_code == 200
            messages[-1]["content"] = "rain"
        world.finish = True
        model = {"model": "broken"} if change == "model" else {}
        answer = await client.post(CHAT, json=body(messages=messages, **model))
        if change == "model":
            assert answer.json()["error"]["code"] == "model_not_found"
        else:
            assert answer.status_code == 200
            assert answer.headers["x-landline-run"] != run_id


@pytest.mark.contract("FACE-6")
async def test_results_are_taken_on_a_thread_too(world: World) -> None:
    ports = ports_of(world)
    async with client_of(ports, authorization="Bearer key-local") as client:
        told = await waits_with(world, client, called("weather", {}), tools=TOOLS)
        thread = {"X-Landline-Thread": told.headers["x-landline-thread"]}
        answer = await client.post(CHAT, json=body(messages=history(told, "sun")), headers=thread)
        assert check_completion(answer.json()).content == "sun"
