"""Another Landline's run taken up after a crash while a guard here held back what was said there."""

from typing import Any

import msgspec
import pytest

from landline.adapters.remote.native_cursor import Cursor, Place
from landline.adapters.remote.native_events import Translation
from landline.model.errors import AgentFailed
from landline.model.events import MessageCompleted, MessageStarted, TextDelta, UsageReported
from landline.testing.line import MemoryLine


@pytest.mark.contract("ADP-2", "TRU-21")
@pytest.mark.parametrize(
    ("heard", "whole", "caught_up"),
    [
        ("My wo", "My word is out.", "rd is out."),  # a guard here held back what was said there
        ("My word.", "My word.", None),
        ("My wo", "Another word.", False),
        ("My word.", "My", False),
    ],
)
async def test_what_a_guard_here_held_back_at_a_crash_is_told_with_the_whole_text(
    heard: str, whole: str, caught_up: str | bool | None
) -> None:
    """The cursor stands behind what our log has: the deltas before it do not come again, the whole message does."""
    first = MemoryLine()
    cursor, said = Cursor(first), "My word is"
    told = Translation(cursor, first)

    def place(event: Any) -> Place:
        return Place(seq=1, at="2026-01-01T00:00:00.000Z", event=event)

    for event in (MessageStarted(message_id="m", role="assistant"), TextDelta(message_id="m", delta=said)):
        for ours in told.of(event, place(event)):
            held = isinstance(ours, TextDelta)
            await first.emit(msgspec.structs.replace(ours, delta=heard) if held else ours)
    step = UsageReported(input_tokens=1, output_tokens=1, total_tokens=2)
    await first.emit(*told.of(step, place(step)))  # keeps the cursor behind all that was said there
    again = first.resumed(drop=False)
    cursor = Cursor.of(again)
    assert (cursor.said, cursor.open) == (len(said), "m")
    told = Translation(cursor, again)
    more = TextDelta(message_id="m", delta=" out.")
    done = MessageCompleted(message_id="m", text=whole)
    if len(heard) < len(said):
        assert list(told.of(more, place(more))) == []
    if caught_up is False:
        with pytest.raises(AgentFailed) as failed:
            list(told.of(done, place(done)))
        assert failed.value.code == "remote_invalid_response"
        return
    events = list(told.of(done, place(done)))
    (ours,) = {id_ for id_, _, _ in first.messages()}
    wanted: list[Any] = [TextDelta(message_id=ours, delta=caught_up)] if isinstance(caught_up, str) else []
    assert events == [*wanted, MessageCompleted(message_id=ours, text=whole)]
    await again.emit(*events)
    assert [text for _, text, _ in again.messages()] == [whole]
    assert told.last_text == whole
