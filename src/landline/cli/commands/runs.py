"""`landline runs`: the runs of a running server; `follow` is a reader that comes back by itself."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.output import say, show, show_json, table
from landline.cli.servers import ask

if TYPE_CHECKING:
    from landline.cli.remote import Remote
from landline.cli.talk import exit_code_of, show_events, show_text

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List, show, follow and cancel runs on a running server.",
)

RunId = Annotated[str, typer.Argument(metavar="RUN")]


@app.command("list")
def list_runs(  # noqa: PLR0913 - one argument is one option
    thread: o.Thread = None,
    agent: o.Agent = None,
    status: Annotated[
        str | None, typer.Option(help="queued, running, waiting, completed, failed or cancelled.")
    ] = None,
    limit: o.Limit = 20,
    as_json: o.AsJson = False,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """List runs, newest first."""
    query = {"thread_id": thread, "agent": agent, "status": status}
    found = ask(url, api_key, lambda server: server.pages("/runs", query, limit))

    def rows(items: list[dict[str, Any]]) -> str:
        cells = [(r["id"], r["agent"], r["status"], r["created_at"], _error_code(r)) for r in items]
        return table(cells, ("ID", "AGENT", "STATUS", "CREATED", "ERROR"))

    show(found, as_json, rows)


@app.command("show")
def show_run(run: RunId, as_json: o.AsJson = False, url: o.Url = None, api_key: o.ApiKey = None) -> None:
    """Show a run with its open questions."""

    def text(found: dict[str, Any]) -> str:
        facts = (
            "id",
            "thread_id",
            "agent",
            "status",
            "model",
            "attempt",
            "created_at",
            "started_at",
            "ended_at",
        )
        rows = [(name, found.get(name)) for name in facts]
        rows += [("tokens", found["usage"].get("total_tokens", 0))] if found.get("usage") else []
        rows += (
            [("error", f"{found['error']['code']}: {found['error']['message']}")]
            if found.get("error")
            else []
        )
        rows += [("question", q["prompt"]) for q in found.get("questions", [])]
        return table([*rows, ("output", found.get("output"))])

    show(ask(url, api_key, lambda server: server.get(run)), as_json, text)


@app.command("follow")
def follow_run(
    run: RunId,
    after: Annotated[int, typer.Option(min=0, help="The last seq that was seen; 0 for all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """Follow a run to its end, taking a cut line up again where it was.

    Exit codes: 0 completed, 1 failed or cancelled, 7 waits for an answer.
    """

    async def follow(server: "Remote") -> int:
        events = server.events(run, after)
        shown = await (show_events(events) if as_json else show_text(events, after=after))
        if shown.last:
            return exit_code_of(shown)
        status = (await server.get(run))["status"]
        shown.last = f"run.{status}"
        return exit_code_of(shown)

    raise typer.Exit(ask(url, api_key, follow))


@app.command("cancel")
def cancel_run(run: RunId, as_json: o.AsJson = False, url: o.Url = None, api_key: o.ApiKey = None) -> None:
    """Stop a run; its partial answer is kept."""
    found = ask(url, api_key, lambda server: server.call("POST", f"/runs/{run}/cancel"))
    if as_json:
        show_json(found)
    else:
        say(f"{found['id']} is {found['status']}")


def _error_code(run: dict[str, Any]) -> str | None:
    return run["error"]["code"] if run.get("error") else None
