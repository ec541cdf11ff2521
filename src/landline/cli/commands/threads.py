"""`landline threads`: what was said, on a running server."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.output import printable, say, show, table
from landline.cli.servers import ask

if TYPE_CHECKING:
    from landline.cli.remote import Remote

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List, show and delete threads on a running server."
)

ThreadId = Annotated[str, typer.Argument(metavar="THREAD")]


@app.command("list")
def list_threads(
    agent: o.Agent = None,
    q: Annotated[str | None, typer.Option("--search", help="Only threads with these words.")] = None,
    limit: o.Limit = 20,
    as_json: o.AsJson = False,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """List threads, newest change first."""
    found = ask(url, api_key, lambda server: server.pages("/threads", {"agent": agent, "q": q}, limit))

    def rows(items: list[dict[str, Any]]) -> str:
        head = ("ID", "AGENT", "MESSAGES", "UPDATED", "TITLE")
        return table(
            [(t["id"], t["agent"], t["message_count"], t["updated_at"], t["title"]) for t in items], head
        )

    show(found, as_json, rows)


@app.command("show")
def show_thread(
    thread: ThreadId,
    limit: o.Limit = 200,
    as_json: o.AsJson = False,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """Show a thread's messages, oldest first."""

    async def fetch(server: "Remote") -> dict[str, Any]:
        found = await server.call("GET", f"/threads/{thread}", params={"messages": 0})
        return {**found, "messages": await server.pages(f"/threads/{thread}/messages", {}, limit)}

    def text(found: dict[str, Any]) -> str:
        said = [f"{m['role']}  {m['created_at']}\n{printable(m['content'])}\n" for m in found["messages"]]
        return "\n".join([f"{found['title'] or found['id']}  ({found['agent']})\n", *said]).rstrip()

    show(ask(url, api_key, fetch), as_json, text)


@app.command("delete")
def delete_thread(
    thread: ThreadId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """Delete a thread and everything under it."""
    if not yes:
        typer.confirm(f"Delete thread {thread} with all its messages and runs?", abort=True, err=True)
    ask(url, api_key, lambda server: server.call("DELETE", f"/threads/{thread}"))
    say(f"deleted {thread}")
