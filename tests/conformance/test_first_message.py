"""An edit of the first message, through a whole server: the agent sees nothing of the branch it left."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from landline.app.build import Landline
from landline.model.callers import LOCAL
from landline.model.errors import Invalid
from landline.model.messages import TextPart
from landline.ports.runs import StartRun
from landline.ports.store import MessageQuery


@pytest.mark.contract("THR-5")
async def test_an_edit_of_the_first_message_begins_with_no_history(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    async def echo(run: Any) -> AsyncIterator[str]:
        seen.append([message.content for message in run.history])
        yield f"re: {run.input}"

    async with Landline(agents=[echo], open=True, data=tmp_path).started() as landline:

        async def say(text: str, **place: Any) -> str:
            started = await landline.runs.start(LOCAL, StartRun(input=[TextPart(text=text)], **place))
            async for _ in landline.runs.follow(LOCAL, started.run.id):
                pass
            return started.run.thread_id

        thread_id = await say("one")
        await say("two", thread_id=thread_id)
        await say("one, edited", thread_id=thread_id, parent_id="")
        await say("three", thread_id=thread_id)
        assert [len(history) for history in seen] == [0, 2, 0, 2]
        head = await landline.threads.messages(LOCAL, MessageQuery(thread_id=thread_id))
        assert [row.content for row in head.items] == [
            "one, edited",
            "re: one, edited",
            "three",
            "re: three",
        ]
        every = await landline.threads.messages(LOCAL, MessageQuery(thread_id=thread_id, branch="all"))
        assert [row.parent_id for row in every.items].count(None) == 2
        await say("first", parent_id="")
        with pytest.raises(Invalid) as refusal:
            await landline.runs.start(LOCAL, StartRun(input=None, thread_id=thread_id, parent_id=""))
        assert refusal.value.code == "input_missing"
