"""Run the Open Responses compliance suite against the fixture agents, one of each framework (FACE-7).

    python tools/open_responses.py FOLDER [AGENT …]

Without an AGENT these are all but `fixture_a2a`, which answers only what A2A's suite says.

FOLDER is a copy of the suite's repository with its packages installed (`zod` is all that the suite needs); `bun` must be
on PATH, or named by BUN. Exits with 1 when a test fails or none was run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landline.testing.kill.process import free_port

_READY_S = 60.0
_OF_A2A = "fixture_a2a"


def main(arguments: Sequence[str]) -> int:
    """Serve the fixture, run the suite for each agent, print what failed."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    suite = Path(arguments[0]).resolve()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="landline-suite-") as folder:
        served = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "landline.testing.fixture",
                "--port",
                str(port),
                "--faces",
                "native,openai",
            ],
            cwd=folder,
        )
        try:
            base = f"http://127.0.0.1:{port}/v1"
            models = arguments[1:] or [model for model in _models(base) if model != _OF_A2A]
            passed = [_run(suite, base, model) for model in models]
            return 0 if all(passed) else 1
        finally:
            served.terminate()
            served.wait()


def _models(base: str) -> list[str]:
    """Return the names of the agents, once the server answers."""
    until = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{base}/models", timeout=5) as answer:  # noqa: S310 - a server of this process, over HTTP
                return [model["id"] for model in json.load(answer)["data"]]
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _run(suite: Path, base: str, model: str) -> bool:
    """Run the suite for one agent; returns whether every test passed."""
    command = [os.environ.get("BUN", "bun"), "run", "bin/compliance-test.ts", "--base-url", base]
    done = subprocess.run(
        [*command, "--api-key", "none", "--model", model, "--json"],
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        sys.stderr.write(f"{model}: {done.stderr or done.stdout}\n")
        return False
    results: list[dict[str, Any]] = told["results"]
    bad = [result for result in results if result["status"] != "passed"]
    sys.stdout.write(f"{model}: {len(results) - len(bad)} of {len(results)} passed\n")
    for result in bad:
        sys.stdout.write(f"  {result['id']}: {result['status']}: {'; '.join(result.get('errors') or ())}\n")
    return bool(results) and not bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
