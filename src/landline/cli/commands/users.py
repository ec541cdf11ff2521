"""`landline users`: people with roles and passwords. Works on the data folder; no server is needed."""

import asyncio
import getpass
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, show_json, table
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.app.settings import Settings
    from landline.app.upkeep import UserChange
    from landline.model.people import UserInfo

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Add, list and change users.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
Tenant = Annotated[str, typer.Option("--tenant", help="The user's tenant.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]


@app.command("add")
def add(  # noqa: PLR0913 - one argument is one option
    name: Name,
    tenant: Tenant = "local",
    roles: Annotated[str, typer.Option("--roles", help="a,b,…: user, premium, admin, or your own.")] = "user",
    email: Annotated[str | None, typer.Option("--email", help="Where to reach them.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password (default: they have none).")
    ] = False,
    password_stdin: PasswordStdin = False,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Add a user. Keys are made with `landline keys create --user NAME`."""
    from landline.app.upkeep import UserOrder, accounts

    secret = _password(stdin=password_stdin) if password or password_stdin else None
    order = UserOrder(name=name, tenant=tenant, roles=_words(roles), email=email, password=secret)

    async def added() -> "UserInfo":
        async with accounts(settings_of({"data": data})) as (desk, owner):
            return await desk.add_user(owner, order)

    _tell(asyncio.run(added()), "added", as_json=as_json)


@app.command("list")
def list_users(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of one tenant only.")] = None,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """List the users, disabled ones too."""
    from msgspec.structs import asdict

    from landline.app.upkeep import users

    found = asyncio.run(users(settings_of({"data": data}), tenant))
    if as_json:
        show_json([asdict(user) for user in found])
        return
    show(found, False, _table)


@app.command("show")
def show_user(name: Name, tenant: Tenant = "local", as_json: o.AsJson = False, data: o.Data = None) -> None:
    """Show a user."""
    from landline.app.upkeep import user_named

    found = asyncio.run(user_named(settings_of({"data": data}), tenant, name))
    if as_json:
        _tell(found, "", as_json=True)
        return
    print(_table([found]))


@app.command("set-roles")
def set_roles(
    name: Name,
    roles: Annotated[str, typer.Argument(metavar="ROLES", help="a,b,…: all that they have from now on.")],
    tenant: Tenant = "local",
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Give a user these roles and no others; its keys may do no more from then on."""
    from landline.app.upkeep import UserChange

    change = UserChange(roles=_words(roles))
    _tell(_changed(settings_of({"data": data}), tenant, name, change), "changed", as_json=as_json)


@app.command("disable")
def disable(name: Name, tenant: Tenant = "local", as_json: o.AsJson = False, data: o.Data = None) -> None:
    """Keep a user out: its keys and tokens stop within 5 seconds, what they have open is closed."""
    from landline.app.upkeep import UserChange

    found = _changed(settings_of({"data": data}), tenant, name, UserChange(enabled=False))
    _tell(found, "disabled", as_json=as_json)


@app.command("enable")
def enable(name: Name, tenant: Tenant = "local", as_json: o.AsJson = False, data: o.Data = None) -> None:
    """Let a user in again, and take a lock after wrong passwords away."""
    from landline.app.upkeep import UserChange

    found = _changed(settings_of({"data": data}), tenant, name, UserChange(enabled=True))
    _tell(found, "enabled", as_json=as_json)


@app.command("set-password")
def set_password(
    name: Name,
    tenant: Tenant = "local",
    password_stdin: PasswordStdin = False,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Set a user's password; it is asked for, or read from standard input."""
    from landline.app.upkeep import UserChange

    settings = settings_of({"data": data})
    change = UserChange(password=_password(stdin=password_stdin))
    _tell(_changed(settings, tenant, name, change), "changed the password of", as_json=as_json)


def _changed(settings: "Settings", tenant: str, name: str, change: "UserChange") -> "UserInfo":
    from landline.app.upkeep import accounts, user_named

    async def changed() -> "UserInfo":
        found = await user_named(settings, tenant, name)
        async with accounts(settings) as (desk, owner):
            return await desk.change_user(owner, found.id, change)

    return asyncio.run(changed())


def _password(*, stdin: bool) -> str:
    """Return a password that was typed twice, or one line of standard input. Raises Stop."""
    if stdin:
        typed = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        typed = getpass.getpass("Password: ", stream=sys.stderr)
        if typed != getpass.getpass("Once more: ", stream=sys.stderr):
            raise _no_password("the two passwords differ", "type it again")
    else:
        raise _no_password("there is no terminal to ask for a password on", "give it with --password-stdin")
    if not typed:
        raise _no_password("the password is empty", "give one of at least one character")
    return typed


def _no_password(what: str, how: str) -> Stop:
    return Stop(what, how=how, code="no_password", exit_code=Exit.USAGE)


def _tell(user: "UserInfo", done: str, *, as_json: bool) -> None:
    from msgspec.structs import asdict

    if as_json:
        show_json(asdict(user))
        return
    say(f"{done} {user.name} in {user.tenant}: {', '.join(user.roles) or 'no roles'}")


def _table(found: "Sequence[UserInfo]") -> str:
    cells = [
        (u.id, u.tenant, u.name, u.email, _state(u), "yes" if u.has_password else "no", ",".join(u.roles))
        for u in found
    ]
    return table(cells, ("ID", "TENANT", "NAME", "EMAIL", "STATE", "PASSWORD", "ROLES"))


def _state(user: "UserInfo") -> str:
    if user.disabled_at:
        return f"disabled {user.disabled_at[:10]}"
    return f"locked until {user.locked_until[:16]}" if user.locked_until else "active"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
