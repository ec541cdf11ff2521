"""One operation of an OpenAPI document as one flat JSON schema of arguments, and the way back. Pure."""

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, cast

__all__ = ["Operation", "is_admin", "read_operation"]

_ADMIN: Final = re.compile(r"(?:^|[^a-z])admins?(?:istrators?|istration)?(?:$|[^a-z])", re.IGNORECASE)
_REF: Final = "#/components/schemas/"
_PLAIN: Final = frozenset({"type", "properties", "required", "title", "description", "examples", "example"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """A route and method: which arguments go where. `flat` when the body's fields are arguments of their own."""

    name: str
    title: str | None
    description: str | None
    method: str
    path: str
    in_path: tuple[str, ...]
    in_query: tuple[str, ...]
    in_body: tuple[str, ...]
    flat: bool
    schema: dict[str, Any]
    output_schema: dict[str, Any]

    def body_of(self, arguments: Mapping[str, Any]) -> tuple[Any] | None:
        """Return the body to send, in a tuple, or None for none."""
        if not self.in_body:
            return None
        if not self.flat:
            return (arguments["body"],) if "body" in arguments else None
        return ({name: arguments[name] for name in self.in_body if name in arguments},)


def is_admin(word: str) -> bool:
    """Tell whether a tag, a scope, a name in code or a part of a path says that it is for admins."""
    return bool(_ADMIN.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word)))


def read_operation(document: Mapping[str, Any], *, path: str, at: str, method: str) -> Operation | str:
    """Return the operation of `method` at `path` of `document`, which the app serves `at`; or why it cannot be called."""
    found: dict[str, Any] = document.get("paths", {}).get(path, {}).get(method.lower())
    if not found:
        return "it is not in the app's document"
    for scheme in found.get("security", ()):
        if any(is_admin(scope) for scopes in scheme.values() for scope in scopes):
            return "it is for admins"
    properties: dict[str, Any] = {}
    required: list[str] = []
    places: dict[str, list[str]] = {"path": [], "query": []}
    for parameter in found.get("parameters", ()):
        name, where = parameter["name"], parameter["in"]
        if where not in places:
            if parameter.get("required"):
                return f"it needs the {where} {name}"
            continue
        places[where].append(name)
        properties[name] = _described(parameter)
        if parameter.get("required"):
            required.append(name)
    if ":path}" in at or set(places["path"]) != set(re.findall(r"\{([^}:]+)", at)):
        return "its path takes more than single parts"
    body = _body(document, found, taken=properties)
    if isinstance(body, str):
        return body
    properties |= body.properties
    required += body.required
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return Operation(
        name=str(found.get("operationId") or f"{method.lower()}_{path}"),
        title=found.get("summary"),
        description=found.get("description") or found.get("summary"),
        method=method,
        path=re.sub(r":[a-z]+\}", "}", at),
        in_path=tuple(places["path"]),
        in_query=tuple(places["query"]),
        in_body=tuple(body.properties),
        flat=body.flat,
        schema=_closed(document, schema),
        output_schema=_output(document, found),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    properties: dict[str, Any]
    required: list[str]
    flat: bool = True


def _body(document: Mapping[str, Any], found: Mapping[str, Any], *, taken: Mapping[str, Any]) -> _Body | str:
    given: Mapping[str, Any] | None = found.get("requestBody")
    if given is None:
        return _Body(properties={}, required=[])
    content: Mapping[str, Any] = given.get("content", {})
    if "application/json" not in content:
        return "it takes no JSON"
    schema: dict[str, Any] = content["application/json"].get("schema", {})
    resolved = _resolved(document, schema)
    fields: dict[str, Any] = resolved.get("properties", {})
    if (
        resolved.get("type") == "object"
        and fields
        and set(resolved) <= _PLAIN
        and not set(fields) & set(taken)
    ):
        needed = list(resolved.get("required", ())) if given.get("required") else []
        return _Body(properties=fields, required=needed)
    if "body" in taken:
        return "a parameter of its path or query is called body"
    return _Body(properties={"body": schema}, required=["body"] if given.get("required") else [], flat=False)


def _output(document: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of what it answers, as an object; {} when it may also answer something else."""
    answers = {
        code: answer for code, answer in found.get("responses", {}).items() if str(code).startswith("2")
    }
    if len(answers) != 1:
        return {}
    (answer,) = answers.values()
    content: Mapping[str, Any] = answer.get("content", {})
    schema: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    if set(content) != {"application/json"} or not schema:
        return {}
    resolved = _resolved(document, schema)
    if resolved.get("type") == "object":
        return _closed(document, resolved)
    if any(word in resolved for word in ("anyOf", "oneOf", "allOf")):
        return {}  # sometimes an object and sometimes not: no one schema of an object says it
    wrapped = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return _closed(document, wrapped)


def _described(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = deepcopy(parameter.get("schema", {}))
    if "description" in parameter:
        schema["description"] = parameter["description"]
    return schema


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REF):
        return deepcopy(document["components"]["schemas"][reference.removeprefix(_REF)])
    return deepcopy(dict(schema))


def _closed(document: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with all that it refers to inside."""
    shared: dict[str, Any] = {}
    pending: list[str] = []

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, Any]", value)
        reference = fields.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            name = reference.removeprefix(_REF)
            pending.append(name)
            return {**fields, "$ref": f"#/$defs/{name}"}
        return {key: moved(item) for key, item in fields.items()}

    closed = cast("dict[str, Any]", moved(schema))
    while pending:
        name = pending.pop()
        if name not in shared:
            shared[name] = None
            shared[name] = moved(document["components"]["schemas"][name])
    return {**closed, "$defs": shared} if shared else closed
