"""`landline agents`: the agents of a running server."""

from typing import Any

import typer

from landline.cli import options as o
from landline.cli.output import show, table
from landline.cli.servers import ask

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List the agents of a running server.",
)


@app.command("list")
def list_agents(as_json: o.AsJson = False, url: o.Url = None, api_key: o.ApiKey = None) -> None:
    """List the agents, broken ones with their error."""

    def rows(found: list[dict[str, Any]]) -> str:
        return table([(a["name"], a["framework"], _state(a)) for a in found], ("NAME", "FRAMEWORK", "ABOUT"))

    show(ask(url, api_key, lambda server: server.agents()), as_json, rows)


@app.callback()
def group() -> None:
    """List the agents of a running server."""


def _state(agent: dict[str, Any]) -> str:
    if error := agent.get("error"):
        return f"cannot run: {error['message']}" + (f" ({error['where']})" if error.get("where") else "")
    labels = ", ".join(f"{key}: {value}" for key, value in agent.get("labels", {}).items())
    return " ".join(
        part for part in (agent.get("description") or agent["title"], f"[{labels}]" if labels else "") if part
    )
