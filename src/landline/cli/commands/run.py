"""`landline run`: one turn of an agent in this process, its answer on stdout, for scripts and pipes."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import load, only_agent, settings_of
from landline.cli.output import printable, say, show_json
from landline.cli.stops import Stop
from landline.cli.talk import Shown, exit_code_of, show_events, show_text

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def run(  # noqa: PLR0913 - one argument is one option
    target: Annotated[str, typer.Argument(help="path.py, path.py:attr, module, module:attr, or `demo`.")],
    text: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="What to say; - or nothing reads stdin.")
    ] = None,
    agent: o.Agent = None,
    thread: o.Thread = None,
    data: o.Data = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run as JSON; with --stream, each event.")
    ] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it comes.")] = False,
) -> None:
    """Run one turn of an agent here, without a server.

    The thread and the run are kept in the data folder. Exit codes: 0 completed, 1 failed, 7 waits for an answer.
    """
    if text in (None, "-"):
        text = sys.stdin.read().strip()
    if not text:
        raise Stop(
            "there is nothing to say", how='give it as an argument or on stdin: landline run agents.py "Hello"',
            code="no_input", exit_code=Exit.USAGE,
        )  # fmt: skip
    settings = settings_of({"data": data})
    loaded = load([target], settings)
    name = only_agent([item.name for item in loaded if item.spec], agent)

    async def turn() -> Exit:
        from landline.app.inprocess import in_process

        async with in_process(settings, loaded) as peer:
            started = await peer.start(name, text, thread)
            events = peer.events(started["id"])
            if stream:
                shown = await (show_events(events) if as_json else show_text(events))
                return exit_code_of(shown)
            shown = Shown()
            async for event in events:
                shown.last = event["type"]
            return _result(await peer.get(started["id"]), shown, as_json)

    raise typer.Exit(asyncio.run(turn()))


def _result(run: dict[str, Any], shown: Shown, as_json: bool) -> Exit:
    """Print the finished run and return its exit code."""
    if as_json:
        show_json(run)
    elif run["status"] == "completed":
        output = run["output"]
        if isinstance(output, str):
            print(printable(output))
        else:
            show_json(output)
    elif run["status"] == "waiting":
        for question in run["questions"]:
            say(f"waiting: {question['prompt']}")
        say(f"  fix:   answer it: landline chat TARGET --thread {run['thread_id']}")
    elif run.get("error"):
        say(f"error: {run['error']['message']}\n  code:  {run['error']['code']}")
    return exit_code_of(shown)
