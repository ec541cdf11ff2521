"""Path and query parameters, and the version of the protocol that every request names."""

from typing import Annotated, Final

from fastapi import Header, Path, Query
from starlette.requests import Request

from landline.faces.a2a.errors import version_not_supported

__all__ = ["AgentName", "ConfigId", "HistoryLength", "TaskId", "VersionHeader", "check_version"]

_VERSION: Final = "A2A-Version"

AgentName = Annotated[str, Path(max_length=128, examples=["notes"])]
TaskId = Annotated[str, Path(max_length=256, examples=["0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10"])]
ConfigId = Annotated[str, Path(max_length=256, examples=["webhook"])]
VersionHeader = Annotated[
    str | None,
    Header(alias=_VERSION, description="The protocol's version; without it 0.3 is meant.", examples=["1.0"]),
]
HistoryLength = Annotated[
    int | None, Query(alias="historyLength", ge=0, le=2**31 - 1, description="Messages of history.")
]


def check_version(request: Request) -> None:
    """Refuse a request in another version than 1.0; a patch number does not matter, and nothing means 0.3.

    Raises:
        Invalid: With the protocol's own error.
    """
    given = request.headers.get(_VERSION) or request.query_params.get(_VERSION) or ""
    parts = given.strip().split(".")
    if parts[:2] != ["1", "0"] or len(parts) > 3:
        raise version_not_supported(given.strip())
