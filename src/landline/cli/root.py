"""The commands by name and sentence. A command's module is imported when it is run or asked for its own help."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from landline import __version__

COMMANDS = {
    "demo": "Serve the built-in demo agents; needs no key and no network.",
    "dev": "Serve agents, reload on changes, open the browser.",
    "serve": "Serve agents over HTTP.",
    "run": "Run one turn of an agent here, without a server.",
    "chat": "Talk to an agent in the terminal.",
    "agents": "List the agents of a running server.",
    "threads": "List, show and delete threads on a running server.",
    "runs": "List, show, follow and cancel runs on a running server.",
    "keys": "Create, rotate, list and revoke API keys.",
    "users": "Add, list and change users.",
    "usage": "Sum up what runs used: tokens, money, calls, seconds.",
    "audit": "List, export and prune the audit log.",
    "mcp": "List the tools of MCP servers and approve changed ones.",
    "config": "Show the settings with their sources, or their schema.",
    "doctor": "Check this installation, its data and its logs.",
    "migrate": "Bring the database to this version's schema.",
    "openapi": "Print the OpenAPI document.",
    "version": "Print the version of Landline and of what it runs on.",
}
"""Every command, in the order of the help."""


class LazyCommands(TyperGroup):
    """A group that knows its commands' names and sentences, and imports one when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = {
            name: TyperCommand(name, help=sentence, rich_markup_mode=None)
            for name, sentence in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command after putting the real one in the place of its sentence."""
        name = args[0]
        if name in COMMANDS:
            module = import_module(f"landline.cli.commands.{name}")
            self.commands[name] = typer.main.get_command(module.app)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyCommands,
    rich_markup_mode=None,  # plain help: importing Rich would double the time of --help
    pretty_exceptions_show_locals=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"landline {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """The line between any agent and any client: durable runs, resumable streams, every protocol.

    Start with `landline demo`, then `landline dev your_agents.py`. Settings come from options, LANDLINE_* variables,
    .env, landline.toml and pyproject.toml, in this order: see `landline config show`.
    """
