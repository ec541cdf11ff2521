"""`landline keys`: who may call a server that others can reach. Works on the data folder; no server is needed."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, show_json, table
from landline.cli.spans import span, span_or_date
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.app.settings import Settings
    from landline.app.upkeep import KeyOrder
    from landline.model.people import KeyInfo

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Create, rotate, list and revoke API keys.",
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="Its id.")]
Expires = Annotated[str | None, typer.Option("--expires", help="30d, 12h, 2w, or a date (default: never).")]


@app.command("create")
def create(  # noqa: PLR0913 - one argument is one option
    user: Annotated[
        str, typer.Option("--user", help="Whose key it is; threads and runs belong to this user.")
    ],
    tenant: Annotated[str, typer.Option("--tenant", help="The user's tenant.")] = "local",
    scopes: Annotated[
        str | None, typer.Option("--scopes", help="a,b,… (default: all that a user has; see docs/keys.md).")
    ] = None,
    agents: Annotated[
        str | None, typer.Option("--agents", help="The agents it may use: a,b,… (default: all).")
    ] = None,
    tier: Annotated[str, typer.Option("--tier", help="What its limits go by.")] = "free",
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="A limit of its own; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is for, as the list shows it.")] = None,
    expires: Expires = None,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Create a key and print it, once: only its hash is kept."""
    from landline.app.upkeep import KeyOrder

    order = KeyOrder(
        user=user,
        tenant=tenant,
        scopes=_words(scopes),
        agents=_words(agents),
        tier=tier,
        limits=_limits(limit) if limit else None,
        name=name,
        expires_in=span_or_date(expires, "--expires") if expires else None,
    )
    _tell(*asyncio.run(_make(settings_of({"data": data}), order)), as_json=as_json)


@app.command("rotate")
def rotate(
    key: Key,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old key still holds.")] = "1h",
    expires: Annotated[
        str | None,
        typer.Option("--expires", help="As for create (default: a life as long as the old key's)."),
    ] = None,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Create a key with the rights of an old one, which ends after the overlap."""
    from landline.app.upkeep import accounts

    lasting = span_or_date(expires, "--expires") if expires else None
    both = span(overlap, "--overlap")

    async def rotated() -> "tuple[str, KeyInfo, KeyInfo]":
        async with accounts(settings_of({"data": data})) as (desk, owner):
            secret, made = await desk.rotate_key(owner, key, overlap=both, expires_in=lasting)
            return secret, made, await desk.get_key(owner, key)

    secret, made, old = asyncio.run(rotated())
    if not as_json:
        say(f"key {old.id} holds until {old.expires_at}; its successor:")
    _tell(secret, made, as_json=as_json)


@app.command("list")
def list_keys(as_json: o.AsJson = False, data: o.Data = None) -> None:
    """List the keys, revoked ones too."""
    from msgspec.structs import asdict

    from landline.app.upkeep import keys

    found = asyncio.run(keys(settings_of({"data": data})))
    if as_json:
        show_json([asdict(key) for key in found])
        return
    show(found, False, _table)


@app.command("show")
def show_key(key: Key, as_json: o.AsJson = False, data: o.Data = None) -> None:
    """Show all that is kept of a key, its hash apart."""
    from msgspec.structs import asdict

    from landline.app.upkeep import accounts

    async def found() -> "KeyInfo":
        async with accounts(settings_of({"data": data})) as (desk, owner):
            return await desk.get_key(owner, key)

    shown = asdict(asyncio.run(found()))
    show(shown, as_json, lambda fields: table([(name, _plain(value)) for name, value in fields.items()]))


@app.command("revoke")
def revoke(key: Key, data: o.Data = None) -> None:
    """Make a key worthless from now on; what it has open is closed within 5 seconds."""
    from landline.app.upkeep import accounts

    async def revoked() -> None:
        async with accounts(settings_of({"data": data})) as (desk, owner):
            await desk.revoke_key(owner, key)

    asyncio.run(revoked())
    say(f"revoked {key}")


async def _make(settings: "Settings", order: "KeyOrder") -> "tuple[str, KeyInfo]":
    from landline.app.upkeep import accounts

    async with accounts(settings) as (desk, owner):
        return await desk.make_key(owner, order)


def _tell(secret: str, row: "KeyInfo", *, as_json: bool) -> None:
    if as_json:
        from msgspec.structs import asdict

        show_json({"key": secret, **asdict(row)})
        return
    say(f"key {row.id} for {row.user} in {row.tenant}: {', '.join(row.scopes)}")
    if row.agents is not None:
        say(f"for the agents {', '.join(row.agents) or 'none'}")
    say(f"expires {row.expires_at or 'never'}; it is shown this once, send it as X-API-Key:")
    print(secret)


def _table(found: "Sequence[KeyInfo]") -> str:
    cells = [
        (k.id, k.prefix, k.tenant, k.user, k.name, k.tier, _state(k), k.last_used_at and k.last_used_at[:16],
         "*" if k.agents is None else _plain(k.agents), _plain(k.scopes))
        for k in found
    ]  # fmt: skip
    head = ("ID", "PREFIX", "TENANT", "USER", "NAME", "TIER", "STATE", "LAST USED", "AGENTS", "SCOPES")
    return table(cells, head)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return ",".join(f"{name}={limit}" for name, limit in cast("dict[str, str]", value).items())
    return ",".join(cast("list[str]", value)) if isinstance(value, (list, tuple)) else value


def _state(key: "KeyInfo") -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at[:10]}"
    return f"until {key.expires_at[:16]}" if key.expires_at else "valid"


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _limits(given: Sequence[str]) -> dict[str, str]:
    """Return `NAME=VALUE` as a table. Raises Stop."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise Stop(
                f"{text!r} is no limit",
                where="option --limit",
                how="write NAME=VALUE, such as runs=10/minute",
                code="bad_limit",
                exit_code=Exit.USAGE,
            )
        found[name.strip()] = value.strip()
    return found
