"""Guards on what comes beside texts: files, titles, histories, events cut in pieces (TRU-21, TRU-19)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from landline.engine.threads import EngineFiles
from landline.gates.guards import FileLook, GuardGate, Made, rules_of
from landline.model.callers import LOCAL, Caller
from landline.model.carried import Carried, CarriedMessage, ClientTool
from landline.model.errors import Invalid, LandlineError
from landline.model.events import Custom, Event, FileAdded, MessageStarted
from landline.model.files import FileInfo
from landline.model.messages import (
    FilePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from landline.ports.adapter import Finished, Turn
from landline.ports.runs import StartRun
from landline.ports.store import RunQuery, ThreadPatch
from landline.testing.fakes import ScriptAdapter, say
from tests.engine.conftest import Boot, Server
from tests.engine.test_guards import body_of, gated, saying, tripped

WORDS = ("secret", "two words")


class Files(EngineFiles):
    """The server's files, with the media type that a test wants them to have."""

    def __init__(self, server: Server, media_type: str) -> None:
        self._files, self._media_type = server.core.files, media_type

    async def info(self, caller: Caller, file_id: str) -> FileInfo:
        return replace(await self._files.info(caller, file_id), media_type=self._media_type)

    async def read(self, caller: Caller, file_id: str) -> tuple[FileInfo, bytes]:
        return await self.info(caller, file_id), (await self._files.read(caller, file_id))[1]


def guarded(server: Server, *rules: str, media_type: str = "text/plain", **look: Any) -> None:
    made = rules_of(rules, Made(words=WORDS))
    gated(server, GuardGate(lambda _: made, files=FileLook(Files(server, media_type), **look)))


async def kept(server: Server, name: str, data: bytes) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    return (await server.core.files.upload(LOCAL, name, chunks()))[0].id


async def takes_files(boot: Boot, **agents: Any) -> Server:
    class Takes(ScriptAdapter):
        capabilities = ScriptAdapter.capabilities | {"files", "images", "carried_history", "client_tools"}

    server = await boot()
    await server.stop()
    server.adapter, server.agents = Takes(), agents or {"talk": saying("ok")}
    return await server.boot()


async def refused(server: Server, request: StartRun) -> LandlineError:
    with pytest.raises(Invalid) as raised:
        await server.core.runs.start(LOCAL, request)
    assert not (await server.core.runs.history(LOCAL, RunQuery())).items
    return raised.value


