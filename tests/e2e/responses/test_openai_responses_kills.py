"""A response whose server is killed is read on by its client's own means (REL-2, FACE-7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from landline.testing.faces.openai_responses import check_events
from landline.testing.kill import ServedProcess
from tests.e2e.responses.conftest import AGENTS

pytestmark = pytest.mark.contract("FACE-7", "REL-2")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServedProcess]:
    made = ServedProcess(
        AGENTS, data=tmp_path / "data", environ={"LANDLINE_FACES": "native,openai"}, options=("--grace", "0")
    )
    yield made
    made.kill()


async def cut(process: ServedProcess, stream: Any, seen: list[Any]) -> None:
    async for event in stream:
        seen.append(event)
        if len(seen) == 8:
            process.kill()


async def test_after_a_kill_the_response_is_read_to_its_end(process: ServedProcess) -> None:
    await process.start()
    seen: list[Any] = []
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{process.port}/v1", api_key="none", max_retries=0
    ) as client:
        stream = await client.responses.create(model="model", input="slow", stream=True)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of a cut connection
            await cut(process, stream, seen)
        await process.start()
        name = seen[0].response.id
        told = [event.to_dict() async for event in await client.responses.retrieve(name, stream=True)]
        whole = check_events(told)
        assert whole.text == "".join(f"{number} " for number in range(20))
        done = await client.responses.retrieve(name)
        assert (done.status, done.output_text) == ("completed", whole.text)
        # What it saw before the kill is gone on with where that is still true, and refused where it is not.
        last = seen[-1].sequence_number
        try:
            rest = [
                event.to_dict()
                async for event in await client.responses.retrieve(name, stream=True, starting_after=last)
            ]
        except openai.BadRequestError as refused:
            assert refused.code == "message_rewritten"  # noqa: PT017 - either is right
        else:
            assert [event.to_dict() for event in seen][: last + 1] + rest == told
