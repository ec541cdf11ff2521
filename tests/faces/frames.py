"""Reading SSE as a client does."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Frame:
    id: int | None
    event: str
    data: dict[str, Any]


def read_frames(text: str) -> list[Frame]:
    """Return the frames of a stream; comments and a retry hint alone are none."""
    found: list[Frame] = []
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        if "data" in fields:
            found.append(
                Frame(
                    id=int(fields["id"]) if "id" in fields else None,
                    event=fields["event"],
                    data=json.loads(fields["data"]),
                )
            )
    return found
