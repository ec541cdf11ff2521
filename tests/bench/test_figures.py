"""The arithmetic of the bench: percentiles, ratios within a round, what became of a line, what is a regression."""

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import docs, run
from bench.baseline import PATH, TOLERANCES, Baseline, regressions
from bench.load import percentile_ms
from bench.metrics import METRICS
from bench.report import Round, Row, Value, rows, table
from bench.rounds import Rounds
from bench.scenarios import full, short
from bench.servers import OURS, Place, Server, Target
from bench.threads import growth, own_share, without_bursts
from bench.verdicts import LINES, as_text, verdicts
from tests.architecture.ledger import ledger

pytestmark = pytest.mark.contract("PRF-11")

YARDSTICKS = {"bare": "bare", "landline": "bare"}


def one_round(scenario: str, metric: str, **figures: float) -> Round:
    return {scenario: {target: {metric: figure} for target, figure in figures.items()}}


@pytest.mark.parametrize(
    ("percent", "value"),
    [(50, 51.0), (99, 100.0), (0, 1.0), (100, 100.0)],
    ids=["middle", "p99", "least", "most"],
)
def test_a_percentile_is_a_value_that_was_there(percent: float, value: float) -> None:
    assert percentile_ms(array("q", [n * 1000 for n in range(100, 0, -1)]), percent) == value


def test_the_percentile_of_nothing_is_none_at_all() -> None:
    assert percentile_ms(array("q"), 99) == 0.0


def test_ratios_are_of_the_same_round_and_told_with_their_ends() -> None:
    """The second round was twice as slow for both: the medians of figures would say 1.0."""
    rounds = [
        one_round("s", "turns_s", bare=100, landline=90),
        one_round("s", "turns_s", bare=50, landline=45),
        one_round("s", "turns_s", bare=50, landline=60),
    ]
    (row,) = rows(rounds, YARDSTICKS)
    assert row.figures["landline"] == Value(median=60, low=45, high=90)
    assert row.ratios == {"landline": Value(median=0.9, low=0.9, high=1.2)}
    assert "0.90 ±0.15" in table([row], YARDSTICKS)


def test_a_target_that_missed_a_round_is_compared_in_the_others() -> None:
    rounds = [one_round("s", "ideal", bare=0.5), one_round("s", "ideal", bare=0.4, landline=0.8)]
    (row,) = rows(rounds, YARDSTICKS)
    assert row.ratios["landline"].median == 2.0
    assert row.figures["bare"].median == pytest.approx(0.45)


def test_every_framework_is_compared_with_its_own_bare() -> None:
    yardsticks = {target.name: target.yardstick for target in OURS}
    assert yardsticks["landline:langgraph"] == "bare:langgraph"
    assert yardsticks["stored"] == yardsticks["relay"] == yardsticks["landline"] == "bare"
    figures = {name: {"turns_s": float(place)} for place, name in enumerate(yardsticks, 1)}
    found = rows([{"s": figures}], yardsticks)
    assert found[0].ratios["landline:langgraph"].median == (
        figures["landline:langgraph"]["turns_s"] / figures["bare:langgraph"]["turns_s"]
    )
    assert [line.split()[0] for line in table(found, yardsticks).split("\n") if line.startswith("s ")] == [
        "s"
    ] * 3


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ({"bare": 100, "landline": 100}, "met"),
        ({"bare": 100, "landline": 99}, "missed"),
        ({"bare": 100}, "not measured"),
    ],
    ids=["equal", "one less", "absent"],
)
def test_a_line_is_met_missed_or_not_measured(figures: dict[str, float], state: str) -> None:
    found = verdicts([one_round("blocking, 16 clients", "turns_s", **figures)], fsync_ms=0)
    assert found[0].line.id == "PRF-1"
    assert found[0].state == state


def test_one_durable_write_is_granted_to_the_first_token_alone() -> None:
    rounds = [one_round("first token, idle", "first_p50_ms", bare=10, landline=14)]
    (line,) = [one for one in verdicts(rounds, fsync_ms=1.5) if one.value is not None]
    assert (line.value, line.bound, line.state) == (4, 4.5, "met")
    assert "at most 4.5 over bare" in as_text([line])


