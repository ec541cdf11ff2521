"""`landline version`: of Landline, of Python, and of the libraries that decide how it behaves."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from landline import __version__
from landline.cli.options import AsJson
from landline.cli.output import show, table

app = typer.Typer(rich_markup_mode=None, add_completion=False)

LIBRARIES = ("fastapi", "starlette", "uvicorn", "pydantic", "sqlalchemy", "pydantic-ai-slim")


def versions() -> dict[str, str]:
    """Return the version of each part; a part that is not installed is left out."""
    found = {"landline": __version__, "python": platform.python_version(), "sqlite": _sqlite()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version


@app.command()
def show_version(as_json: AsJson = False) -> None:
    """Print the version of Landline and of what it runs on."""
    show(versions(), as_json, lambda found: table(list(found.items())))
