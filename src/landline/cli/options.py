"""Options that several commands share. A default of None leaves the setting to its other sources (CLI-3)."""

from pathlib import Path
from typing import Annotated

import typer

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET...", help="path.py, path.py:attr, module or module:attr; `demo` for the demo agents."
    ),
]
Host = Annotated[str | None, typer.Option("--host", help="Address to bind (default 127.0.0.1).")]
Port = Annotated[
    int | None, typer.Option("--port", "-p", help="Port to bind (default 8000; 0 takes a free one).")
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the database and files (default .landline).")
]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="sqlite:///path instead of the data folder's.")
]
Workers = Annotated[int | None, typer.Option("--workers", help="Processes; more than 1 needs PostgreSQL.")]
Grace = Annotated[
    float | None, typer.Option("--grace", help="Seconds that running runs get on SIGTERM (default 20).")
]
Faces = Annotated[
    str | None,
    typer.Option(
        "--faces", help="Client protocols to switch on: names with commas, or all (default native)."
    ),
]
LogLevel = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]
Open = Annotated[
    bool | None,
    typer.Option(
        "--open/--no-open", help="Whether callers without a key are the local user (default: on loopback)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None, typer.Option("--url", help="The running server (default: host and port of the settings).")
]
ApiKey = Annotated[str | None, typer.Option("--api-key", help="Its API key; better in LANDLINE_API_KEY.")]
Agent = Annotated[str | None, typer.Option("--agent", "-a", help="The agent's name.")]
Thread = Annotated[str | None, typer.Option("--thread", help="A thread's id.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
