"""FastAgency's own FastAPIProvider with ConsoleUI: what is typed, and what the console showed."""

import builtins
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import websockets

URL = os.environ["BASE_URL"]
WITHIN_S = 30
# Not here but in the environment of this client, which type checkers do not see.
FastAPIProvider: Any = import_module("fastagency.adapters.fastapi").FastAPIProvider
ConsoleUI: Any = import_module("fastagency.ui.console").ConsoleUI


def drive(provider: Any, name: str, replies: list[str]) -> str:
    """Run one workflow on the console, with `replies` typed in, and return all that the console showed."""
    shown: list[str] = []
    left: Iterator[str] = iter(replies)

    def typed(prompt: str = "") -> str:
        shown.append(prompt)
        return next(left)

    def late(*_: Any) -> None:
        told = "\n".join(shown)
        sys.stderr.write(
            f"{name} had no end on the console within {WITHIN_S} seconds, which showed:\n{told}\n"
        )
        os._exit(1)  # the provider's threads wait for ever, and Python for them

    def keep(*what: Any, **_: Any) -> None:
        shown.append(" ".join(map(str, what)))

    builtins.input, before = typed, builtins.input
    builtins.print, printed = keep, builtins.print
    signal.signal(signal.SIGALRM, late)
    signal.alarm(WITHIN_S)
    try:
        ConsoleUI().start(app=SimpleNamespace(provider=provider), import_string="", name=name, params={})
    except websockets.ConnectionClosedOK:
        pass  # how a workflow ends on this wire, also on FastAgency's own adapter
    finally:
        signal.alarm(0)
        builtins.input, builtins.print = before, printed
    assert next(left, None) is None, "not every reply was asked for"
    return "\n".join(shown)


def check() -> int:
    """Drive agents of Landline at BASE_URL and return how much held; raises when something did not."""
    provider = FastAPIProvider(fastapi_url=URL)
    assert "fixture_plain" in provider.names, provider.names
    said = drive(provider, "fixture_plain", ["hello there"])
    assert "You said: hello there" in said, said
    assert "workflow_completed" in said, said
    asked = drive(provider, "fixture_plain", ["please ask", "Ada"])
    assert "Ada" in asked, asked
    try:
        drive(provider, "nobody", [])
    except Exception:  # the provider cannot read the 404 and raises whatever its parser raises
        return 3
    raise AssertionError("a workflow that does not exist was begun")