HIDDEN = {
    "plain": b"It is the sec\xe2\x80\x8bret one.",
    "mark": "\ufeffIt is SECRET".encode(),
    "utf-16": "It is secret".encode("utf-16"),
    "a bad byte": b"\xff\xff It is secret",
    "across pieces": b"x" * 395 + b" secret",
    "json": json.dumps({"a": 1}).encode()[:-1] + b', "b": "\\u0073ecret"}',
    "doubled": b'{"a": "secret", "a": "\\u0078"}',
}


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize("form", HIDDEN)
async def test_a_text_file_is_looked_into_before_anything_is_written(
    boot: Boot, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landline.gates.guards.files.PIECE", 399)
    server = await takes_files(boot)
    guarded(server, "words:block", "pii")
    part = FilePart(file_id=await kept(server, "a.txt", HIDDEN[form]))
    error = await refused(server, StartRun(input=(TextPart(text="read it"), part)))
    assert (error.code, str(error)) == ("guard_blocked", "Request blocked: words")
    fine = FilePart(file_id=await kept(server, "b.txt", b"It is nothing."))
    run = (await server.core.runs.start(LOCAL, StartRun(input=(fine,)))).run
    await server.ended(run.id)
    assert (await server.get(run.id)).output == "ok"


@pytest.mark.contract("TRU-21")
async def test_names_of_files_are_judged_and_what_would_be_redacted_is_refused(boot: Boot) -> None:
    server = await takes_files(boot)
    guarded(server, "words", "pii")
    named = FilePart(file_id=await kept(server, "the secret.txt", b"x"))
    renamed = FilePart(file_id=await kept(server, "a.txt", b"x"), name="two words.txt")
    personal = FilePart(file_id=await kept(server, "b.txt", b"mail joe@example.com"))
    for part, guard in ((named, "words"), (renamed, "words"), (personal, "pii")):
        error = await refused(server, StartRun(input=(part,)))
        assert str(error) == f"Request blocked: {guard}"
        assert "joe" not in str(error)


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize(
    ("media_type", "data", "most"),
    [
        ("image/png", b"\x89PNG", 100),
        ("application/pdf", b"%PDF-1.4 secret", 100),
        ("application/octet-stream", b"\x80\x81 secret", 100),
        ("application/octet-stream", b"s\0e\0c\0r\0e\0t\0", 100),
        ("text/plain", b"the secret" * 11, 100),
    ],
)
async def test_what_cannot_be_looked_into_passes_or_is_refused_as_the_owner_says(
    boot: Boot, media_type: str, data: bytes, most: int
) -> None:
    server = await takes_files(boot)
    part = FilePart(file_id=await kept(server, "a", data))
    guarded(server, "words", media_type=media_type, most_bytes=most, refuse=True)
    assert (await refused(server, StartRun(input=(part,)))).code == "guard_unreadable"
    guarded(server, "words", media_type=media_type, most_bytes=most)
    run = (await server.core.runs.start(LOCAL, StartRun(input=(part,)))).run
    await server.ended(run.id)
    assert (await server.get(run.id)).status == "completed"


@pytest.mark.contract("TRU-21")
async def test_titles_of_threads_are_judged_wherever_they_are_given(boot: Boot) -> None:
    server = await boot(talk=saying("ok"))
    guarded(server, "words", "pii")
    threads = server.core.threads
    made, _ = await threads.create(LOCAL, agent="talk", title="For joe@example.com")
    assert made.title == "For [email]"
    with pytest.raises(Invalid, match="Request blocked: words"):
        await threads.create(LOCAL, agent="talk", title="The secret")
    changed = await threads.update(LOCAL, made.id, ThreadPatch(at="", title="ann@example.com"))
    assert changed.title == "[email]"
    with pytest.raises(Invalid, match="Request blocked: words"):
        await threads.update(LOCAL, made.id, ThreadPatch(at="", title="two  words"))
    with pytest.raises(Invalid, match="Request blocked: words"):
        await server.start(title="The secret")
    run = await server.start(title="Of joe@example.com")
    await server.ended(run.id)
    assert (await threads.get(LOCAL, run.thread_id)).title == "Of [email]"
    assert (await threads.get(LOCAL, made.id)).title == "[email]"


CARRIED: list[Part] = [
    TextPart(text="the secret"),
    ReasoningPart(text="the secret"),
    SourcePart(title="a", quote="the secret"),
    ToolCallPart(call_id="c", name="secret", arguments={}),
    ToolCallPart(call_id="c", name="t", arguments={"x": ["a secret"]}),
    ToolResultPart(call_id="c", name="t", result={"x": "a secret"}),
    ToolResultPart(call_id="c", name="t", error="no secret"),
]


@pytest.mark.contract("TRU-19", "TRU-21")
@pytest.mark.parametrize("part", CARRIED, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool"])
async def test_a_history_that_a_client_carries_is_judged_as_input(boot: Boot, part: Part, role: Any) -> None:
    server = await takes_files(boot)
    guarded(server, "words@input:block")
    message = CarriedMessage(role=role, parts=(TextPart(text="hello"), part))
    asked = StartRun(input=(TextPart(text="hi"),), carried=Carried(history=[message]))
    assert str(await refused(server, asked)) == "Request blocked: words"


@pytest.mark.contract("TRU-19", "TRU-21")
async def test_what_is_redacted_in_a_carried_history_reaches_no_agent(boot: Boot) -> None:
    heard: list[str] = []

    async def talk(turn: Turn) -> AsyncIterator[Event | Finished]:
        heard.append(repr([message.parts for message in turn.history]))
        async for item in say("ok"):
            yield item

    server = await takes_files(boot, talk=talk)
    guarded(server, "pii@input+tool_output")
    parts: list[Part] = [
        ToolCallPart(call_id="c", name="t", arguments={"to": "joe@example.com"}),
        ToolResultPart(call_id="c", name="t", result="joe@example.com", error="joe@example.com"),
        ReasoningPart(text="joe@example.com"),
    ]
    history = [CarriedMessage(role="assistant", parts=parts)]
    asked = StartRun(input=(TextPart(text="hi"),), carried=Carried(history=history))
    run = (await server.core.runs.start(LOCAL, asked)).run
    await server.ended(run.id)
    assert heard[0].count("[email]") == 4
    assert "joe" not in heard[0]


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize(
    "tool",
    [
        ClientTool(name="secret"),
        ClientTool(name="t", description="a secret"),
        ClientTool(name="t", parameters={"properties": {"secret": {}}}),
    ],
)
async def test_a_clients_own_tools_are_judged(boot: Boot, tool: ClientTool) -> None:
    server = await takes_files(boot)
    guarded(server, "words@input")
    asked = StartRun(input=(TextPart(text="hi"),), carried=Carried(tools=[tool]))
    assert str(await refused(server, asked)) == "Request blocked: words"


def emitting(*events: Event) -> Any:
    async def talk(turn: Turn) -> AsyncIterator[Event | Finished]:
        for event in events:
            yield event
        async for item in say("and so on"):
            yield item

    return talk


@pytest.mark.contract("TRU-21")
@pytest.mark.parametrize("cut", range(1, 6))
@pytest.mark.parametrize("shape", ["text", "field", "list"])
async def test_a_blocked_word_cut_over_events_of_one_name_is_never_told_whole(
    boot: Boot, cut: int, shape: str
) -> None:
    def shaped(text: str) -> Any:
        return {"text": text, "field": {"n": 1, "delta": text}, "list": [{"delta": text}]}[shape]

    pieces = ["This is a ", "secret"[:cut], "secret"[cut:], " for you"]
    server = await boot(talk=emitting(*(Custom(name="token", data=shaped(one)) for one in pieces)))
    guarded(server, "words")
    run = await server.start()
    events = await server.ended(run.id)
    ended = await server.get(run.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("failed", "guard_blocked")
    told = json.dumps([json.loads(event.body).get("data") for event in events if event.type == "custom"])
    assert [event.type for event in events].count("custom") == 2
    assert "secret"[cut:] not in told.replace('"delta"', "")
    assert "and so on" not in body_of(events).decode()


@pytest.mark.contract("TRU-21")
async def test_events_that_only_stand_beside_each_other_pass(boot: Boot) -> None:
    """Another name, another field, and what would only be redacted: two numbers are no telephone number."""
    said = [
        Custom(name="a", data={"x": "sec", "y": "sec"}),
        Custom(name="b", data={"x": "ret"}),
        Custom(name="a", data={"z": "ret"}),
        Custom(name="a", data={"x": "ond", "y": 3}),
        Custom(name="n", data="+49 170 "),
        Custom(name="n", data="1234567"),
    ]
    server = await boot(talk=emitting(*said))
    guarded(server, "words", "pii")
    run = await server.start()
    events = await server.ended(run.id)
    assert (await server.get(run.id)).status == "completed"
    assert [one.event() for one in events if one.type == "custom"] == said


@pytest.mark.contract("TRU-21")
async def test_files_that_an_agent_gives_are_looked_into(boot: Boot) -> None:
    ids: dict[str, str] = {}

    async def talk(turn: Turn) -> AsyncIterator[Event | Finished]:
        name = "".join(part.text for part in turn.input if isinstance(part, TextPart))
        async for item in say("ok"):
            yield item
            if isinstance(item, MessageStarted):
                id_ = ids.get(name, "0")
                yield FileAdded(message_id=item.message_id, file_id=id_, name=name, media_type="text/plain")

    server = await boot(talk=talk)
    for name, data in {
        "blocked.txt": b"a secret",
        "personal.txt": b"joe@example.com",
        "fine.txt": b"nothing",
    }.items():
        ids[name] = await kept(server, name, data)
    guarded(server, "words@output", "pii@output:redact")
    ends = {}
    for name in [*ids, "nobodys joe@example.com"]:
        run = await server.start(name)
        events = await server.ended(run.id)
        told = [one.event() for one in events if one.type == "file"]
        ended = await server.get(run.id)
        ends[name] = (ended.error.code if ended.error else None, len(told), tripped(events))
        assert b"joe" not in b"".join(event.body for event in events[1:])
    found = {"found": {"email": 1}}
    assert ends == {
        "blocked.txt": ("guard_blocked", 0, [("words", "output", "block", {"found": {"word": 1}})]),
        "personal.txt": (None, 0, [("pii", "output", "redact", found)]),
        "fine.txt": (None, 1, []),
        "nobodys joe@example.com": (None, 1, [("pii", "output", "redact", found)]),
    }
    guarded(server, "words@output", media_type="image/png", refuse=True)
    run = await server.start("fine.txt")
    assert "file" not in [event.type for event in await server.ended(run.id)]
    error = (await server.get(run.id)).error
    assert error is not None
    assert error.code == "guard_unreadable"