@pytest.mark.contract("PRF-1", "PRF-4", "PRF-7", "PRF-10")
def test_every_line_stands_on_a_row_of_the_full_run_and_on_the_contract() -> None:
    """A line whose scenario was renamed would be `not measured` for ever."""
    scenarios = {scenario.name for scenario in full()} | {"start"}
    assert {line.scenario for line in LINES} <= scenarios
    assert {line.metric for line in LINES} <= METRICS.keys()
    promised = {line.id for line in ledger() if line.id.startswith("PRF-")}
    assert {line.id for line in LINES} | {"PRF-8", "PRF-11"} == promised


def test_every_scenario_of_a_line_takes_its_target() -> None:
    by_name, targets = (
        {scenario.name: scenario for scenario in full()},
        {target.name: target for target in OURS},
    )
    for line in LINES:
        for name in (line.target, line.of, line.over):
            if name in targets and line.scenario in by_name:
                assert by_name[line.scenario].takes(targets[name]), f"{line.id} {line.says} {name}"


@pytest.mark.parametrize(
    ("short_ms", "long_ms", "grew"),
    [(2.0, 2.2, 1.1), (-1.0, -0.5, 0.0), (0.1, -50.0, 0.0), (-1.0, 0.5, 999.0)],
    ids=["share", "none", "gone", "new"],
)
def test_how_a_share_grows(short_ms: float, long_ms: float, grew: float) -> None:
    assert growth(short_ms, long_ms) == pytest.approx(grew)


def test_the_own_share_is_what_is_over_bare_with_the_same_history() -> None:
    bare = {"cpu_short_ms": 4.0, "cpu_long_ms": 20.0, "written_short_kb": 0.0, "written_long_kb": 0.0}
    mine = {"cpu_short_ms": 6.0, "cpu_long_ms": 25.0, "written_short_kb": 40.0, "written_long_kb": 44.0}
    share = own_share(mine, bare)
    assert share == {
        "share_short_ms": 2.0,
        "share_long_ms": 5.0,
        "share_growth": 2.5,
        "written_growth": pytest.approx(1.1),
    }


def test_a_checkpoint_does_not_count_for_the_turn_that_met_it() -> None:
    assert without_bursts([10, 12, 11, 4000]) == 11


def row(metric: str, low: float, median: float, high: float) -> Row:
    ratio = Value(median=median, low=low, high=high)
    return Row(scenario="s", metric=metric, figures={"landline": ratio}, ratios={"landline": ratio})


BASELINE = Baseline(
    ratios={"s": {"turn_cpu_ms": {"landline": 2.0}, "turns_s": {"landline": 0.8}}},
    tolerances={"turn_cpu_ms": 0.25, "turns_s": 0.25},
    about={},
)
SAME = (row("turn_cpu_ms", 2, 2, 2), row("turns_s", 0.8, 0.8, 0.8))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(SAME, [], id="the same"),
        pytest.param((row("turn_cpu_ms", 2.1, 2.4, 2.5), SAME[1]), [], id="within the tolerance"),
        pytest.param((row("turn_cpu_ms", 2.2, 2.6, 3.0), SAME[1]), ["CPU a turn"], id="dearer"),
        pytest.param((row("turn_cpu_ms", 1.9, 2.6, 3.0), SAME[1]), [], id="dearer in disturbed rounds only"),
        pytest.param((SAME[0], row("turns_s", 0.5, 0.6, 0.7)), ["turns"], id="slower"),
        pytest.param((SAME[0], row("turns_s", 1.5, 1.6, 1.7)), [], id="faster"),
        pytest.param((SAME[0],), ["not measured"], id="gone"),
    ],
)
def test_what_is_a_regression(found: tuple[Row, ...], said: list[str]) -> None:
    told = regressions(found, BASELINE)
    assert len(told) == len(said)
    assert all(word in line for word, line in zip(said, told, strict=True))


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    Baseline.of([row("turn_cpu_ms", 1, 2.00049, 3), row("turn_p99_ms", 1, 2, 3)], {"rounds": 3}).write(path)
    read_again = Baseline.read(path)
    assert read_again.ratios == {"s": {"turn_cpu_ms": {"landline": 2.0}}}
    assert read_again.tolerances == TOLERANCES
    assert read_again.about == {"rounds": 3}


