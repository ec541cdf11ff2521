"""How the bench reads the wires of other servers: only what is text of the answer, once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.load import Door
from bench.peers import DIALECTS, PACKAGES, PEERS
from bench.process import ROOT
from bench.servers import Place
from bench.tokens import Answer, token
from bench.wire import SseText

pytestmark = pytest.mark.contract("PRF-11")


def _event(name: str, data: object, gap: str) -> bytes:
    return f"event: {name}{gap}data: {json.dumps(data, separators=(',', ':'))}{gap}{gap}".encode()


def _agno() -> Iterator[bytes]:
    yield _event("RunStarted", {"model": "bench"}, "\n")
    for place in range(3):
        yield _event("RunContent", {"content": token(place, 1).decode(), "content_type": "str"}, "\n")
    whole = b"".join(token(place, 1) for place in range(3)).decode()
    yield _event("RunCompleted", {"content": whole}, "\n")


def _adk() -> Iterator[bytes]:
    for place in range(3):
        said = {"content": {"parts": [{"text": token(place, 1).decode()}], "role": "model"}, "partial": True}
        yield b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"
    whole = b"".join(token(place, 1) for place in range(3)).decode()
    said = {"content": {"parts": [{"text": whole}], "role": "model"}, "partial": False}
    yield b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def _langgraph_dev(gap: str = "\r\n") -> Iterator[bytes]:
    yield _event("metadata", {"run_id": "1", "attempt": 1}, gap)
    for place in range(3):
        chunk = {"content": token(place, 1).decode(), "type": "AIMessageChunk"}
        yield _event("messages", [chunk, {"langgraph_node": "model"}], gap)


def _aegra() -> Iterator[bytes]:
    return _langgraph_dev("\n")


WIRES = {"agno": _agno, "adk": _adk, "langgraph_dev": _langgraph_dev, "aegra": _aegra}


@pytest.mark.parametrize("name", sorted(WIRES))
@pytest.mark.parametrize("piece", [7, 100, 10_000])
def test_the_text_of_a_peer_is_read_once_however_it_is_cut(name: str, piece: int) -> None:
    wire, answer = b"".join(WIRES[name]()), Answer()
    dialect = DIALECTS[name]
    read = SseText(answer, dialect.said)
    for start in range(0, len(wire), piece):
        read(wire[start : start + piece], 1)
    assert answer.fault(3) == ""


@pytest.mark.parametrize("name", sorted(WIRES))
def test_a_turn_is_one_whole_request_with_the_text_in_it(name: str) -> None:
    door = Door(port=1, path="/x", dialect=DIALECTS[name])
    for mode in ("wait", "stream"):
        head, _, body = door.turn("tokens=1 please", mode=mode).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        assert head.count(b"content-type") == 1
        assert b"please" in body


def test_a_peer_that_is_not_installed_says_how_and_one_that_is_does_not(tmp_path: Path) -> None:
    assert sorted(target.name for target in PEERS) == sorted(PACKAGES)
    for target in PEERS:
        assert target.missing(tmp_path) == f"python -m bench.peers {target.name}"
        python = tmp_path / target.name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        assert target.missing(tmp_path) == ""


def test_an_unknown_peer_is_not_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", "angno"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert "no peer is named angno" in done.stderr


def test_a_peer_is_measured_against_the_first_framework_and_stays_apart() -> None:
    for target in PEERS:
        assert (target.kind, target.yardstick) == ("peer", "bare")
    assert not Place(folder=Path(), server_core=None, instrument_core=None).peers.is_relative_to(
        ROOT / "bench"
    )
