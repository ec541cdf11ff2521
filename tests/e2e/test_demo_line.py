"""`landline demo` as README shows it: the three agents over plain HTTP, through restarts, on the offline script."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from landline.testing.grammar import check_stream
from landline.testing.kill import ServedProcess
from tests.e2e import http
from tests.e2e.calls import Event, Server, events_of, first

ROOT = Path(__file__).parents[2]
WARM = ("landline.demo.agents", "pydantic_ai.models.function")
NO_KEY = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "ANTHROPIC_API_KEY": ""}


class DemoProcess(ServedProcess):
    """`landline demo`, or `landline serve` of the targets, without the keys of whoever runs the tests."""

    def __init__(
        self,
        *targets: Path,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        warm: Sequence[str] | None = WARM,
    ) -> None:
        environ = NO_KEY | dict(environ or {})
        super().__init__(*targets, data=folder / "data", environ=environ, options=("--grace", "0"), warm=warm)
        if not targets:
            self._words = ("demo", *self._words[1:])


Demo = Callable[..., Awaitable[Server]]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Start a demo server of the test's own."""
    made: list[DemoProcess] = []

    async def start(*, warm: Sequence[str] | None = WARM, **environ: str) -> Server:
        process = DemoProcess(folder=tmp_path, environ=environ, warm=warm)
        made.append(process)
        await process.start()
        return Server(process)

    yield start
    for process in made:
        process.kill()


async def say(server: Server, agent: str, text: str) -> dict[str, Any]:
    """Start a run and return it when it has ended, or waits; its log is well-formed."""
    run = await server.run(agent, text, mode="wait")
    check_stream(await server.log(run["id"]), whole=run["status"] != "waiting")
    return run


