"""`landline keys`: who may call a server that others can reach. Works on the data folder; no server is needed."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, show_json, table
from landline.cli.stops import Stop

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Create, list and revoke API keys.",
)

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command("create")
def create(  # noqa: PLR0913 - one argument is one option
    user: Annotated[
        str, typer.Option("--user", help="Whose key it is; threads and runs belong to this user.")
    ],
    tenant: Annotated[str, typer.Option("--tenant", help="The user's tenant.")] = "local",
    scopes: Annotated[str | None, typer.Option("--scopes", help="a,b,… (default: every scope).")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is for, as the list shows it.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="30d, 12h, 2w, or a date (default: never).")
    ] = None,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Create a key and print it, once: only its hash is kept."""
    from landline.app.upkeep import KeyOrder, add_key

    order = KeyOrder(
        user=user,
        tenant=tenant,
        scopes=[scope.strip() for scope in scopes.split(",") if scope.strip()]
        if scopes is not None
        else None,
        name=name,
        expires_in=_span(expires) if expires else None,
    )
    secret, row = asyncio.run(add_key(settings_of({"data": data}), order))
    if as_json:
        show_json({"key": secret, **row})
        return
    say(f"key {row['id']} for {row['user']} in {row['tenant']}: {', '.join(row['scopes'])}")
    say(f"expires {row['expires_at'] or 'never'}; it is shown this once, send it as X-API-Key:")
    print(secret)


@app.command("list")
def list_keys(as_json: o.AsJson = False, data: o.Data = None) -> None:
    """List the keys, revoked ones too."""
    from landline.app.upkeep import keys

    def rows(found: list[dict[str, Any]]) -> str:
        cells = [
            (k["id"], k["prefix"], k["tenant"], k["user"], k["name"], _state(k), _scopes(k)) for k in found
        ]
        return table(cells, ("ID", "PREFIX", "TENANT", "USER", "NAME", "STATE", "SCOPES"))

    show(asyncio.run(keys(settings_of({"data": data}))), as_json, rows)


@app.command("revoke")
def revoke(key: Annotated[str, typer.Argument(metavar="KEY", help="Its id.")], data: o.Data = None) -> None:
    """Make a key worthless from now on."""
    from landline.app.upkeep import revoke_key

    asyncio.run(revoke_key(settings_of({"data": data}), key))
    say(f"revoked {key}")


def _scopes(key: dict[str, Any]) -> str:
    return ",".join(key["scopes"])


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {key['revoked_at'][:10]}"
    return f"until {key['expires_at'][:16]}" if key["expires_at"] else "valid"


def _span(text: str) -> timedelta:
    """Return how long from now `30d` or a date is.

    Raises:
        Stop: It is neither, or lies in the past.
    """
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 - only says that it is no date
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    span = moment - datetime.now(UTC)
    if span <= timedelta():
        raise Stop(
            f"{text!r} is no time to come",
            where="option --expires",
            how="give a span such as 12h, 30d or 2w, or a date such as 2030-01-31",
            code="bad_expiry",
            exit_code=Exit.USAGE,
        )
    return span
