"""`landline audit`: who did what. Works on the data folder, beside a running server too."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, table
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.app.audit_files import Wanted

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, export and prune the audit log.",
)

Action = Annotated[str | None, typer.Option("--action", help="Only this one, such as key.revoke.")]
User = Annotated[str | None, typer.Option("--user", help="Only what this user did.")]
Target = Annotated[str | None, typer.Option("--target", help="Only what was done to this id.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant (default: all).")]
From = Annotated[str | None, typer.Option("--from", help="From this moment on: 2026-11-01, or with a time.")]
To = Annotated[str | None, typer.Option("--to", help="Before this moment.")]


def _chosen(
    action: Action = None,
    user: User = None,
    target: Target = None,
    tenant: Tenant = None,
    since: From = None,
    until: To = None,
) -> "Wanted":
    from landline.app.audit_files import Wanted

    return Wanted(
        action=action,
        user=user,
        target=target,
        tenant=tenant,
        after=_moment(since, "--from"),
        before=_moment(until, "--to"),
    )


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, which takes `wanted`, the options that say which entries."""
    options = signature(_chosen).parameters
    own = [option for option in signature(command).parameters.values() if option.name != "wanted"]

    @wraps(command)
    def chosen(**given: Any) -> None:
        command(_chosen(**{name: given.pop(name) for name in options}), **given)

    chosen.__signature__ = Signature([*options.values(), *own])  # pyright: ignore[reportAttributeAccessIssue] - what typer reads
    chosen.__annotations__ = {option.name: option.annotation for option in [*options.values(), *own]}
    return chosen


@app.command("list")
@_choosing
def list_entries(
    wanted: "Wanted", limit: o.Limit = 50, as_json: o.AsJson = False, data: o.Data = None
) -> None:
    """List the newest entries."""
    from landline.app.audit_files import newest

    def rows(found: list[dict[str, Any]]) -> str:
        cells = [
            (e["at"], e["tenant"], e["user"], e["action"], e["target"], e["outcome"], e["remote"])
            for e in found
        ]
        return table(cells, ("AT", "TENANT", "USER", "ACTION", "TARGET", "OUTCOME", "FROM"))

    show(asyncio.run(newest(settings_of({"data": data}), wanted, limit)), as_json, rows)


@app.command("export")
@_choosing
def export(
    wanted: "Wanted",
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    output: Annotated[Path | None, typer.Option("--output", help="A new file (default: stdout).")] = None,
    data: o.Data = None,
) -> None:
    """Write every entry, oldest first."""
    from landline.app.audit_files import exported

    count = asyncio.run(exported(settings_of({"data": data}), wanted, form, output))
    say(f"{count} entries")


@app.command("prune")
def prune(
    before: Annotated[str, typer.Option("--before", help="Remove what is older than this moment.")],
    data: o.Data = None,
) -> None:
    """Remove old entries; that this was done, and how many they were, is an entry that stays."""
    from landline.app.audit_files import pruned

    moment = _moment(before, "--before")
    assert moment is not None
    count = asyncio.run(pruned(settings_of({"data": data}), moment))
    say(f"{count} entries from before {moment} removed")


def _moment(text: str | None, option: str) -> str | None:
    """Return a moment as the log writes it.

    Raises:
        Stop: It is none.
    """
    if text is None:
        return None
    from landline.model.times import iso

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(
            f"{text!r} is no moment",
            where=f"option {option}",
            how="give a date such as 2026-11-01, or 2026-11-01T08:00:00Z",
            code="bad_moment",
            exit_code=Exit.USAGE,
        ) from None
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
