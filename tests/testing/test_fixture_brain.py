"""What the fixture's brain decides, and that what it draws fits its schema."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from landline.testing.fixture.brain import Asked, Call, Offered, Reply, Seen, Told, reply
from landline.testing.fixture.drawn import draw, places

TEXT = "What is the weather in Paris on 3 days, in celsius?"
SCHEMAS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "minLength": 900},
    {"type": "string", "maxLength": 3},
    {"type": "integer", "minimum": 10, "maximum": 12},
    {"type": "integer", "exclusiveMinimum": 7, "multipleOf": 5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.9},
    {"type": ["null", "boolean"]},
    {"const": {"a": 1}},
    {"enum": [3, "x"]},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False},
    {"anyOf": [{"type": "null"}, {"type": "integer"}]},
    {
        "type": "object",
        "properties": {"when": {"type": "string", "format": "date"}, "note": {"type": "string"}},
        "required": ["when"],
        "additionalProperties": False,
    },
    {
        "$defs": {
            "Step": {
                "type": "object",
                "properties": {"say": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Step"}, {"type": "null"}]}},
                "required": ["say", "next"],
            },
            "Id": {"type": "string", "format": "uuid"},
        },
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "id": {"allOf": [{"$ref": "#/$defs/Id"}], "description": "An id"},
        },
        "required": ["steps", "id"],
    },
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
        ]
    },
]  # fmt: skip


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_what_is_drawn_fits(schema: dict[str, Any]) -> None:
    validator: Any = Draft202012Validator(schema)
    validator.validate(draw(schema, TEXT))
    assert draw(schema, TEXT) == draw(schema, TEXT)


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize(
    ("schema", "drawn"),
    [
        ({"properties": {"city": {"type": "string"}}}, {"city": "Paris"}),
        ({"properties": {"unit": {"enum": ["kelvin", "celsius"]}}}, {"unit": "celsius"}),
        ({"properties": {"unit": {"enum": ["kelvin", "x"]}}}, {"unit": "kelvin"}),
        ({"properties": {"days": {"type": "integer"}}}, {"days": 3}),
        ({"properties": {"query": {"type": "string"}}}, {"query": TEXT}),
        ({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}, {"b": "Paris"}),
    ],
)  # fmt: skip
def test_arguments_are_drawn_from_the_schema_and_the_text(
    schema: dict[str, Any], drawn: dict[str, Any]
) -> None:
    asked = Asked(text=TEXT, tools=[Offered("look_at", {"type": "object", **schema})])
    assert reply(asked).calls == [Call("look_at", drawn)]


@pytest.mark.contract("FACE-16")
def test_places_are_read_from_the_text() -> None:
    assert places("The weather in San Francisco, CA") == ["San Francisco", "CA"]
    assert places("in Paris, in Oslo and in New York today") == ["Paris", "Oslo", "New York"]
    assert places("nothing here") == []


GET = Offered("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
OTHER = Offered("sendMail", {"type": "object"})


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(text="send mail", tools=[GET, OTHER]), Reply(calls=[Call("sendMail", {})])),
        (Asked(text="hello", tools=[GET, OTHER]), Reply(calls=[Call("get_weather", {"city": "Paris"})])),
        (
            Asked(text="both, in Oslo", tools=[GET, OTHER]),
            Reply(calls=[Call("get_weather", {"city": "Oslo"}), Call("sendMail", {})]),
        ),
        (Asked(text="hi", schema={"type": "integer"}), Reply(output=1, has_output=True)),
        (Asked(text="hi", tools=[GET], schema={}), Reply(calls=[Call("get_weather", {"city": "Paris"})])),
        (
            Asked(text="hi", tools=[GET], schema={"type": "boolean"}, told=[Told("get_weather", 1)]),
            Reply(output=True, has_output=True),
        ),
        (Asked(text="please fail"), Reply(fails=True)),
    ],
)
def test_what_it_does(asked: Asked, expected: Reply) -> None:
    assert reply(asked) == expected


@pytest.mark.contract("FACE-16")
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked(text="hi", before=["a", "b"]), "Before: a. Before: b. You said: hi"),
        (Asked(text="hi", told=[Told("t", '{"a": 1}')]), 'The result of t is: {"a":1}.'),
        (Asked(text="hi", told=[Told("t", {"a": 1})]), 'The result of t is: {"a":1}.'),
        (Asked(text="hi", told=[Told("t", '"quoted"')]), "The result of t is: quoted."),
        (Asked(text="the file", seen=[Seen("a/b", 7)]), "I see a/b of 7 bytes."),
        (Asked(text="so", seen=[Seen("a/b", 7)]), "I see a/b of 7 bytes. You said: so"),
        (Asked(text="Count from 3 to 1"), "3, 2, 1"),
        (Asked(text="Reply with exactly 'pong'"), "pong"),
        (Asked(text="What is my name?", before=["My name is Alice."]), "Your name is Alice."),
        (Asked(text="How many planets are there?"), "There are 3 of them."),
    ],
)
def test_what_it_says(asked: Asked, text: str) -> None:
    assert reply(asked).text == text
