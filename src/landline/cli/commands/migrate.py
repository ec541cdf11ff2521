"""`landline migrate`: the database's schema, by hand and before a server starts."""

import asyncio

import typer

from landline.cli import options as o
from landline.cli.loaded import settings_of
from landline.cli.output import show

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def migrate(data: o.Data = None, database_url: o.DatabaseUrl = None, as_json: o.AsJson = False) -> None:
    """Bring the database to this version's schema; a server does the same when it starts.

    A SQLite file is copied to <name>.bak-<revision> before it is changed. A newer database is refused.
    """
    from landline.app.upkeep import prepare_database

    settings = settings_of({"data": data, "database_url": database_url})
    before = settings.database_path.exists()
    asyncio.run(prepare_database(settings))
    result = {"database": str(settings.database_path), "created": not before}
    show(
        result,
        as_json,
        lambda r: f"{r['database']} {'is at' if before else 'was made with'} this version's schema",
    )
