"""`landline dev`: serve while writing agents: reload on changes, the browser opened once."""

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from landline.cli import options as o
from landline.cli.loaded import address_of, settings_of
from landline.cli.reload import as_arguments, serve_with_reload

app = typer.Typer(rich_markup_mode=None, add_completion=False)

READY_S = 30.0


@app.command()
def dev(  # noqa: PLR0913 - one argument is one option
    targets: o.Targets = None,
    host: o.Host = None,
    port: o.Port = None,
    data: o.Data = None,
    grace: o.Grace = None,
    faces: o.Faces = None,
    log_level: o.LogLevel = None,
    browser: Annotated[bool, typer.Option(help="Open the browser when the server is ready.")] = True,
    reload: Annotated[bool, typer.Option(help="Start again when a file changes.")] = True,
) -> None:
    """Serve agents, reload on changes, open the browser."""
    options = {
        "host": host, "port": port, "data": data, "grace_s": grace, "faces": faces, "log_level": log_level,
    }  # fmt: skip
    settings = settings_of(options)
    if settings.sources()["grace_s"] == "default":
        options["grace_s"] = (
            0  # a run that a reload cuts goes on in the next process: nobody waits for it here
        )
    if browser and settings.port:
        threading.Thread(target=_open_when_ready, args=(address_of(settings),), daemon=True).start()
    if reload:
        raise typer.Exit(
            serve_with_reload([*as_arguments(targets or (), options), "--no-reload"], Path.cwd())
        )
    from landline.cli.serving import serve_targets

    raise typer.Exit(serve_targets(targets or (), options))


def _open_when_ready(address: str) -> None:
    """Open the page once the server says it can accept and store."""
    import time

    import httpx

    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/readyz", timeout=2).is_success:
                webbrowser.open(f"{address}/simple")
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
