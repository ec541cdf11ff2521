"""Run the wires' own clients against one real server of the fixture agents: `python -m tests.clients.run [name…]`.

Each folder beside this file is one wire: a `package.json` with exact versions and a `run.mjs`, or a `requirements.txt`
(and a `no-deps.txt` of packages whose own requirements fit nothing else, and a `package.json` of what a page of theirs
wants) and a `run.py`. It finds the server in BASE_URL and exits with 0 when all held. Served are the fixture agents;
those of its own `agents.py`, where there is one; or what the module does that its `package.json` names as
`landline.server`. Packages are installed in `.venv/clients`, never in the tree.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from landline.testing.kill import ServedProcess
from tests.architecture.source import ROOT

HERE = Path(__file__).parent
INSTALLED = ROOT / ".venv" / "clients"
FIXTURE = "landline.testing.fixture:agents"
WITHIN_S = 600


def wires() -> list[str]:
    """Return the names of the wires that have a client here."""
    return sorted({path.parent.name for path in [*HERE.glob("*/run.mjs"), *HERE.glob("*/run.py")]})


def installed(name: str) -> tuple[Path, list[str]]:
    """Return a copy of the wire's folder and the command that runs its client there, with its packages installed.

    What was installed before is kept as long as what is wanted stays the same.
    """
    folder = INSTALLED / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in (HERE / name).iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    wanted = sorted([*folder.glob("*.txt"), *folder.glob("package.json")])
    command, steps = ["node", "run.mjs"], list[list[str]]()
    if (folder / "package.json").exists():
        steps.append(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"])
    if (folder / "requirements.txt").exists():
        python = str(folder / "venv" / "bin" / "python")
        command, install = [python, "run.py"], [python, "-m", "pip", "install", "--quiet"]
        steps += [[sys.executable, "-m", "venv", "venv"], [*install, "-r", "requirements.txt"]]
        if (folder / "no-deps.txt").exists():
            steps.append([*install, "--no-deps", "-r", "no-deps.txt"])
    mark, text = folder / ".installed", "".join(path.read_text() for path in wanted)
    if not mark.exists() or mark.read_text() != text:
        mark.unlink(missing_ok=True)
        for step in steps:
            subprocess.run(step, cwd=folder, check=True, timeout=WITHIN_S)
        mark.write_text(text)
    return folder, command


def held(name: str, url: str) -> bool:
    """Run one wire's client and tell whether all held."""
    folder, command = installed(name)
    print(f"== {name}", flush=True)
    environ = {**os.environ, "BASE_URL": url}
    return subprocess.run(command, cwd=folder, env=environ, timeout=WITHIN_S, check=False).returncode == 0


def server_of(name: str) -> tuple[str, ...]:
    """Return what is served to the wire's client: a target of `landline serve`, or `-m` and a module."""
    folder = HERE / name
    if (folder / "agents.py").exists():
        return (str(folder / "agents.py"),)
    manifest = folder / "package.json"
    module = json.loads(manifest.read_text()).get("landline", {}).get("server") if manifest.exists() else None
    return ("-m", module) if module else (FIXTURE,)


@asynccontextmanager
async def served(server: tuple[str, ...], data: Path) -> AsyncGenerator[str]:
    """Serve on a free loopback port and yield the address."""
    process: ServedProcess
    if server[0] == "-m":
        process = _Module(server[1], data=data)
    else:
        process = ServedProcess(server[0], data=data, environ={"LANDLINE_FACES": "all"})
    await process.start(timeout_s=60)
    try:
        yield process.url
    finally:
        process.kill()


class _Module(ServedProcess):
    """A server that is a module of its own, such as a fixture with settings that no command line has."""

    def __init__(self, module: str, *, data: Path) -> None:
        super().__init__(data=data)
        self._module = module

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", self._module, "--port", str(self.port), "--data", str(self.data)]


async def run(names: list[str]) -> int:
    """Serve, run the clients, and return how many did not hold."""
    failed: list[str] = []
    for server in sorted({server_of(name) for name in names}):
        with tempfile.TemporaryDirectory() as folder:
            async with served(server, Path(folder) / "data") as url:
                theirs = [name for name in names if server_of(name) == server]
                failed += [name for name in theirs if not await asyncio.to_thread(held, name, url)]
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed {' '.join(failed)}".rstrip())
    return len(failed)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=[], help=f"of {', '.join(wires())}; all when none is named"
    )
    names = parser.parse_args().names or wires()
    if unknown := sorted(set(names) - set(wires())):
        sys.exit(f"there is no client for {', '.join(unknown)}; there are: {', '.join(wires())}")
    if shutil.which("node") is None or shutil.which("npm") is None:
        sys.exit("node and npm are needed for these clients, and are not on PATH")
    sys.exit(1 if asyncio.run(run(names)) else 0)


if __name__ == "__main__":
    main()
