"""The answer that a client wants, as the output type of a run's own agents (`Turn.output_schema`)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from agents import AgentOutputSchemaBase
from agents.exceptions import UserError
from agents.strict_schema import ensure_strict_json_schema

from landline.model.json_schema import read

__all__ = ["Wanted"]


class Wanted(AgentOutputSchemaBase):
    """An output type that is a JSON schema and nothing else.

    It is sent in strict mode when it is a strict schema as it stands. The SDK could make it one, but that would forbid
    what the client allows: a property that is left out, one that is not named.
    """

    __landline_partial__ = dict[str, Any]

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = dict(schema)
        try:
            self._strict = ensure_strict_json_schema(deepcopy(self._schema)) == self._schema
        except UserError:
            self._strict = False

    def is_plain_text(self) -> bool:
        """It is an object."""
        return False

    def name(self) -> str:
        """The name that models are told."""
        return "answer"

    def json_schema(self) -> dict[str, Any]:
        """The client's schema."""
        return deepcopy(self._schema)

    def is_strict_json_schema(self) -> bool:
        """Whether every property is required and none is left open."""
        return self._strict

    def validate_json(self, json_str: str) -> Any:
        """Return the answer.

        Raises:
            AgentFailed: It does not fit.
        """
        return read(json_str, self._schema)
