"""The garbage collector of a server looks seldom, and never at what is there for good (PRF-3)."""

from __future__ import annotations

import pytest

from landline.app.collecting import SERVING
from tests.e2e.conftest import Serve


@pytest.mark.contract("PRF-3")
async def test_the_collector_looks_seldom_and_not_at_what_was_there_at_the_start(serve: Serve) -> None:
    server = serve()
    await server.start()
    run = await server.run("collector", "look")
    said = (await server.ended(run["id"]))[-1]
    assert said["output"] == f"{SERVING} True"
