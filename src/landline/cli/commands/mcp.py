"""`landline mcp`: which tools of MCP servers agents may use. Works on the data folder, beside a running server too."""

import asyncio
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.loaded import settings_of
from landline.cli.output import say, show, table

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List the tools of MCP servers and approve changed ones.",
)


@app.command("list")
def list_tools(as_json: o.AsJson = False, data: o.Data = None) -> None:
    """List every tool that was seen: approved, changed since it was approved, or new."""
    from landline.app.mcp import mcp_tools

    def rows(found: list[dict[str, Any]]) -> str:
        cells = [(tool["server"], tool["tool"], tool["state"], _about(tool)) for tool in found]
        return table(cells, ("SERVER", "TOOL", "STATE", "ABOUT"))

    show([_row(tool) for tool in asyncio.run(mcp_tools(settings_of({"data": data})))], as_json, rows)


@app.command("approve")
def approve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The server's name, as `list` shows it.")],
    tool: Annotated[
        str | None, typer.Argument(metavar="[TOOL]", help="One tool (default: all of the server's).")
    ] = None,
    as_json: o.AsJson = False,
    data: o.Data = None,
) -> None:
    """Approve what a server says now of its changed and new tools; a running server takes it with its next run."""
    from landline.app.mcp import approve_mcp

    done = [_row(pinned) for pinned in asyncio.run(approve_mcp(settings_of({"data": data}), name, tool))]

    def rows(found: list[dict[str, Any]]) -> str:
        return table([(item["tool"], f"was {item['state']}", _about(item)) for item in found])

    if not done:
        say("nothing to approve")
    show(done, as_json, rows)


def _row(tool: Any) -> dict[str, Any]:
    return {name: getattr(tool, name) for name in ("server", "tool", "state", "changed", "description")}


def _about(tool: dict[str, Any]) -> str:
    words = " ".join((tool["description"] or "").split())
    return f"changed {tool['changed']}; now: {words}" if tool["changed"] else words
