"""`landline config`: what the settings are, where each value comes from, and what may be set."""

from typing import Any

import typer

from landline.cli import options as o
from landline.cli.loaded import settings_of
from landline.cli.output import show, show_json, table
from landline.model.redaction import redacted_data

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Show the settings with their sources, or their schema."
)


@app.command("show")
def show_settings(as_json: o.AsJson = False) -> None:
    """Show every setting, its value and where it comes from; secrets are masked."""
    settings = settings_of({})
    values, sources = settings.shown(), settings.sources()

    def rows(found: dict[str, Any]) -> str:
        return table(
            [(n, _text(i["value"]), i["source"]) for n, i in found.items()], ("SETTING", "VALUE", "FROM")
        )

    shown = {name: {"value": redacted_data(values[name]), "source": sources[name]} for name in values}
    show(shown, as_json, rows)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of landline.toml, of [tool.landline], and, as LANDLINE_<NAME>, of the variables."""
    from landline.app.settings import Settings

    show_json(Settings.model_json_schema())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"  # pyright: ignore[reportUnknownArgumentType] - plain JSON data
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
