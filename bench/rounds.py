"""Running the rounds: in each, every scenario meets all its targets one after the other, forwards and backwards in turns."""

import contextlib
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TypeVar

import uvloop

from bench.load import WrongAnswer
from bench.metrics import Figures
from bench.process import run_once
from bench.replay import NOTE
from bench.report import Round
from bench.scenarios import Scenario, warm_up
from bench.servers import MAIN, Place, Server, Target
from bench.standing import server_quiet
from bench.threads import own_share

__all__ = ["Rounds", "derive", "import_s", "ordered", "running", "say"]

_MODULES = {MAIN: "pydantic_ai", "openai_agents": "agents", "langgraph": "langchain.agents"}
_NO_TARGET = (RuntimeError, WrongAnswer, OSError)

T = TypeVar("T")


def ordered(items: Sequence[T], turn: int) -> list[T]:
    """Forwards and backwards in turns: what drifts meets all alike."""
    return list(items) if turn % 2 == 0 else list(reversed(items))


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def import_s(place: Place, targets: Sequence[Target], times: int) -> dict[str, float]:
    """Return how long Python takes to import each framework that is measured."""
    wanted = dict.fromkeys(target.framework for target in targets if target.kind in {"bare", "landline"})
    return {
        framework: median(
            run_once(["-c", f"import {_MODULES[framework]}"], place.server_core, place.env)[0]
            for _ in range(times)
        )
        for framework in wanted
    }


@contextlib.contextmanager
def running(place: Place, target: Target) -> Generator[Server]:
    """Run a target, warm.

    Raises:
        RuntimeError: It did not start.
        WrongAnswer: It does not answer as it should.
    """
    server = target.start(place)
    try:
        uvloop.run(warm_up(server))
        yield server
    finally:
        server.process.stop()


class Rounds:
    """All rounds of one run; `faults` says who answered wrongly or did not start, and such a target has no figures.

    `peer_faults` says it of servers that are not ours: a fault of theirs is a result, not a failure of the run.
    """

    def __init__(self, place: Place, targets: Sequence[Target], scenarios: Sequence[Scenario]) -> None:
        self._place = place
        self._targets = targets
        self._scenarios = scenarios
        self._done: list[Round] = []
        self.faults: list[str] = []
        self.peer_faults: list[str] = []

    def run(self, count: int, *, keep: bool) -> list[Round]:
        """Return what so many rounds gave; with `keep` all of them meet the same servers."""
        with contextlib.ExitStack() as kept:
            servers: dict[str, Server] = {}
            for number in range(count):
                measured: Round = {}
                with contextlib.ExitStack() as own:
                    if not (keep and number):
                        servers = self._start(kept if keep else own, number, measured)
                    self._load(servers, number, measured)
                self._replay_in_process(measured)
                self._done.append(measured)
        return self._done

    def _start(self, stack: contextlib.ExitStack, number: int, measured: Round) -> dict[str, Server]:
        """Start all that stay for a round. Peers do not: what they do in idle hours would be in the others' figures."""
        found: dict[str, Server] = {}
        measured["start"] = {}
        for target in ordered([one for one in self._targets if one.kind != "peer"], number):
            try:
                found[target.name] = stack.enter_context(running(self._place, target))
            except _NO_TARGET as error:
                self._fault(target, f"{target.name}: {error}")
                continue
            measured["start"][target.name] = _started(found[target.name])
        return found

    def _fault(self, target: Target, said: str) -> None:
        (self.peer_faults if target.kind == "peer" else self.faults).append(said)

    def _load(self, servers: Mapping[str, Server], number: int, measured: Round) -> None:
        for place_in_round, scenario in enumerate(self._scenarios):
            figures: dict[str, Figures] = {}
            for target in ordered(
                [one for one in self._targets if scenario.takes(one)], number + place_in_round
            ):
                if target.kind != "peer" and target.name not in servers:
                    continue
                say(f"round {number + 1}: {scenario.name}, {target.name}")
                try:
                    figures[target.name] = self._figures(scenario, target, servers, measured)
                except _NO_TARGET as error:
                    self._fault(target, f"{scenario.name}, {target.name}: {error}")
            if figures:
                measured[scenario.name] = figures

    def _figures(
        self, scenario: Scenario, target: Target, servers: Mapping[str, Server], measured: Round
    ) -> Figures:
        if target.kind != "peer" and not scenario.fresh:
            return uvloop.run(_scenario(scenario, servers[target.name]))
        own = self._place.folder / "fresh"
        own.mkdir(exist_ok=True)
        with running(replace(self._place, folder=own), target) as another:
            measured.setdefault("start", {}).setdefault(target.name, _started(another))
            return uvloop.run(_scenario(scenario, another))

    def _replay_in_process(self, measured: Round) -> None:
        """The servers are stopped: the store may be opened here."""
        for scenario, by_target in measured.items():
            noted = self._place.folder / "landline" / NOTE
            if scenario.startswith("replay") and "landline" in by_target and noted.exists():
                arguments = ["-m", "bench.replay", str(noted.parent), noted.read_text()]
                _, said = run_once(arguments, self._place.server_core, self._place.env)
                by_target["landline"]["replay_inner_s"] = float(said)


async def _scenario(scenario: Scenario, server: Server) -> Figures:
    figures = await scenario.run(server)
    await server_quiet(server)
    return figures


def _started(server: Server) -> Figures:
    return {"ready_s": server.ready_s, "idle_mb": server.process.rss_kb() / 1024}


def derive(rounds: Sequence[Round], targets: Sequence[Target], imports: Mapping[str, float]) -> None:
    """Add the figures that follow from others of the same round."""
    frameworks = {target.name: target.framework for target in targets if target.kind != "peer"}
    for one in rounds:
        for name, figures in one.get("start", {}).items():
            if took := imports.get(frameworks.get(name, "")):
                figures["ready_by_import"] = figures["ready_s"] / took
        for scenario, by_target in one.items():
            if scenario.startswith("thread of") and "bare" in by_target:
                for name, figures in by_target.items():
                    if name != "bare":
                        figures.update(own_share(figures, by_target["bare"]))
