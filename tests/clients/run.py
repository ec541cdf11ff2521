"""Run the wires' own clients against one real server of the fixture agents: `python -m tests.clients.run [name…]`.

Each folder beside this file is one wire: a `package.json` with exact versions and a `run.mjs`, or a `requirements.txt`
(and a `no-deps.txt` of packages whose own requirements fit nothing else) and a `run.py`. It finds the server in BASE_URL
and exits with 0 when all held; where there is an `agents.py` too, those agents are served to it. Packages are installed
in `.venv/clients`, never in the tree.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
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
    if (folder / "package.json").exists():
        wanted, command = [folder / "package.json"], ["node", "run.mjs"]
        steps = [["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]]
    else:
        python = str(folder / "venv" / "bin" / "python")
        wanted, command = sorted(folder.glob("*.txt")), [python, "run.py"]
        install = [python, "-m", "pip", "install", "--quiet"]
        steps = [[sys.executable, "-m", "venv", "venv"], [*install, "-r", "requirements.txt"]]
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


def agents_of(name: str) -> str:
    """Return what is served to the wire's client: agents of its own where it brings some, else the fixture's."""
    own = HERE / name / "agents.py"
    return str(own) if own.exists() else FIXTURE


async def run(names: list[str]) -> int:
    """Serve the agents, run the clients, and return how many did not hold."""
    failed: list[str] = []
    for target in sorted({agents_of(name) for name in names}):
        with tempfile.TemporaryDirectory() as folder:
            server = ServedProcess(target, data=Path(folder) / "data", environ={"LANDLINE_FACES": "all"})
            await server.start(timeout_s=60)
            try:
                served = [name for name in names if agents_of(name) == target]
                failed += [name for name in served if not await asyncio.to_thread(held, name, server.url)]
            finally:
                server.kill()
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
