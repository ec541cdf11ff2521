"""The answer that a client wants, as the response schema of one question to an agent (`Turn.output_schema`)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ag2.annotations import Context
from ag2.response import ResponseProto

from landline.model.json_schema import read

__all__ = ["Wanted"]


class Wanted(ResponseProto[Any]):
    """A response schema that is a JSON schema and nothing else."""

    __landline_partial__ = dict[str, Any]

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.name = "answer"
        self.description = None
        self.system_prompt = None
        self._schema = dict(schema)
        # The framework's clients take what they need out of the mapping that they are given.
        self.json_schema = deepcopy(self._schema)

    async def validate(self, response: str, context: Context, provider: Any = None) -> Any:
        """Return the answer.

        Raises:
            AgentFailed: It does not fit.
        """
        return read(response, self._schema)
