"""Serving from the command line: the order of checks before the first byte, and what is said at the start."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landline import __version__
from landline.cli.exits import Exit
from landline.cli.loaded import address_of, load, settings_of
from landline.cli.output import say
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.app.loading import Loaded
    from landline.app.settings import Settings


def serve_targets(
    targets: Sequence[str], options: Mapping[str, Any], settings: "Settings | None" = None
) -> int:
    """Load, check, build and serve until stopped; returns the exit code. `settings` are those of `options`, if known.

    Raises:
        Stop: Bound where others reach it and nobody can sign in (TRU-6), or no target could be loaded.
    """
    from landline.app.collecting import held

    with held() as started:
        return _serve(targets, settings or settings_of(options), started)


def _serve(targets: Sequence[str], settings: "Settings", started: Callable[[], None]) -> int:
    open_ = _decide_open(settings)
    loaded = load(targets, settings)
    _refuse_taken_port(settings)
    from landline.app.build import build
    from landline.app.serve import serve

    instance = build(settings, loaded, open=open_)
    _greet(settings, loaded, open_=open_)
    return serve(instance, started=started)


def _decide_open(settings: "Settings") -> bool:
    from landline.app.faults import SetupError
    from landline.app.upkeep import check_free, decide_open

    try:
        asyncio.run(check_free(settings))
        return asyncio.run(decide_open(settings))
    except SetupError as error:
        raise Stop(
            error.what, where=error.where, how=error.how, code=error.code, exit_code=Exit.REFUSED
        ) from None


def _refuse_taken_port(settings: "Settings") -> None:
    """Look before the database is opened: the server itself could only log it."""
    import socket

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            sources = settings.sources()
            raise Stop(
                f"cannot bind {settings.host} port {settings.port}: {error.strerror}",
                where=f"host from {sources['host']}, port from {sources['port']}",
                how="stop the other server, or take another port: --port 8001 (0 takes a free one)",
                code="bind_failed",
            ) from None


def _greet(settings: "Settings", loaded: "Sequence[Loaded]", *, open_: bool) -> None:
    """Say what is about to be served, to whom, and from where."""
    address = address_of(settings)
    who = (
        "open: everybody on this machine is the one local user"
        if open_
        else "callers need an API key (landline keys create --user NAME)"
    )
    say(f"Landline {__version__}  {address}  data {settings.data}")
    for item in loaded:
        labels = ", ".join(f"{key}: {value}" for key, value in item.spec.labels.items()) if item.spec else ""
        mark = " (could not be loaded)" if item.error else f" ({labels})" if labels else ""
        say(f"  agent {item.name}{mark}")
    say(f"  {who}")
    if settings.port:
        say(f"  try   {address}/simple" + (f"   API: {address}/docs" if settings.docs else ""))
