"""Whether a value fits a schema: the same verdict as a whole validator of JSON Schema gives, and an end of the work."""

import time
from typing import Any

import pytest
from hypothesis import given, strategies
from jsonschema import Draft202012Validator

from landline.model.errors import AgentFailed
from landline.model.json_schema import check, misfit, read

PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "maxLength": 5},
        "people": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        "sights": {"type": "array", "items": {"$ref": "#/$defs/Sight"}, "minItems": 1, "uniqueItems": True},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {
        "Sight": {
            "type": "object",
            "properties": {"name": {"enum": ["a", "b", 1]}, "near": {"$ref": "#/$defs/Sight"}},
            "required": ["name"],
        }
    },
}


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"city": "Oslo"}, None),
        ({"city": "Oslo", "people": 7, "sights": [{"name": "a", "near": {"name": "b"}}]}, None),
        ({"city": "Oslo", "people": None}, None),
        ([], "the answer is not of type object"),
        ({}, "the answer has no city"),
        ({"city": 7}, "the answer.city is not of type string"),
        ({"city": "O"}, "the answer.city is too short or too long"),
        ({"city": "Oslo", "people": -1}, "the answer.people fits none of the schemas it may fit"),
        ({"city": "Oslo", "sights": []}, "the answer.sights has too few or too many items"),
        (
            {"city": "Oslo", "sights": [{"name": "a"}, {"name": "z"}]},
            "the answer.sights[1].name is none of the values it may be",
        ),
        ({"city": "Oslo", "sights": [{"name": 1}, {"name": 1.0}]}, "the answer.sights has an item twice"),
        (
            {"city": "Oslo", "secret": 1},
            "the answer, in what is not named by its schema, may not be there",
        ),
    ],
)
def test_a_misfit_is_told_by_its_place_and_never_by_its_value(value: Any, fault: str | None) -> None:
    assert misfit(value, PLACE) == fault


st: Any = strategies


def negated(schema: Any) -> dict[str, Any]:
    return {"not": schema}


def holders(inner: Any) -> Any:
    """Return what may hold these values."""
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 8) | st.sampled_from([0.5, 2.0, "", "a", "abc"]),
    holders,
    max_leaves=6,
)
KINDS = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
LEAVES = st.one_of(
    st.booleans(),
    st.builds(dict, type=KINDS),
    st.builds(dict, type=st.lists(KINDS, min_size=1, max_size=2, unique=True)),
    st.builds(dict, const=VALUES),
    st.builds(dict, enum=st.lists(VALUES, min_size=1, max_size=3)),
    st.builds(dict, minimum=st.integers(-2, 5), exclusiveMaximum=st.integers(0, 8)),
    st.builds(dict, multipleOf=st.sampled_from([2, 0.5])),
    st.builds(dict, minLength=st.integers(0, 2), maxLength=st.integers(0, 3)),
    st.builds(dict, minItems=st.integers(0, 2), uniqueItems=st.booleans()),
    st.builds(dict, maxItems=st.integers(0, 2)),
    st.builds(dict, minProperties=st.integers(0, 2), maxProperties=st.integers(0, 3)),
    st.just({"$ref": "#/$defs/One"}),
)


def around(inner: Any) -> Any:
    """Return schemas that hold these."""
    return st.one_of(
        st.builds(dict, properties=st.dictionaries(st.sampled_from("abc"), inner, max_size=2)),
        st.builds(
            dict,
            properties=st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            required=st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            additionalProperties=inner,
        ),
        st.builds(dict, items=inner),
        st.builds(dict, prefixItems=st.lists(inner, min_size=1, max_size=2), items=inner),
        *(st.builds(dict, **{key: st.lists(inner, min_size=1, max_size=3)}) for key in ("anyOf", "oneOf", "allOf")),
        st.builds(negated, inner),
    )  # fmt: skip


SCHEMAS = st.recursive(
    LEAVES,
    around,
    max_leaves=8,
)  # fmt: skip


@pytest.mark.contract("FACE-6")
@given(SCHEMAS, VALUES, LEAVES)
def test_the_verdict_is_that_of_a_whole_validator(schema: Any, value: Any, one: Any) -> None:
    if one == {"$ref": "#/$defs/One"}:
        one = True
    whole: dict[str, Any] = {"allOf": [schema], "$defs": {"One": one}}
    validator: Any = Draft202012Validator(whole)
    assert (misfit(value, whole) is None) == validator.is_valid(value)


@pytest.mark.contract("FACE-6")
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "$ref": "#"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}] * 8}}},
        {"$ref": "#/$defs/n0", "$defs": {f"n{n}": {"oneOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 3} for n in range(40)}},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema.json"},
    ],
)  # fmt: skip
def test_no_schema_makes_it_work_for_ever(schema: dict[str, Any]) -> None:
    began = time.monotonic()
    assert misfit({"a": 1}, schema) is not None
    assert time.monotonic() - began < 5


@pytest.mark.contract("FACE-6", "EVT-8")
def test_what_does_not_fit_fails_with_its_own_code() -> None:
    assert read('{"city": "Oslo"}', PLACE) == check({"city": "Oslo"}, PLACE)
    for text in ('{"city": 7}', "no json", "[" * 100_000):
        with pytest.raises(AgentFailed) as failed:
            read(text, PLACE)
        assert failed.value.code == "output_schema_mismatch"
