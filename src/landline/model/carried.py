"""What a client carries to one run, on wires that let it: tools it carries out itself, a schema, a history (TRU-19)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from landline.model.events import GuardTripped
from landline.model.messages import Part, Role

__all__ = ["Carried", "CarriedMessage", "ClientTool"]


class ClientTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool that the client carries out: `parameters` is the JSON schema of its arguments.

    A call of it is a question of kind `input` with `client` true; its answer's value, any JSON, is the call's result.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] = {}


class CarriedMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message of a history that the client carries. Nobody vouches for it, whatever role it claims."""

    role: Role
    parts: Sequence[Part]


class Carried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a client carries to one run; kept with the run, never part of its thread.

    `output_schema` is the JSON schema that the answer must fit. `history` came before the input, oldest first; what it
    says with the role `system` is given to the agent as the user's words. `tripped` is not the client's: it is what guards
    said of its input, for the run's log.
    """

    tools: Sequence[ClientTool] = ()
    output_schema: dict[str, Any] | None = None
    history: Sequence[CarriedMessage] = ()
    tripped: Sequence[GuardTripped] = ()
