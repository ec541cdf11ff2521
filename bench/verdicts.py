"""The lines of docs/contract/performance.md as arithmetic: which figure of which row is held against what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench.report import Round, pairs
from bench.servers import FRAMEWORKS

__all__ = ["LINES", "NOT_HERE", "Line", "Verdict", "as_text", "verdicts"]

State = Literal["met", "missed", "not measured"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A figure of Landline and its bound.

    `of` makes it a ratio to another target, `over` a difference. `least` is a bound from below. `fsync` adds what one
    durable write costs on this disk (clarification 12).
    """

    id: str
    says: str
    scenario: str
    metric: str
    bound: float
    target: str = "landline"
    of: str = ""
    over: str = ""
    least: bool = False
    fsync: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a line. `bound` has what `fsync` adds."""

    line: Line
    value: float | None
    bound: float

    @property
    def state(self) -> State:
        if self.value is None:
            return "not measured"
        kept = self.value >= self.bound if self.line.least else self.value <= self.bound
        return "met" if kept else "missed"


TURNS, S200, S500 = "blocking, 16 clients", "200 streams", "500 streams"
IDLE, LONG = "10,000 idle readers", "thread of 1,000 messages"


def _of_framework(framework: str) -> Iterator[Line]:
    """Step 5 asks more of Pydantic AI; with the others Landline has to beat bare."""
    mine, bare = f"landline:{framework}", f"bare:{framework}"
    yield Line(
        id="PRF-1",
        says=f"turns/s, {framework}",
        scenario=TURNS,
        metric="turns_s",
        bound=1.0,
        target=mine,
        of=bare,
        least=True,
    )
    for scenario in (S200, S500):
        yield Line(
            id="PRF-2",
            says=f"{scenario}, of ideal, {framework}",
            scenario=scenario,
            metric="ideal",
            bound=1.0,
            target=mine,
            of=bare,
            least=True,
        )
    yield Line(
        id="PRF-3",
        says=f"CPU a token at 200 streams, {framework}",
        scenario=S200,
        metric="cpu_ms_1k",
        bound=1.0,
        target=mine,
        of=bare,
    )


LINES: tuple[Line, ...] = (
    Line(
        id="PRF-1",
        says="turns/s at 16 clients",
        scenario=TURNS,
        metric="turns_s",
        bound=1.0,
        of="bare",
        least=True,
    ),
    Line(
        id="PRF-1",
        says="turns/s at 16 clients",
        scenario=TURNS,
        metric="turns_s",
        bound=2.0,
        of="agno",
        least=True,
    ),
    Line(id="PRF-2", says="200 streams, of ideal", scenario=S200, metric="ideal", bound=0.98, least=True),
    Line(id="PRF-2", says="500 streams, of ideal", scenario=S500, metric="ideal", bound=0.90, least=True),
    Line(
        id="PRF-2",
        says="200 streams, delay of a token p99, ms",
        scenario=S200,
        metric="delay_p99_ms",
        bound=300,
    ),
    Line(
        id="PRF-2",
        says="500 streams, delay of a token p99, ms",
        scenario=S500,
        metric="delay_p99_ms",
        bound=300,
    ),
    Line(
        id="PRF-2",
        says="burst of 500, first token p99",
        scenario="burst of 500",
        metric="first_p99_ms",
        bound=1 / 3,
        of="bare",
    ),
    Line(
        id="PRF-2",
        says="first token of one stream, ms later",
        scenario="first token, idle",
        metric="first_p50_ms",
        bound=3.0,
        over="bare",
        fsync=True,
    ),
    Line(
        id="PRF-3",
        says="CPU a token at 200 streams",
        scenario=S200,
        metric="cpu_ms_1k",
        bound=1 / 3,
        of="bare",
    ),
    Line(
        id="PRF-4",
        says="memory an open stream, KB more",
        scenario="memory, 200 streams",
        metric="stream_kb",
        bound=20,
        over="bare",
    ),
    Line(
        id="PRF-4",
        says="memory a mere reader, KB",
        scenario="memory, 200 readers of one run",
        metric="reader_kb",
        bound=35,
    ),
    Line(id="PRF-4", says="idle memory, MB more", scenario="start", metric="idle_mb", bound=35, over="bare"),
    Line(
        id="PRF-5",
        says="own share of the CPU, 1,000 messages / 10",
        scenario=LONG,
        metric="share_growth",
        bound=1.2,
    ),
    Line(
        id="PRF-5",
        says="bytes written a turn, 1,000 messages / 10",
        scenario=LONG,
        metric="written_growth",
        bound=1.05,
    ),
    Line(
        id="PRF-6", says="start to ready, s more", scenario="start", metric="ready_s", bound=0.3, over="bare"
    ),
    Line(id="PRF-7", says="10,000 idle readers, memory in MB", scenario=IDLE, metric="readers_mb", bound=600),
    Line(id="PRF-7", says="10,000 idle readers, CPU in %", scenario=IDLE, metric="readers_cpu", bound=5),
    Line(
        id="PRF-7",
        says="10,000 idle readers, a new request p99, ms",
        scenario=IDLE,
        metric="request_p99_ms",
        bound=50,
    ),
    Line(
        id="PRF-9",
        says="sign-in by key, warm, us CPU",
        scenario="cost of a request",
        metric="sign_in_us",
        bound=50,
    ),
    Line(
        id="PRF-9",
        says="limits, us CPU a request",
        scenario="cost of a request",
        metric="limits_us",
        bound=30,
    ),
    Line(
        id="PRF-10",
        says="replay of 10,000 events, events/s encoded",
        scenario="replay, 10,000 events",
        metric="replay_inner_s",
        bound=50_000,
        least=True,
    ),
    *(line for framework in FRAMEWORKS[1:] for line in _of_framework(framework)),
)
"""In the order of the contract; PRF-4's idle memory and PRF-6 as its clarification 23 says them."""

