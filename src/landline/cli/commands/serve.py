"""`landline serve`: agents over HTTP until a signal stops it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.loaded import settings_of
from landline.cli.reload import as_arguments, serve_with_reload
from landline.cli.serving import serve_targets

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def serve(  # noqa: PLR0913 - one argument is one option
    targets: o.Targets = None,
    host: o.Host = None,
    port: o.Port = None,
    data: o.Data = None,
    database_url: o.DatabaseUrl = None,
    workers: o.Workers = None,
    grace: o.Grace = None,
    open_: o.Open = None,
    faces: o.Faces = None,
    log_level: o.LogLevel = None,
    reload: Annotated[
        bool | None, typer.Option("--reload/--no-reload", help="Start again on changes.")
    ] = None,
) -> None:
    """Serve agents over HTTP.

    On loopback it is open to this machine. Bound elsewhere it needs an API key first: `landline keys create --user NAME`.
    Exit codes: 3 a setting is wrong, 4 no target could be loaded, 5 refused.
    """
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "data": data,
        "database_url": database_url,
        "workers": workers,
        "grace_s": grace,
        "open": open_,
        "faces": faces,
        "log_level": log_level,
    }
    settings = settings_of({**options, "reload": reload})
    if settings.reload:
        arguments = [*as_arguments(targets or (), options), "--no-reload"]
        raise typer.Exit(serve_with_reload(arguments, Path.cwd()))
    raise typer.Exit(serve_targets(targets or (), options, settings))
