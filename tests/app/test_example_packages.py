"""Strangers' packages: an adapter and a face, each installed as a package, are served without touching Landline (ADP-12).

They are built and installed as their README says, without an index, into a folder that only these tests' processes see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from landline.testing.kill import ServedProcess
from tests.e2e import http
from tests.e2e.calls import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
PACKAGES = ("haiku_adapter", "telegraph_face")

pytestmark = [pytest.mark.xdist_group("example-packages"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages in it."""
    target = tmp_path_factory.mktemp("installed")
    uv = shutil.which("uv")
    install = (
        [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    )
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run(
        [*install, *options, *(str(EXAMPLES / name) for name in PACKAGES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def seeing(installed: Path) -> dict[str, str]:
    """The variable that shows the packages to a process of its own."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))}


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.contract("ADP-12", "EX-7")
def test_a_package_passes_its_own_tests(installed: Path, package: str) -> None:
    """For the adapter these are the conformance suite that Landline publishes."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LANDLINE_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=EXAMPLES / package,
        env={**own, **seeing(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    passed = next(word for word in done.stdout.split() if word.isdigit())
    assert int(passed) >= {"haiku_adapter": 19, "telegraph_face": 8}[package], done.stdout[-200:]


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[Server]:
    """A real server of a poet and a plain function, with the telegraph switched on; not yet started."""
    process = ServedProcess(
        EXAMPLES / "haiku_adapter" / "poets.py",
        EXAMPLES / "hello.py",
        data=tmp_path / "data",
        environ={**seeing(installed), "LANDLINE_FACES": "native,telegraph"},
        options=("--grace", "0"),
    )
    yield Server(process)
    process.kill()


@pytest.mark.contract("ADP-12", "EX-7")
async def test_both_are_served(server: Server, tmp_path: Path) -> None:
    """A poet asks before it keeps its poem, and the question outlives a kill; a telegram is sent and answered."""
    await server.start()
    listed = {item["name"]: item for item in (await server.ask("GET", "/agents")).json["items"]}
    assert {name: item["framework"] for name, item in listed.items()} == {"basho": "haiku", "hello": "plain"}
    assert [(tool["name"], tool["approval"]) for tool in listed["basho"]["tools"]] == [("keep", True)]

    run = await server.run("basho", "a frog")
    log = await server.ended(run["id"])
    assert log[-1]["type"] == "run.waiting", log[-1]
    server.process.kill()
    await server.start()
    await server.answer(run["id"], log[-1]["questions"], approve=True)
    log += await server.rest(run["id"], after=len(log))
    assert log[-1]["output"] == "(kept 'a frog')"
    said = [event["text"] for event in log if event["type"] == "message.completed"]
    assert said == ["An old silent line\na frog jumps into the line\nSplash! It is silent", "(kept 'a frog')"]
    assert (tmp_path / "poems.txt").read_text() == "a frog\n"

    sent = await http.ask(server.port, "POST", "/telegraph/hello", body={"text": "good morning"})
    assert (sent.status, sent.body) == (200, b"YOU SAID GOOD MORNING STOP\n")
    refused = await http.ask(server.port, "POST", "/telegraph/basho", body={"text": "a frog"})
    assert (refused.status, refused.code) == (409, "telegraph_cannot_answer")
    schema = await http.ask(server.port, "GET", "/openapi.json")
    assert "/telegraph/{agent}" in schema.json["paths"]


@pytest.mark.contract("ADP-12", "EX-7")
async def test_a_face_that_is_not_switched_on_is_not_there(installed: Path, tmp_path: Path) -> None:
    """Installing a package opens no door by itself."""
    process = ServedProcess(EXAMPLES / "hello.py", data=tmp_path / "data", environ=seeing(installed))
    try:
        await process.start()
        sent = await http.ask(process.port, "POST", "/telegraph/hello", body={"text": "hi"})
        assert sent.status == 404
    finally:
        process.kill()
