"""Whether a value fits a JSON schema (2020-12, the part that says what an answer looks like).

The schema may come from a client, so what could be made to take for ever is left out: `pattern` and `format` are not
checked, and the work is bounded. References are followed within the schema only. Of what is not checked here (`if`,
`contains`, `patternProperties`, `dependent...`, `unevaluated...`, `propertyNames`) nothing is refused.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from landline.model.errors import AgentFailed

__all__ = ["check", "misfit", "read"]

MAX_STEPS, MORE_STEPS = 2_000, 50
"""How often a value is held against a schema at most: so many times, and more for each value within it.

A schema that refers to itself in many ways could be walked for ever; one that describes an answer needs a few steps for
each value of it.
"""

MAX_DEPTH = 200

_KINDS: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int, float),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def misfit(value: Any, schema: Mapping[str, Any], *, what: str = "the answer") -> str | None:
    """Return where and why `value`, plain JSON data, does not fit `schema`; None when it does.

    `what` is what the value is called. The words name places and rules, never what the value holds.
    """
    return _Check(schema, MAX_STEPS + MORE_STEPS * _size(value)).fault(value, schema, what, 0)


def check(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return `value`, which fits.

    Raises:
        AgentFailed: It does not fit (`output_schema_mismatch`).
    """
    if (fault := misfit(value, schema)) is not None:
        raise AgentFailed(
            f"The answer does not fit the wanted schema: {fault}.", code="output_schema_mismatch"
        )
    return value


def read(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the JSON in `text`, which fits.

    Raises:
        AgentFailed: It is no JSON or does not fit (`output_schema_mismatch`).
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AgentFailed("The answer is not JSON, as was wanted.", code="output_schema_mismatch") from error
    return check(value, schema)


class _Check:
    def __init__(self, root: Mapping[str, Any], steps: int) -> None:
        self._root, self._steps = root, steps

    def fault(self, value: Any, schema: Any, where: str, depth: int) -> str | None:
        self._steps -= 1
        if self._steps < 0 or depth > MAX_DEPTH:
            return f"{where} takes too long to check"
        if isinstance(schema, bool):
            return None if schema else f"{where} may not be there"
        if not isinstance(schema, Mapping):
            return None
        rules = cast("Mapping[str, Any]", schema)
        for check in (self._reference, self._kind, self._number, self._text, self._branches):
            if (fault := check(value, rules, where, depth)) is not None:
                return fault
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value), rules, where, depth)
        if isinstance(value, list):
            return self._array(cast("list[Any]", value), rules, where, depth)
        return None

    def _reference(self, value: Any, rules: Mapping[str, Any], where: str, depth: int) -> str | None:
        reference = rules.get("$ref")
        if not isinstance(reference, str):
            return None
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                return f"{where} has a schema that refers to nothing"
            found = cast("Mapping[str, Any]", found)[name]
        if not reference.startswith("#"):
            return f"{where} has a schema that refers to another document"
        return self.fault(value, found, where, depth + 1)

    def _kind(self, value: Any, rules: Mapping[str, Any], where: str, _: int) -> str | None:
        kinds = rules.get("type")
        if kinds is not None:
            named = cast("Sequence[Any]", [kinds] if isinstance(kinds, str) else kinds)
            if not any(_is(value, kind) for kind in named):
                return f"{where} is not of type {' or '.join(map(str, named))}"
        if "const" in rules and not _same(value, rules["const"]):
            return f"{where} is not the one value it may be"
        if "enum" in rules and not any(_same(value, one) for one in rules["enum"]):
            return f"{where} is none of the values it may be"
        return None

    def _number(self, value: Any, rules: Mapping[str, Any], where: str, _: int) -> str | None:
        if not _is(value, "number"):
            return None
        if value < rules.get("minimum", value) or value > rules.get("maximum", value):
            return f"{where} is out of bounds"
        above, below = rules.get("exclusiveMinimum"), rules.get("exclusiveMaximum")
        if (above is not None and value <= above) or (below is not None and value >= below):
            return f"{where} is out of bounds"
        step = rules.get("multipleOf")
        if step and abs(value / step - round(value / step)) > 1e-9:
            return f"{where} is no multiple of {step}"
        return None

    def _text(self, value: Any, rules: Mapping[str, Any], where: str, _: int) -> str | None:
        if isinstance(value, str) and not (
            rules.get("minLength", 0) <= len(value) <= rules.get("maxLength", len(value))
        ):
            return f"{where} is too short or too long"
        return None

    def _branches(self, value: Any, rules: Mapping[str, Any], where: str, depth: int) -> str | None:
        for part in rules.get("allOf", ()):
            if (fault := self.fault(value, part, where, depth + 1)) is not None:
                return fault
        if "anyOf" in rules and self._fitting(value, rules["anyOf"], where, depth, enough=1) < 1:
            return f"{where} fits none of the schemas it may fit"
        if "oneOf" in rules and self._fitting(value, rules["oneOf"], where, depth, enough=2) != 1:
            return f"{where} does not fit exactly one of the schemas it may fit"
        if "not" in rules and self.fault(value, rules["not"], where, depth + 1) is None:
            return f"{where} fits what it may not fit"
        return None

    def _fitting(self, value: Any, branches: Any, where: str, depth: int, *, enough: int) -> int:
        count = 0
        for branch in branches:
            count += self.fault(value, branch, where, depth + 1) is None
            if count >= enough:
                break
        return count

    def _object(self, value: dict[str, Any], rules: Mapping[str, Any], where: str, depth: int) -> str | None:
        known: Mapping[str, Any] = rules.get("properties", {})
        for name in rules.get("required", ()):
            if name not in value:
                return f"{where} has no {name}"
        if not rules.get("minProperties", 0) <= len(value) <= rules.get("maxProperties", len(value)):
            return f"{where} has too few or too many properties"
        others = True if rules.get("patternProperties") else rules.get("additionalProperties", True)
        for name, item in value.items():
            inner = f"{where}.{name}" if name in known else f"{where}, in what is not named by its schema,"
            if (fault := self.fault(item, known.get(name, others), inner, depth + 1)) is not None:
                return fault
        return None

    def _array(self, value: list[Any], rules: Mapping[str, Any], where: str, depth: int) -> str | None:
        if not rules.get("minItems", 0) <= len(value) <= rules.get("maxItems", len(value)):
            return f"{where} has too few or too many items"
        first: Sequence[Any] = rules.get("prefixItems", ())
        for at, item in enumerate(value):
            schema = first[at] if at < len(first) else rules.get("items", True)
            if (fault := self.fault(item, schema, f"{where}[{at}]", depth + 1)) is not None:
                return fault
        if rules.get("uniqueItems") and len({_text_of(item) for item in value}) < len(value):
            return f"{where} has an item twice"
        return None


def _size(value: Any) -> int:
    """Return how many values there are in `value`, itself included."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, cast("dict[str, Any]", value).values()))
    return 1 + sum(map(_size, cast("list[Any]", value))) if isinstance(value, list) else 1


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if not isinstance(value, _KINDS.get(kind, ())):
        return False
    return kind != "integer" or isinstance(value, int) or value.is_integer()


def _same(one: Any, other: Any) -> bool:
    return _text_of(one) == _text_of(other)


def _text_of(value: Any) -> str:
    return json.dumps(_counted(value), sort_keys=True)


def _counted(value: Any) -> Any:
    """Return the value with whole numbers as integers: JSON knows one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_counted(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _counted(item) for name, item in cast("dict[str, Any]", value).items()}
    return value
