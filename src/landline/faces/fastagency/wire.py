"""The bodies of FastAgency's wire, as its clients send them."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from landline.web.faults import Countable

__all__ = ["Initiate", "Initiated", "WorkflowInfo"]

Name = Annotated[str, Field(min_length=1, max_length=128)]
UserId = Annotated[str, Field(max_length=256)]


class Initiate(Countable, extra="forbid"):
    """What is posted to begin a workflow. `user_id` is taken and not believed: who calls is what the credential says."""

    workflow_name: Name
    workflow_uuid: Annotated[str, Field(max_length=64)]
    user_id: UserId | None = None
    params: dict[str, Any] = Field(default_factory=dict[str, Any])


class Initiated(Countable, extra="forbid"):
    """The answer, and the first frame of the socket: `workflow_uuid` names the run there."""

    user_id: UserId | None = None
    workflow_uuid: UUID
    name: Name
    params: dict[str, Any] = Field(default_factory=dict[str, Any])


class WorkflowInfo(BaseModel):
    """One workflow that may be begun."""

    name: str
    description: str
