"""`landline usage`: what runs used. Reads the data folder, beside a running server too."""

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, table
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.model.usage import UsageRow

app = typer.Typer(rich_markup_mode=None, add_completion=False)

GROUPS: Final = ("day", "agent", "user", "key", "model")
SUMS: Final = ("runs", "model_calls", "tool_calls", "input_tokens", "output_tokens", "cost_usd", "unpriced_calls", "seconds")  # fmt: skip


@app.command()
def usage(  # noqa: PLR0913 - one argument is one option
    by: Annotated[
        str, typer.Option("--by", help="What a row is for: day, agent, user, key and model, with commas.")
    ] = "day",
    since: Annotated[str | None, typer.Option("--from", help="From this day on: 2026-11-01, UTC.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day, itself included.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant (default: all).")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only this user.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only this API key's id.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model.")] = None,
    limit: o.Limit = 100,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Sum up what runs used: tokens, money, calls, seconds."""
    from landline.app.usage_sums import summed

    groups = _groups(by)
    work = summed(
        settings_of({"data": data}),
        cast("Any", groups),
        limit,
        first=_day(since, "--from"),
        last=_day(until, "--to"),
        tenant=tenant,
        user=user,
        key=key,
        agent=agent,
        model=model,
    )
    found, more = asyncio.run(work)
    rows = [_told(row, groups) for row in found]
    shown = (*groups, *SUMS)

    def lines(rows: list[dict[str, Any]]) -> str:
        return table([[_cell(row[name]) for name in shown] for row in rows], [_head(name) for name in shown])

    show(rows, as_json, lines)
    if more:
        say(f"there are more than {limit}; ask for them with --limit")


def _told(row: "UsageRow", groups: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*groups, *SUMS)}


def _head(name: str) -> str:
    return name.replace("_", " ").upper()


def _cell(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def _groups(text: str) -> tuple[str, ...]:
    """Return the groups.

    Raises:
        Stop: One is unknown, or named twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if set(names) <= set(GROUPS) and len(set(names)) == len(names):
        return names
    raise Stop(
        f"{text!r} is no list of groups",
        where="option --by",
        how=f"name any of {', '.join(GROUPS)}, each once, with commas",
        code="bad_group",
        exit_code=Exit.USAGE,
    )


def _day(text: str | None, option: str) -> str | None:
    """Return a day as usage is kept by it.

    Raises:
        Stop: It is none.
    """
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise Stop(
            f"{text!r} is no day",
            where=f"option {option}",
            how="give a day such as 2026-11-01",
            code="bad_day",
            exit_code=Exit.USAGE,
        ) from None
