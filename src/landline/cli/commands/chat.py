"""`landline chat`: a plain talk in the terminal, with an agent here or on a running server."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.loaded import load, only_agent, settings_of
from landline.cli.output import say
from landline.cli.prompts import Typed
from landline.cli.stops import Stop, explain, warn
from landline.cli.talk import Peer, Shown, show_text

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def chat(
    target: Annotated[
        str | None,
        typer.Argument(help="An agent to run here, or `demo`; without it a running server is asked."),
    ] = None,
    agent: o.Agent = None,
    thread: o.Thread = None,
    data: o.Data = None,
    url: o.Url = None,
    api_key: o.ApiKey = None,
) -> None:
    """Talk to an agent in the terminal.

    Ctrl-C stops the answer that is being written; at the prompt it ends the talk, as Ctrl-D does. Questions of the agent
    are asked here, also those a thread given by --thread left open.
    """
    if target and url:
        raise Stop(
            "a target runs here, a URL is a server: one of the two", how="leave out TARGET or --url",
            code="target_and_url", exit_code=Exit.USAGE,
        )  # fmt: skip
    settings = settings_of({"data": data, "url": url, "api_key": api_key})
    line: AbstractAsyncContextManager[Peer]
    if target:
        from landline.app.inprocess import in_process

        line = in_process(settings, load([target], settings))
    else:
        from landline.cli.remote import remote

        line = remote(settings)
    asyncio.run(_talk(line, agent, thread))


async def _talk(line: AbstractAsyncContextManager[Peer], agent: str | None, thread: str | None) -> None:
    typed = Typed()
    async with line as peer:
        whole = [item["name"] for item in await peer.agents() if not item.get("error")]
        name = None if thread and not agent else only_agent(whole, agent)
        say(f"talking to {name or 'thread ' + str(thread)}; Ctrl-D ends")
        typed.watch_interrupts()
        if thread:
            await _settle_open_questions(peer, typed, thread)
        while (text := await typed.line("> ")) is not None:
            if not text:
                continue
            try:
                run = await peer.start(name, text, thread)
                thread = run["thread_id"]
                await _follow(peer, typed, run["id"])
            except Exception as error:  # what is no fault of ours is said, and the talk goes on
                if (problem := explain(error)) is None or problem.exit_code is Exit.UNREACHABLE:
                    raise
                warn(problem)
    if thread:
        say(f"go on with --thread {thread}")


async def _settle_open_questions(peer: Peer, typed: Typed, thread: str) -> None:
    """Show the run that the thread was left in, and ask what it asked."""
    for run in await peer.waiting(thread):
        await _follow(peer, typed, run["id"])


async def _follow(peer: Peer, typed: Typed, run_id: str, after: int = 0) -> None:
    """Show a run to its end, asking what it asks; Ctrl-C stops it."""
    stopping: set[asyncio.Task[None]] = set()

    def cancel() -> None:
        stopping.add(asyncio.ensure_future(peer.cancel(run_id)))

    typed.interrupt = cancel
    try:
        shown = await show_text(peer.events(run_id, after), after=after)
    finally:
        typed.interrupt = None
        await asyncio.gather(*stopping, return_exceptions=True)
    if shown.last == "run.waiting":
        await _answer_and_follow(peer, typed, run_id, shown)


async def _answer_and_follow(peer: Peer, typed: Typed, run_id: str, shown: Shown) -> None:
    answers: list[dict[str, Any]] = []
    for question in shown.questions:
        answer = await _ask(typed, question)
        if answer is None:
            say("left waiting: the question stays open")
            return
        answers.append({"question_id": question["question_id"], **answer})
    await peer.answer(run_id, answers)
    await _follow(peer, typed, run_id, shown.seq)


async def _ask(typed: Typed, question: dict[str, Any]) -> dict[str, Any] | None:
    """Put one question and return the answer's fields; None when nobody answers."""
    say(f"? {question['prompt']}")
    match question["kind"]:
        case "approval":
            if question.get("arguments") is not None:
                say(f"  {question.get('tool')}({json.dumps(question['arguments'], ensure_ascii=False)})")
            said = await typed.line("  approve? [y]es, or why not: ")
            if said is None:
                return None
            agreed = said.lower() in {"y", "yes"}
            refusal = "" if said.lower() in {"", "n", "no"} else said
            return {"approve": agreed} if agreed or not refusal else {"approve": False, "reason": refusal}
        case "choice":
            choices: list[str] = list(question.get("choices") or ())
            for number, choice in enumerate(choices, 1):
                say(f"  {number}  {choice}")
            while (said := await typed.line("  number: ")) is not None:
                if said in choices:
                    return {"value": said}
                if said.isdecimal() and 1 <= int(said) <= len(choices):
                    return {"value": choices[int(said) - 1]}
            return None
        case _:
            said = await typed.line("  answer: ")
            return None if said is None else {"value": said}