NOT_HERE = {
    "PRF-8": "PostgreSQL is not built",
    "PRF-9": "metrics are not built",
}
"""What no scenario measures yet, and why."""


def verdicts(rounds: Sequence[Round], fsync_ms: float) -> list[Verdict]:
    """Return what became of every line: the median over the rounds, of ratios and differences within each round."""
    return [
        Verdict(line=line, value=_value(rounds, line), bound=line.bound + (fsync_ms if line.fsync else 0.0))
        for line in LINES
    ]


def _value(rounds: Sequence[Round], line: Line) -> float | None:
    other = line.of or line.over or line.target
    both = pairs(rounds, line.scenario, line.metric, line.target, other)
    if line.of:
        values = [mine / others for mine, others in both if others]
    elif line.over:
        values = [mine - others for mine, others in both]
    else:
        values = [mine for mine, _ in both]
    return median(values) if values else None


def as_text(found: Sequence[Verdict], *, all_of: bool = True) -> str:
    """Return the lines with their states, and what is measured nowhere; without `all_of` only what was measured."""
    said = list[str]()
    for one in found:
        if not all_of and one.value is None:
            continue
        value = "-" if one.value is None else f"{one.value:,.2f}"
        said.append(f"{one.line.id:<7}{one.line.says:<46}{value:>11}   {bound(one):<34}{one.state}")
    if all_of:
        said += [f"{name:<7}{why:<46}{'-':>11}   {'':<34}not measured" for name, why in NOT_HERE.items()]
    return "\n".join(said)


def bound(one: Verdict) -> str:
    """Return the bound in words."""
    way = "at least" if one.line.least else "at most"
    much = f"{one.bound:,.2f}".rstrip("0").rstrip(".")
    return f"{way} {much}" + (
        f" x {one.line.of}" if one.line.of else f" over {one.line.over}" if one.line.over else ""
    )
