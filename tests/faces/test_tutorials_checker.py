"""What the strict checker of the tutorials' streams refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from landline.testing.faces.tutorials import (
    Asked,
    Said,
    check_deltas,
    check_indexed,
    check_lesson,
    check_queries,
    check_socket,
    check_tokens,
)
from landline.testing.grammar import GrammarError

GOOD = (
    "event: session\ndata: t1\n\nevent: token\ndata: Hel\n\nevent: token\ndata: lo\ndata: \n\n"
    "event: token\ndata: you\n\nevent: done\ndata: 16\n\n"
)
GOOD_QUERIES = (
    'event: message_created\ndata: {"event":"message_created","message":{"id":"u1","role":"user"}}\n\n'
    'event: message_started\ndata: {"event":"message_started","message_id":"m1"}\n\n'
    'event: text_delta\ndata: {"event":"text_delta","message_id":"m1","token":"Hi"}\n\n'
    'event: message_complete\ndata: {"event":"message_complete","message_id":"m1"}\n\n'
    'event: done\ndata: {"event":"done"}\n\n'
)


def check_structured(body: str) -> Asked:
    return check_queries(body, structured=True)


def check_as_json(body: str) -> Said:
    return check_lesson(body, "application/json")


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (check_lesson, ""),
        (check_lesson, GOOD.removeprefix("event: session\ndata: t1\n\n")),
        (check_lesson, GOOD.replace("event: done\ndata: 16\n\n", "")),
        (check_lesson, GOOD + "event: token\ndata: x\n\n"),
        (check_lesson, GOOD.replace("data: 16", "data: many")),
        (check_lesson, GOOD.replace("Hel", "H\rel")),
        (check_lesson, GOOD.rstrip("\n")),
        (check_lesson, GOOD.replace("data: you", "dat: you")),
        (check_deltas, 'data: {"delta":"a"}\n\ndata: {"done":true,"final":"b","session_id":"t"}\n\n'),
        (check_deltas, 'data: {"delta":"a"}\n\n'),
        (check_deltas, 'data: {"delta":""}\n\ndata: {"done":true,"final":"","session_id":"t"}\n\n'),
        (check_deltas, "data: {\n\n"),
        (check_tokens, 'data: {"done":true}\n\ndata: {"token":"a"}\n\n'),
        (check_tokens, 'event: x\ndata: {"done":true}\n\n'),
        (check_indexed, 'id: r:1\ndata: {"token":"a","index":1}\n\nevent: done\ndata: {"index":2}\n\n'),
        (check_indexed, 'id: r:7\ndata: {"token":"a","index":0}\n\nevent: done\ndata: {"index":1}\n\n'),
        (check_indexed, 'id: r:0\ndata: {"token":"a","index":0}\n\nevent: done\ndata: {"index":0}\n\n'),
        (check_indexed, 'id: r:0\ndata: {"token":"a","index":0}\n\n'),
        (check_queries, GOOD_QUERIES.partition("\n\n")[2]),
        (check_queries, GOOD_QUERIES.replace('event: message_started\ndata: {"event":"message_started","message_id":"m1"}\n\n', "")),
        (check_queries, GOOD_QUERIES.replace('event: message_complete\ndata: {"event":"message_complete","message_id":"m1"}\n\n', "")),
        (check_queries, GOOD_QUERIES.replace('event: done\ndata: {"event":"done"}\n\n', "")),
        (check_queries, GOOD_QUERIES * 2),
        (check_queries, GOOD_QUERIES.replace("event: text_delta", "event: token")),
        (check_structured, GOOD_QUERIES),
        (check_as_json, GOOD),
    ],
)  # fmt: skip
def test_the_checker_refuses_broken_streams(check: Callable[[str], Any], broken: str) -> None:
    check_lesson(GOOD)
    check_queries(GOOD_QUERIES)
    with pytest.raises(GrammarError):
        check(broken)


@pytest.mark.contract("FACE-17")
@pytest.mark.parametrize(
    "broken",
    [
        [],
        [{"type": "token", "content": "a"}],
        [{"type": "token", "content": "a"}, {"type": "complete", "full_response": "b"}],
        [{"type": "token"}, {"type": "complete", "full_response": ""}],
        [{"type": "error", "error": ""}],
    ],
)
def test_the_checker_refuses_broken_turns_of_the_socket(broken: list[Any]) -> None:
    with pytest.raises(GrammarError):
        check_socket([json.dumps(one) for one in broken])
