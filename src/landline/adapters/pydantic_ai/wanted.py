"""The answer that a client wants, as an output type of one run (`Turn.output_schema`)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_ai import StructuredDict
from pydantic_ai.exceptions import UserError
from pydantic_core import core_schema

from landline.model.errors import AgentFailed, Unsupported
from landline.model.json_schema import misfit

__all__ = ["Wanted", "takes_schema"]


def takes_schema(agent: Any) -> bool:
    """Tell whether the agent's answer may be of another type for one run: its own output validators would not fit."""
    return not getattr(agent, "_output_validators", None)


class Wanted:
    """One run's type of answer. What does not fit goes back to the model, as often as the agent's retries allow."""

    def __init__(self, schema: Mapping[str, Any], agent: Any) -> None:
        """Make the type.

        Raises:
            Unsupported: The agent checks its answers itself, or the framework takes no such schema.
        """
        if not takes_schema(agent):
            raise Unsupported(
                "This agent has output validators, so its answer takes no schema from a client.",
                code="output_schema_unsupported",
            )
        self._schema = schema
        self._fault: str | None = None
        try:
            plain: Any = StructuredDict(deepcopy(dict(schema)))
        except UserError as error:
            raise Unsupported(
                "The framework takes no schema of an answer that refers to itself.",
                code="output_schema_unsupported",
            ) from error

        def check(value: dict[str, Any]) -> dict[str, Any]:
            return self._checked(value)

        class Answer(plain):
            __landline_partial__ = plain

            @classmethod
            def __get_pydantic_core_schema__(
                cls, source_type: Any, handler: GetCoreSchemaHandler
            ) -> core_schema.CoreSchema:
                inner = plain.__get_pydantic_core_schema__(source_type, handler)
                return core_schema.no_info_after_validator_function(check, inner)

        self.type: Any = Answer

    def _checked(self, value: dict[str, Any]) -> dict[str, Any]:
        self._fault = misfit(value, self._schema)
        if self._fault is not None:
            raise ValueError(self._fault)
        return value

    def failure(self, error: AgentFailed) -> AgentFailed:
        """Return the failure as callers know it: after the last retry the answer still did not fit."""
        if self._fault is None or error.code != "model_invalid_response":
            return error
        return AgentFailed(
            f"The answer does not fit the wanted schema: {self._fault}.", code="output_schema_mismatch"
        )
