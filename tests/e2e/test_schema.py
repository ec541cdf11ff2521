"""The OpenAPI document is true: generated requests meet no 5xx and no status it does not name (FACE-1)."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.e2e.conftest import Serve

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.contract("FACE-1", "TRU-11")
@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(5, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
        pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
async def test_schemathesis_finds_no_status_that_is_not_documented(serve: Serve, examples: int) -> None:
    server = serve()
    await server.start()
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.process.url}/openapi.json",
        "--checks", CHECKS, "--max-examples", str(examples), "--seed", "7", "--request-timeout", "15",
        "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, cwd=server.process.data.parent
    )
    print(done.stdout[-6_000:])
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    async with server.connect() as line:
        assert (await line.ask("GET", "/readyz")).status == 200