def test_the_baseline_in_the_project_is_of_the_short_run() -> None:
    """One that names other scenarios would compare nothing, or fail for ever."""
    kept = Baseline.read(PATH)
    assert set(kept.ratios) == {scenario.name for scenario in short()}
    assert all(set(by_metric) <= TOLERANCES.keys() for by_metric in kept.ratios.values())
    assert kept.ratios["blocking, 16 clients"]["turn_cpu_ms"]["landline"] > 0


def test_the_bench_writes_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- bench:lines -->\nold\n<!-- /bench:lines -->\nafter\n")
    docs.put(path, "lines", "new \\1\n")
    assert path.read_text() == "before\n<!-- bench:lines -->\nnew \\1\n<!-- /bench:lines -->\nafter\n"
    with pytest.raises(ValueError, match="no markers bench:figures"):
        docs.put(path, "figures", "x")


def test_the_page_of_the_project_has_the_markers() -> None:
    page = docs.PATH.read_text(encoding="utf-8")
    for name in ("lines", "figures", "profile"):
        assert page.count(f"<!-- bench:{name} -->") == page.count(f"<!-- /bench:{name} -->") == 1


TOO_MUCH_MS = 12.0


def measured(*found: run.Found) -> Callable[..., run.Found]:
    """Return what measures these one after the other."""
    left = list(found)

    def measure(*_: object) -> run.Found:
        return left.pop(0)

    return measure


@pytest.mark.parametrize(
    ("cpu_ms", "code"),
    [([9.0], 0), ([TOO_MUCH_MS, TOO_MUCH_MS], 1), ([TOO_MUCH_MS, 9.0], 0)],
    ids=["as before", "worse", "worse once"],
)
def test_a_short_run_fails_when_a_ratio_has_become_worse_twice(
    cpu_ms: list[float],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    about: dict[str, object] = {
        "at": "2026-11-21T00:00:00+00:00",
        "rounds": 1,
        "import_s": {},
        "fsync_ms": 1.0,
        "load": 0.0,
    }
    found = [
        run.Found(
            about={**about, "not_installed": {}},
            targets=OURS[:2],
            rounds=[one_round("blocking, 16 clients", "turn_cpu_ms", bare=4.0, landline=ms)],
        )
        for ms in cpu_ms
    ]
    monkeypatch.setattr("bench.run._measure", measured(*found))
    path = tmp_path / "baseline.json"
    Baseline(
        ratios={"blocking, 16 clients": {"turn_cpu_ms": {"landline": 2.0}}}, tolerances=TOLERANCES, about={}
    ).write(path)
    assert run.main(["--short", "--baseline", str(path), "--out", str(tmp_path)]) == code
    assert ("WORSE blocking, 16 clients, CPU a turn, landline: 3.00" in capsys.readouterr().out) is bool(code)


def test_a_short_run_without_a_baseline_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to compare with is no success."""
    about: dict[str, object] = {
        "at": "2026-11-21T00:00:00+00:00",
        "rounds": 1,
        "import_s": {},
        "fsync_ms": 1.0,
        "load": 0.0,
    }
    found = run.Found(about={**about, "not_installed": {}}, targets=OURS[:2], rounds=[])
    monkeypatch.setattr("bench.run._measure", measured(found, found))
    assert run.main(["--short", "--baseline", str(tmp_path / "none.json"), "--out", str(tmp_path)]) == 1
    assert "there is no none.json" in capsys.readouterr().out


def test_a_fault_of_a_peer_is_told_and_one_of_ours_fails_the_run(tmp_path: Path) -> None:
    def start(place: Place) -> Server:
        raise RuntimeError("it does not start")

    targets = [Target(name="ours", kind="bare", start=start), Target(name="peer", kind="peer", start=start)]
    place = Place(folder=tmp_path, server_core=None, instrument_core=None)
    rounds = Rounds(place, targets, short()[:1])
    rounds.run(1, keep=False)
    assert rounds.faults == ["ours: it does not start"]
    assert rounds.peer_faults == ["blocking, 16 clients, peer: it does not start"]
