"""Leases: one look at each caller ends all that its credential has open, and nothing else (TRU-1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from landline.model.callers import LOCAL, Caller
from landline.model.errors import StorageFailed, Unauthenticated
from landline.web import leases as module
from landline.web.door import Door
from landline.web.leases import Leases
from landline.web.sse import EventStream
from landline.web.waiting import until_gone

ANN = Caller(tenant="acme", user="ann", credential="key:1")
BOB = Caller(tenant="acme", user="bob", credential="key:2")

pytestmark = pytest.mark.contract("TRU-1")


class Gate:
    """An authenticator that is told who does not hold, and remembers whom it was asked about."""

    open = False

    def __init__(self) -> None:
        self.ended: set[str | None] = set()
        self.asked: list[tuple[str | None, str]] = []
        self.fails: Exception | None = None

    async def authenticate(self, credential: str | None) -> Caller:
        raise Unauthenticated("Nobody signs in here.")

    async def holds(self, caller: Caller) -> bool:
        self.asked.append((caller.credential, caller.user))
        if self.fails is not None:
            raise self.fails
        return caller.credential not in self.ended


class Plain:
    """An authenticator of somebody else's that cannot tell."""

    open = False

    async def authenticate(self, credential: str | None) -> Caller:
        return ANN


async def test_each_caller_is_looked_at_once_however_much_it_has_open() -> None:
    leases, gate, ended = Leases(), Gate(), list[str]()
    first = [leases.hold(ANN, lambda: ended.append("ann")) for _ in range(100)]
    leases.hold(BOB, lambda: ended.append("bob"))
    leases.hold(replace(ANN, user="acted-for"), lambda: ended.append("acted"))
    assert len(leases) == 3
    await leases.check(gate.holds)
    assert sorted(gate.asked) == [("key:1", "acted-for"), ("key:1", "ann"), ("key:2", "bob")]
    assert ended == []
    gate.ended = {"key:2"}
    await leases.check(gate.holds)
    assert (ended, first[0].ended) == (["bob"], False)


async def test_what_is_released_is_neither_looked_at_nor_ended() -> None:
    leases, gate, ended = Leases(), Gate(), list[int]()
    held = [leases.hold(ANN, lambda: ended.append(0)) for _ in range(3)]
    held[0].release()
    held[0].release()
    gate.ended = {"key:1"}
    await leases.check(gate.holds)
    assert (ended, [lease.ended for lease in held]) == ([0, 0], [False, True, True])
    for lease in held:
        lease.release()
    assert len(leases) == 0
    await leases.check(gate.holds)
    assert len(gate.asked) == 1


async def test_a_lease_is_given_back_once() -> None:
    gate, leases = Gate(), Leases()
    ended: list[str] = []
    first = leases.hold(ANN, lambda: ended.append("first"))
    first.release()
    leases.hold(ANN, lambda: ended.append("second"))
    first.release()
    gate.ended.add(ANN.credential)
    await leases.check(gate.holds)
    assert ended == ["second"]


async def test_callers_without_a_credential_cost_nothing() -> None:
    leases = Leases()
    for caller in (LOCAL, None):
        leases.hold(caller, pytest.fail).release()
    assert len(leases) == 0


async def test_who_cannot_be_asked_now_is_asked_again_and_stays_in(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases, gate = Leases(), Gate()
    lease = leases.hold(ANN, lambda: None)
    gate.ended = {"key:1"}
    for fault in (StorageFailed("The disk is full: secret-detail"), RuntimeError("secret-detail")):
        gate.fails = fault
        await leases.check(gate.holds)
        assert not lease.ended
    assert "could not be checked" in caplog.text
    assert "secret" not in caplog.text
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)

    async def never(_: Caller) -> bool:
        return await asyncio.Event().wait()

    await leases.check(never)
    assert not lease.ended
    gate.fails = None
    await leases.check(gate.holds)
    assert lease.ended


async def test_one_task_looks_while_it_runs_and_none_for_an_authenticator_that_cannot_tell() -> None:
    leases, gate, ended = Leases(check_s=0.01), Gate(), asyncio.Event()
    before = asyncio.all_tasks()
    async with leases.running(gate):
        for _ in range(50):
            leases.hold(ANN, ended.set)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks() - before) == 1
        gate.ended = {"key:1"}
        await asyncio.wait_for(ended.wait(), 5)
    assert asyncio.all_tasks() == before
    async with leases.running(Plain()):
        assert asyncio.all_tasks() == before


async def forever() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await asyncio.Event().wait()


def scope_of(caller: Caller | None) -> dict[str, Any]:
    return {
        "type": "http",
        "headers": [],
        "extensions": {},
        "state": {} if caller is None else {"caller": caller},
    }


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def streamed(
    door: Door, scope: dict[str, Any], send: Callable[[dict[str, Any]], Any], left: list[str]
) -> None:
    async def gone() -> None:
        left.append("gone")

    await EventStream(forever(), door=door, on_gone=gone)(scope, never, send)  # pyright: ignore[reportArgumentType] - plain dicts are messages


async def test_a_stream_says_why_it_ends_and_its_run_is_not_told_that_the_client_left() -> None:
    gate = Gate()
    door, sent, left = Door(authenticator=gate), list[dict[str, Any]](), list[str]()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    task = asyncio.create_task(streamed(door, scope_of(ANN), send, left))
    while len(sent) < 2:  # noqa: ASYNC110 - the stream has no event to wait for
        await asyncio.sleep(0)
    gate.ended = {"key:1"}
    await door.leases.check(gate.holds)
    await asyncio.wait_for(task, 5)
    assert sent[-1]["body"].startswith(b"event: error\ndata: {")
    assert b'"code":"credential_revoked"' in sent[-1]["body"]
    assert (sent[-1]["more_body"], left, len(door.leases)) == (False, [], 0)


async def test_a_reader_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landline.web.sse._GOODBYE_S", 0.05)
    gate, cut = Gate(), list[str]()
    door, scope, stuck = Door(authenticator=gate), scope_of(ANN), asyncio.Event()
    scope["extensions"]["landline.abort"] = {"call": lambda: cut.append("cut")}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            stuck.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(streamed(door, scope, send, []))
    await asyncio.wait_for(stuck.wait(), 5)
    gate.ended = {"key:1"}
    await door.leases.check(gate.holds)
    await asyncio.wait_for(task, 5)
    assert cut == ["cut"]


async def test_a_waiting_request_is_refused_and_its_work_has_ended() -> None:
    from starlette.requests import Request

    gate, ended = Gate(), asyncio.Event()
    door = Door(authenticator=gate)

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def wait() -> str:
        return await until_gone(work(), request=Request(scope_of(ANN), never), door=door)

    task = asyncio.create_task(wait())
    while not len(door.leases):  # noqa: ASYNC110 - a lease is no event
        await asyncio.sleep(0)
    gate.ended = {"key:1"}
    await door.leases.check(gate.holds)
    with pytest.raises(Unauthenticated) as told:
        await asyncio.wait_for(task, 5)
    assert (told.value.code, ended.is_set(), len(door.leases)) == ("credential_revoked", True, 0)
