"""What both of OpenAI's wires send."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from landline.faces.openai.errors import tell_in_stream

__all__ = ["DONE", "ERRORS", "ERROR_HEADERS", "data_frame", "error_frame", "json_response", "seconds"]

ERROR_HEADERS: Final = {"x-should-retry": "false"}
"""Said of a run that was accepted and failed: OpenAI's clients would begin it again, twice, by themselves."""

ERRORS: Final[dict[int | str, Any]] = {
    "default": {
        "description": "An error, in OpenAI's envelope.",
        "content": {
            "application/json": {
                "example": {
                    "error": {
                        "message": "The model 'nobody' does not exist or you do not have access to it.",
                        "type": "invalid_request_error",
                        "param": None,
                        "code": "model_not_found",
                    }
                }
            }
        },
    }
}
"""What the OpenAPI document says of errors."""

DONE: Final = b"data: [DONE]\n\n"
"""The last frame of a Chat Completions stream that ended well."""

_encode: Final = msgspec.json.Encoder().encode


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return plain data as a response."""
    return Response(_encode(value), status, headers, media_type="application/json")


def data_frame(value: Any) -> bytes:
    """Return plain data as one frame without a name, as Chat Completions sends all of its frames."""
    return b"data: %s\n\n" % _encode(value)


def error_frame(error: Exception, scope: Scope) -> bytes:
    """Return the last frame of a Chat Completions stream that failed; OpenAI's clients raise what it says."""
    return data_frame(tell_in_stream(error, scope))


def seconds(at: str) -> int:
    """Return a moment of the log as seconds since 1970."""
    return int(datetime.fromisoformat(at).timestamp())
