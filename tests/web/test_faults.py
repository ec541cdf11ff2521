"""Where a request does not fit is said in the client's own words (WIRE-4)."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from landline.faces.native.wire import StartBody
from landline.web.faults import faults_of

CASES: list[tuple[Any, list[list[Any]]]] = [
    ({"input": 5}, [["input"], ["input"]]),
    ({"input": ""}, [["input"], ["input"]]),
    ({"input": {"a": 1}}, [["input"], ["input"]]),
    ({"input": [{"type": "text"}]}, [["input"], ["input", 0, "text"]]),
    ({"input": [{"type": "text", "text": 5}]}, [["input"], ["input", 0, "text"]]),
    ({"input": [{"type": "file", "file_id": 5}]}, [["input"], ["input", 0, "file_id"]]),
    ({"input": [{"type": "text", "text": "x", "more": 1}]}, [["input"], ["input", 0, "more"]]),
    ({"input": [{"type": "zip"}, 7]}, [["input"], ["input", 0], ["input", 1]]),
    ({"input": [{"type": "image", "file_id": "x", "more": 1}]}, [["input"], ["input", 0, "more"]]),
    ({"input": "x", "nope": 1, "metadata": 4}, [["metadata"], ["nope"]]),
    ({"input": "x", "agent_type": 5}, [["agent_type"]]),
    ({"input": "x", "settings": {"temperature": "hot"}}, [["settings", "temperature"]]),
    ([], [[]]),
]


@pytest.mark.contract("WIRE-4")
@pytest.mark.parametrize(("body", "places"), CASES)
def test_places_are_keys_and_indexes_of_what_was_sent(body: Any, places: list[list[Any]]) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(StartBody).validate_python(body)
    found = [list(fault.loc) for fault in faults_of(refusal.value.errors(), body)]
    assert sorted(found, key=str) == sorted(places, key=str)


def test_a_long_key_is_cut_and_a_long_list_too() -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(StartBody).validate_python({"input": "x", **{"k" * 500 + str(n): 1 for n in range(80)}})
    found = faults_of(refusal.value.errors(), {})
    assert len(found) == 50


@pytest.mark.contract("WIRE-4")
def test_a_branch_that_is_a_plain_type_is_no_key_that_is_missing() -> None:
    class Item(BaseModel, strict=True):
        a: str | Annotated[list[int], Field(min_length=1)]

    bodies: list[Any] = [[{"a": 5}], [{"a": []}], [{"a": {"b": 1}}]]
    for body in bodies:
        with pytest.raises(ValidationError) as refusal:
            TypeAdapter(list[Item]).validate_python(body)
        found = [list(fault.loc) for fault in faults_of(refusal.value.errors(), body)]
        assert found[0] == [0, "a"], body