def of(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


@pytest.mark.contract("CLI-5", "EVT-2", "WIRE-2", "RUN-4", "FACE-17")
async def test_a_streamed_turn_has_ids_from_1_without_a_gap(demo: Demo) -> None:
    """The command itself, in a new interpreter: what a first-time user starts."""
    server = await demo(warm=None)
    async with server.posted("notes", "create a note titled Milk: two bottles") as line:
        assert line.headers["content-type"].startswith("text/event-stream")
        run_id = line.headers["location"].rpartition("/")[2]
        frames = [frame async for frame in line.frames() if frame.seq is not None]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    events = events_of(frames)
    check_stream(events)
    assert events == await server.log(run_id)
    assert events[-1]["output"] == "Created note [1] Milk."
    assert "".join(event["delta"] for event in of(events, "text.delta")) == "Created note [1] Milk."
    for place in (0, 4, len(events) - 1):
        assert await server.rest(run_id, after=place) == events[place:]


@pytest.mark.contract("CLI-5", "WIRE-6", "AGT-5")
async def test_the_demo_says_at_its_start_and_of_each_agent_that_a_script_answers(demo: Demo) -> None:
    """Nobody may take the script for a model."""
    server = await demo()
    agents = {agent["name"]: agent for agent in await server.items("/agents?limit=50")}
    assert set(agents) == {"notes", "bank_support", "student_teacher"}
    for name, agent in agents.items():
        assert "offline script" in agent["labels"]["model"]
        assert re.search(rf"agent {name} .*offline script", server.process.tail())
    assert f"{server.process.url}/simple" in server.process.tail()


@pytest.mark.contract("CLI-5", "RUN-8", "RUN-9", "WIRE-3")
@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_a_note_is_deleted_once_after_an_approval_that_survived_a_restart(
    demo: Demo, ending: str
) -> None:
    """Asked before, answered after; a repeat of the answer deletes nothing more."""
    server = await demo()
    assert (await say(server, "notes", "create a note titled Milk: two bottles"))["status"] == "completed"
    await say(server, "notes", "create a note titled Bread: one loaf")
    listed = await say(server, "notes", "list my notes")
    assert "[1] Milk" in listed["output"]
    assert "[2] Bread" in listed["output"]

    run = await say(server, "notes", "delete note 1")
    assert run["status"] == "waiting"
    (asked,) = run["questions"]
    assert (asked["kind"], asked["tool"], asked["arguments"]) == ("approval", "delete_note", {"note_id": 1})
    assert "[1] Milk" in (await say(server, "notes", "list my notes"))["output"]

    if ending == "kill":
        server.process.kill()
        await server.start()
    else:
        await server.restart()
    (found,) = await server.items("/approvals?limit=50")
    assert (found["run_id"], found["question_id"]) == (run["id"], asked["question_id"])
    answer = await server.answer(run["id"], [found], approve=True)
    assert answer.status == 200, answer.body
    events = await server.ended(run["id"])
    check_stream(events)
    assert events[-1]["output"] == "Deleted note [1]."
    assert [event["result"] for event in of(events, "tool.completed")] == ["Deleted note [1]."]
    assert (await server.answer(run["id"], [found], approve=True)).status == 409
    assert await server.items("/approvals?limit=50") == []
    after = (await say(server, "notes", "list my notes"))["output"]
    assert "Milk" not in after
    assert "[2] Bread" in after


@pytest.mark.contract("CLI-5", "RUN-8", "WIRE-3")
async def test_a_denied_deletion_keeps_the_note_and_says_the_reason(demo: Demo) -> None:
    server = await demo()
    await say(server, "notes", "create a note titled Milk: two bottles")
    run = await say(server, "notes", "delete note 1")
    (asked,) = run["questions"]
    given = [{"question_id": asked["question_id"], "approve": False, "reason": "still thirsty"}]
    answer = await server.ask("POST", f"/runs/{run['id']}/answers", body={"answers": given})
    assert answer.status == 200, answer.body
    events = await server.ended(run["id"])
    check_stream(events)
    assert "still thirsty" in events[-1]["output"]
    assert not [event for event in of(events, "tool.completed") if "Deleted" in str(event["result"])]
    assert "[1] Milk" in (await say(server, "notes", "list my notes"))["output"]


@pytest.mark.contract("CLI-5", "EVT-3", "FACE-17")
@pytest.mark.parametrize("text", ["I lost my card", "What is my balance?"])
async def test_structured_output_grows_until_it_is_the_output(demo: Demo, text: str) -> None:
    server = await demo()
    async with server.posted("bank_support", text) as line:
        events = await first(line, 10_000)
    check_stream(events)
    partials = [event["output"] for event in of(events, "output.partial")]
    assert len(partials) > 5
    assert all(grows(before, after) for before, after in pairwise(partials)), partials
    assert partials[-1] == events[-1]["output"]
    assert set(partials[-1]) == {"support_advice", "block_card", "risk_level", "follow_up_actions"}
    assert (await server.get(events[0]["run_id"]))["output"] == partials[-1]


def grows(before: Any, after: Any) -> bool:
    """Tell whether `after` is `before` with more at its end: text and lists grow, fields are added, the rest stays."""
    match before, after:
        case str(), str():
            return after.startswith(before)
        case list(), list():
            old, new = cast("list[Any]", before), cast("list[Any]", after)
            return len(old) <= len(new) and all(grows(b, a) for b, a in zip(old, new, strict=False))
        case dict(), dict():
            old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
            return list(new)[: len(old)] == list(old) and all(grows(old[name], new[name]) for name in old)
        case _:
            return bool(before == after)


@pytest.mark.contract("CLI-5", "RUN-8", "ADP-11")
async def test_a_second_request_answers_what_the_workflow_asked_before_a_restart(demo: Demo) -> None:
    server = await demo()
    run = await say(server, "student_teacher", "teach me fractions")
    assert run["status"] == "waiting"
    (asked,) = run["questions"]
    assert asked["kind"] == "input"
    said = await server.log(run["id"])
    await server.restart()
    given = [{"question_id": asked["question_id"], "value": "What is a half?"}]
    answer = await server.ask("POST", f"/runs/{run['id']}/answers", body={"answers": given})
    assert answer.status == 200, answer.body
    events = await server.ended(run["id"])
    check_stream(events)
    assert events[: len(said)] == said
    assert events[-1]["type"] == "run.completed"
    texts = [event["text"] for event in of(events, "message.completed")]
    assert texts.count("**Student:** What is a half?") == 1
    assert len(set(texts)) == len(texts), "nothing is said twice"


# ------------------------------------------------------------------------------------------------------------ README


def commands() -> list[str]:
    """Return README's curl commands in their order, and "restart" where it says to stop and start the server."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    found = ["restart" if line.startswith("# stop the server, start it again") else line for line in lines]
    return [line for line in found if line == "restart" or line.startswith("curl ")]


async def by_curl(server: Server, command: str) -> str:
    """Run the command as it stands."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return out.decode()


async def by_hand(server: Server, command: str) -> str:
    """Send what curl would; an option that README does not use is refused."""
    words = iter(shlex.split(command)[1:])
    headers: dict[str, str] = {}
    body, url = None, ""
    for word in words:
        match word:
            case "-N":
                pass
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case _:
                assert word.startswith("http://"), word
                url = word
    path = "/" + url.split("/", 3)[3]
    answer = await http.ask(server.port, "GET" if body is None else "POST", path, body=body, headers=headers)
    return answer.body.decode()


# The tests need Python only; where curl is, README's commands run as they stand.
carry = by_curl if shutil.which("curl") else by_hand


@pytest.mark.contract("CLI-5", "EVT-4", "RUN-8", "RUN-9")
async def test_every_curl_command_of_the_readme_does_what_it_says(demo: Demo) -> None:
    """In README's order, with the ids that the answers before gave. A command more or less is to be tested here."""
    server, ids, answers = await demo(), {"RUN_ID": "", "QUESTION_ID": ""}, list[str]()
    for command in commands():
        if command == "restart":
            await server.restart()
            continue
        ready = command.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        for name, value in ids.items():
            ready = ready.replace(name, value)
        answers.append(await carry(server, ready))
        text = answers[-1]
        if '"run_id"' in text or '"questions"' in text:
            ids = {"RUN_ID": run_of(text), "QUESTION_ID": question_of(text)}
        if len(answers) in (5, 8):  # the answers route gives back the run; the rest is told by its log
            await server.ended(ids["RUN_ID"])
    created, rest, waiting, inbox, approved, advised, lesson, taught = answers

    events = streamed(created)
    check_stream(events)
    assert events[-1]["output"] == "Created note [1] Milk."
    assert streamed(rest) == events[4:]

    assert json.loads(waiting)["status"] == "waiting"
    assert [item["run_id"] for item in json.loads(inbox)["items"]] == [json.loads(waiting)["id"]]
    deleted = await server.log(json.loads(approved)["id"])
    check_stream(deleted)
    assert [event["result"] for event in of(deleted, "tool.completed")] == ["Deleted note [1]."]

    partials = [event["output"] for event in of(streamed(advised), "output.partial")]
    assert all(grows(before, after) for before, after in pairwise(partials))
    assert partials[-1] == streamed(advised)[-1]["output"]

    assert json.loads(lesson)["status"] == "waiting"
    ended = await server.get(json.loads(taught)["id"])
    assert ended["status"] == "completed"
    assert "**Student:** a half" in ended["output"]


def streamed(body: str) -> list[Event]:
    return events_of(
        [frame for block in body.split("\n\n") if (frame := http.parse_frame(block)) is not None]
    )


def run_of(text: str) -> str:
    """Return the id of the run that an answer is about: a stream, a run, or the inbox."""
    if not text.startswith("{"):
        return str(streamed(text)[0]["run_id"])
    body = json.loads(text)
    return str(body["items"][0]["run_id"] if "items" in body else body["id"])


def question_of(text: str) -> str:
    if not text.startswith("{"):
        return ""
    body = json.loads(text)
    asked = body["items"] if "items" in body else body["questions"]
    return str(asked[0]["question_id"]) if asked else ""
