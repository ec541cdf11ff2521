"""Who judges AG-UI streams here: our strict checker, the protocol's own types, and a validator of other people's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ag_ui.core import Event
from ag_ui_validate import create_validator
from pydantic import BaseModel, TypeAdapter

from landline.testing.faces.ag_ui import AgUiFrame, AgUiRun, check_ag_ui, read_ag_ui

_official: TypeAdapter[Any] = TypeAdapter(Event)


def official(event: dict[str, Any]) -> Any:
    """Return an event as the protocol's own package reads it; it knows every member, and writes it as it was."""
    read = _official.validate_python(event)
    assert not _strange(read), (_strange(read), event)
    assert read.model_dump(mode="json", by_alias=True) == event
    return read


def _strange(read: BaseModel) -> set[str]:
    return set(read.model_extra or {})


def judged(
    body: str, *, content_type: str = "text/event-stream; charset=utf-8", known_calls: Collection[str] = ()
) -> AgUiRun:
    """Return what a whole stream says, after all three have judged it."""
    frames = read_ag_ui(body)
    return judged_frames(frames, content_type=content_type, known_calls=known_calls)


def judged_frames(
    frames: Sequence[AgUiFrame],
    *,
    content_type: str = "text/event-stream; charset=utf-8",
    known_calls: Collection[str] = (),
) -> AgUiRun:
    """As `judged`, for frames."""
    run = check_ag_ui(frames, content_type=content_type, known_calls=known_calls)
    validator = create_validator()
    for frame in frames:
        official(frame.event)
        validator.feed(frame.event)
    validator.finalize()
    report = validator.report()
    assert not report.internal_errors
    # The validator sees one run; results of calls that an earlier run told are right all the same.
    wrong = [
        f"{found.rule} {found.message}"
        for found in report.diagnostics
        if found.severity == "error" and not (found.rule == "AGUI207" and known_calls)
    ]
    assert not wrong, wrong
    return run
