"""What holds of every log: it is told in order, and a new read after a cut gives the same message."""

import json
import random

import pytest

from landline.faces.ai_sdk.chunks import message_id_of, run_id_of
from landline.faces.ai_sdk.encode import CUT
from landline.testing.faces.ai_sdk import check_stream
from tests.faces.ai_sdk_logs import (
    any_log,
    past_of,
    replayed,
    told,
)


@pytest.mark.contract("FACE-9", "FACE-17", "EVT-4")
@pytest.mark.parametrize("seed", range(150))
def test_a_client_that_is_cut_anywhere_builds_the_same_message_from_a_new_read(seed: int) -> None:
    events = any_log(random.Random(seed))
    whole = replayed(events)
    texts: dict[str, str] = {}
    for begin, number in zip(past_of(events).begins, range(1, 99), strict=False):
        message = check_stream(told(events, past=past_of(events), after=begin))
        assert message.id == message_id_of("r", number)
        texts[message.id] = message.text
    assert texts[whole.id] == whole.text
    dropped = past_of(events).dropped
    deltas = [json.loads(event.body) for event in events if event.type == "text.delta"]
    kept = "".join(delta["delta"] for delta in deltas if delta["message_id"] not in dropped)
    assert "".join(texts.values()) == kept
    for cut in range(1, len(events)):
        past = past_of(events[:cut])
        # Live from here on: what comes may still be taken back, which ends the stream, or a message may.
        live = check_stream(told(events, past=past, after=past.begins[-1]))
        if live.ended in {"finish", "abort"}:
            assert live.text == texts[live.id]
        else:
            assert live.error == CUT


@pytest.mark.contract("FACE-9")
def test_ids_of_messages_name_their_run() -> None:
    for number in (1, 2, 30):
        assert run_id_of(message_id_of("0193-ab", number)) == ("0193-ab", number)
    assert run_id_of("x.y") == ("x", 1)
    assert run_id_of("x.99999999999999999999") == ("x", 1)
