"""What a server says of a tool: the part that a model reads and that an owner approves."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, cast

import msgspec

from landline.model.ids import fingerprint

__all__ = ["Definition", "difference"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A tool's definition; `parameters` is its JSON schema."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The same for the same definition, however its JSON is ordered."""
        return fingerprint(self._json())

    @property
    def size(self) -> float:
        """Its length in bytes; infinite for one that cannot be written as JSON."""
        try:
            return len(self._json())
        except (ValueError, TypeError, OverflowError, RecursionError):
            return inf

    def _json(self) -> bytes:
        return msgspec.json.encode([self.name, self.description, self.parameters], order="deterministic")


def difference(before: Definition, after: Definition) -> str:
    """Say what changed, without repeating what the server wrote beyond the names of parameters."""
    said: list[str] = []
    if before.description != after.description:
        said.append("its description")
    if before.parameters != after.parameters:
        old, new = _parameters(before), _parameters(after)
        names = [f"+{name}" for name in sorted(new.keys() - old.keys())]
        names += [f"-{name}" for name in sorted(old.keys() - new.keys())]
        names += [f"~{name}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
        shown = ", ".join(name[:40] for name in names[:10])
        said.append(f"its parameters ({shown})" if shown else "its input schema")
    return " and ".join(said)


def _parameters(definition: Definition) -> dict[str, Any]:
    properties = definition.parameters.get("properties")
    return cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
