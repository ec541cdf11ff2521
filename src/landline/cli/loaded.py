"""From options to settings and agents, with every fault of a target said where it is."""

import linecache
import os
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landline.cli.exits import Exit
from landline.cli.stops import Stop, warn

if TYPE_CHECKING:
    from landline.app.loading import Loaded
    from landline.app.settings import Settings

DEMO = "demo"
"""The target that stands for the built-in agents."""


def settings_of(options: Mapping[str, Any]) -> "Settings":
    """Load the settings, the given options among their sources."""
    from landline.app.settings import load_settings

    return load_settings(options)


def address_of(settings: "Settings") -> str:
    """Return the URL of the server that the settings mean."""
    if settings.url:
        return settings.url.rstrip("/")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - where to call, not bind
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def load(targets: Sequence[str], settings: "Settings") -> "list[Loaded]":
    """Load the targets, or those of the settings; warns of each broken one as long as one is whole.

    Raises:
        Stop: There is no target, or none could be loaded.
    """
    from landline.app.loading import adopt, load_all
    from landline.app.plugins import adapters as installed

    targets = targets or settings.agents
    if not targets:
        raise Stop(
            "nothing to serve: no target was given",
            how="name a file or a module, such as `landline serve agents.py`, or try `landline demo`",
            code="no_target",
            exit_code=Exit.USAGE,
        )
    adapters = installed()
    loaded = load_all([target for target in targets if target != DEMO], adapters)
    if DEMO in targets:
        from landline.demo import agents

        loaded += [adopt(spec, adapters) for spec in agents(settings.data, os.environ)]
    broken = [item for item in loaded if item.error]
    for item in broken[: -1 if len(broken) == len(loaded) else None]:
        warn(_problem(item), word="warning")
    if len(broken) == len(loaded):
        raise _problem(broken[-1])
    return loaded


def _problem(item: "Loaded") -> Stop:
    """Say what is wrong with a target, with the user's own line; here its owner reads it, so nothing is left out."""
    assert item.error is not None
    what, where = item.error.message, item.error.where
    if item.cause is not None:
        what = "".join(traceback.format_exception_only(item.cause)).strip()
    if where and (line := _line_at(where)):
        where = f"{where}: {line}"
    return Stop(
        f"the agent {item.name!r} could not be loaded: {what}", where=where, code="target_failed",
        how="mend it and start again; `landline doctor` checks what is installed", exit_code=Exit.TARGET,
    )  # fmt: skip


def _line_at(where: str) -> str:
    """Return the text of `file:line`, "" when there is none."""
    path, _, number = where.rpartition(":")
    return linecache.getline(path, int(number)).strip() if number.isdecimal() else ""


def only_agent(names: Sequence[str], wanted: str | None) -> str:
    """Return the agent to talk to: the wanted one, or the only one.

    Raises:
        Stop: No such agent, or several and none was chosen.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    what = f"there is no agent {wanted!r}" if wanted else "there are several agents"
    raise Stop(
        what, how="choose one: --agent " + " | ".join(names), code="choose_agent", exit_code=Exit.USAGE
    )
